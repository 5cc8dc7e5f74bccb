//! One process of the cluster. It ends with this, and with whoever holds this.

use std::fs::File;
use std::path::Path;
use std::process::Stdio;
use std::time::Duration;

use tokio::io::{AsyncBufReadExt, BufReader, Lines};
use tokio::process::{Child, ChildStdin, ChildStdout, Command};
use tokio::time::timeout;

use crate::PromiseError;

/// How long a process may take to be ready.
const READY: Duration = Duration::from_secs(60);
/// How long it may take to end when it is asked to: it may have much to give away first.
const END: Duration = Duration::from_secs(90);
/// How long any other command may take.
const COMMAND: Duration = Duration::from_secs(90);

pub(crate) struct Process {
    /// What people call it, and where what it said is.
    name: String,
    child: Child,
    /// Its line of life: it ends when this is closed, however its parent has ended.
    _input: ChildStdin,
    lines: Lines<BufReader<ChildStdout>>,
}

impl Process {
    /// Starts a command; its standard error is added to `log`.
    ///
    /// # Errors
    /// If it can't be started.
    pub(crate) fn start(name: &str, command: &[String], log: &Path) -> Result<Self, PromiseError> {
        let name = format!("{name} ({})", log.display());
        let log = File::options().create(true).append(true).open(log)?;
        let mut child = Command::new(&command[0])
            .args(&command[1..])
            .env_remove("RUST_LOG")
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(log)
            .kill_on_drop(true)
            .spawn()?;
        let (Some(input), Some(output)) = (child.stdin.take(), child.stdout.take()) else {
            return Err(cluster(&name, "has no pipes"));
        };
        let lines = BufReader::new(output).lines();
        Ok(Self { name, child, _input: input, lines })
    }

    /// Waits until it says that it is ready.
    ///
    /// # Errors
    /// If it ends instead, or takes too long.
    pub(crate) async fn ready(&mut self) -> Result<(), PromiseError> {
        let said = async {
            while let Ok(Some(line)) = self.lines.next_line().await {
                if line.starts_with("ready") {
                    return true;
                }
            }
            false
        };
        match timeout(READY, said).await {
            Ok(true) => Ok(()),
            Ok(false) => Err(cluster(&self.name, "has ended and was never ready")),
            Err(_) => Err(cluster(&self.name, "is not ready in time")),
        }
    }

    /// Ends it without warning.
    ///
    /// # Errors
    /// If it can't be ended.
    pub(crate) async fn kill(mut self) -> Result<(), PromiseError> {
        Ok(self.child.kill().await?)
    }

    /// Asks it to end and waits until it has.
    ///
    /// # Errors
    /// If it doesn't, or not well.
    pub(crate) async fn terminate(mut self) -> Result<(), PromiseError> {
        if let Some(id) = self.child.id() {
            run(&["kill", "-s", "TERM", &id.to_string()].map(str::to_owned)).await?;
        }
        match timeout(END, self.child.wait()).await {
            Ok(Ok(status)) if status.success() => Ok(()),
            Ok(Ok(status)) => Err(cluster(&self.name, &format!("has not ended well: {status}"))),
            Ok(Err(error)) => Err(error.into()),
            Err(_) => Err(cluster(&self.name, "does not end when it is asked to")),
        }
    }

    /// # Errors
    /// If it has ended by itself.
    pub(crate) fn runs(&mut self) -> Result<(), PromiseError> {
        match self.child.try_wait()? {
            None => Ok(()),
            Some(status) => Err(cluster(&self.name, &format!("has ended by itself: {status}"))),
        }
    }
}

/// Runs a command to its end.
///
/// # Errors
/// If it fails or takes too long.
pub(crate) async fn run(command: &[String]) -> Result<(), PromiseError> {
    let mut process = Command::new(&command[0]);
    let output = process.args(&command[1..]).stdin(Stdio::null()).kill_on_drop(true).output();
    let text = command.join(" ");
    let output = timeout(COMMAND, output).await.map_err(|_| cluster(&text, "takes too long"))??;
    if output.status.success() {
        return Ok(());
    }
    Err(cluster(&text, String::from_utf8_lossy(&output.stderr).trim()))
}

fn cluster(name: &str, what: &str) -> PromiseError {
    PromiseError::Cluster(format!("{name} {what}"))
}

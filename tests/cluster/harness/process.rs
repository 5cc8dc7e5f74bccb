//! A real process of the cluster, ended when it is dropped.

use std::fs::File;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;

use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader, Lines};
use tokio::process::{Child, ChildStdin, ChildStdout, Command};
use tokio::time::timeout;

/// How long a process may take to say that it is ready, or to end.
pub(crate) const PATIENCE: Duration = Duration::from_secs(30);

/// The program under test.
pub(crate) const TRUNKLINE: &str = env!("CARGO_BIN_EXE_trunkline");

/// A process whose standard output is read line by line and whose standard error is in a file.
pub(crate) struct Process {
    child: Child,
    input: Option<ChildStdin>,
    lines: Lines<BufReader<ChildStdout>>,
    errors: PathBuf,
}

impl Process {
    /// Starts `trunkline` with these arguments; its standard error goes to `errors`.
    pub(crate) fn start(errors: &Path, arguments: &[&str]) -> Self {
        Self::spawn(errors, Command::new(TRUNKLINE).args(arguments).stdin(Stdio::null()))
    }

    /// Starts it in a folder, where it finds what is there and nothing else.
    pub(crate) fn start_in(folder: &Path, arguments: &[&str]) -> Self {
        let errors = folder.join("stderr.log");
        let mut command = Command::new(TRUNKLINE);
        Self::spawn(&errors, command.args(arguments).current_dir(folder).stdin(Stdio::null()))
    }

    /// Starts it with an input that is written to by [`Process::type_line`].
    pub(crate) fn start_to_type(errors: &Path, arguments: &[&str]) -> Self {
        Self::spawn(errors, Command::new(TRUNKLINE).args(arguments).stdin(Stdio::piped()))
    }

    fn spawn(errors: &Path, command: &mut Command) -> Self {
        let log = File::options().create(true).append(true).open(errors).unwrap();
        let mut child = command
            .env_remove("RUST_LOG")
            .stdout(Stdio::piped())
            .stderr(log)
            .kill_on_drop(true)
            .spawn()
            .unwrap();
        let lines = BufReader::new(child.stdout.take().unwrap()).lines();
        Self { input: child.stdin.take(), child, lines, errors: errors.to_owned() }
    }

    /// Writes a line to standard input.
    pub(crate) async fn type_line(&mut self, line: &str) {
        let input = self.input.as_mut().expect("an input");
        input.write_all(format!("{line}\n").as_bytes()).await.unwrap();
    }

    /// Ends standard input.
    pub(crate) fn end_input(&mut self) {
        self.input = None;
    }

    /// Whether it has not ended.
    pub(crate) fn runs(&mut self) -> bool {
        self.child.try_wait().unwrap().is_none()
    }

    /// The next line of standard output that begins with `prefix`.
    pub(crate) async fn line(&mut self, prefix: &str) -> String {
        let find = async {
            while let Some(line) = self.lines.next_line().await.unwrap() {
                if line.starts_with(prefix) {
                    return Some(line);
                }
            }
            None
        };
        match timeout(PATIENCE, find).await {
            Ok(Some(line)) => line,
            Ok(None) => panic!("ended without saying {prefix:?}:\n{}", self.errors()),
            Err(_) => panic!("did not say {prefix:?} in time:\n{}", self.errors()),
        }
    }

    /// What it has written to standard error.
    pub(crate) fn errors(&self) -> String {
        std::fs::read_to_string(&self.errors).unwrap_or_default()
    }

    pub(crate) fn id(&self) -> u32 {
        self.child.id().expect("it runs")
    }

    /// Ends it without warning, as a crash does.
    pub(crate) async fn kill(&mut self) {
        self.child.kill().await.unwrap();
    }

    /// Asks it to end, as an operator does, and gives its exit code.
    pub(crate) async fn terminate(&mut self) -> Option<i32> {
        self.signal("TERM").await;
        self.ended().await
    }

    pub(crate) async fn signal(&self, name: &str) {
        signal(name, self.id()).await;
    }

    /// Waits for its end and gives its exit code.
    pub(crate) async fn ended(&mut self) -> Option<i32> {
        match timeout(PATIENCE, self.child.wait()).await {
            Ok(status) => status.unwrap().code(),
            Err(_) => panic!("did not end in time:\n{}", self.errors()),
        }
    }
}

/// Signals any process.
pub(crate) async fn signal(name: &str, id: u32) {
    let id = id.to_string();
    let status = Command::new("kill").args(["-s", name, &id]).status().await.unwrap();
    assert!(status.success(), "cannot signal {id}");
}

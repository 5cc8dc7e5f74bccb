//! One child process, kept alive: started, listened to, restarted, and ended.
//!
//! Its stdin is its line of life, which it ends with; its stdout is where it says that it is
//! ready; its stderr is ours.

use std::ffi::OsString;
use std::io;
use std::path::PathBuf;
use std::process::{ExitStatus, Stdio};
use std::time::Duration;

use tokio::io::{AsyncBufReadExt, BufReader};
use tokio::process::{Child, ChildStdin, ChildStdout, Command};
use tokio::sync::{mpsc, oneshot, watch};
use tokio::task::JoinHandle;
use tokio::time::{Instant, sleep, timeout};

use super::restart::{RestartPolicy, Verdict};
use crate::terminal::complain;

/// How long a child may take to end by itself. Then it is killed.
const END_TIMEOUT: Duration = Duration::from_secs(10);

/// What is run.
#[derive(Clone, Debug)]
pub(crate) struct Program {
    /// What people call it, such as "shard a".
    pub(crate) name: String,
    pub(crate) executable: PathBuf,
    pub(crate) arguments: Vec<OsString>,
}

/// What a child's keeper tells.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Event {
    /// The child said `ready WHAT`.
    Ready { name: String, what: String },
    /// The child won't run.
    GaveUp { name: String },
}

/// A child that is kept alive until it is ended.
pub(crate) struct Keeper {
    /// Dropped to end the child.
    end: oneshot::Sender<()>,
    task: JoinHandle<()>,
}

impl Keeper {
    /// Starts the child. `was_ready` tells whether the cluster has been ready; what happens to the
    /// child goes to `events`, for which it waits.
    pub(crate) fn start(
        program: Program,
        events: mpsc::Sender<Event>,
        was_ready: watch::Receiver<bool>,
    ) -> Self {
        let (end, ended) = oneshot::channel();
        Self { end, task: tokio::spawn(keep(program, events, was_ready, ended)) }
    }

    /// Ends children, all at once, and waits until they have ended or were killed.
    pub(crate) async fn end(keepers: Vec<Self>) {
        let tasks: Vec<JoinHandle<()>> = keepers
            .into_iter()
            .map(|Self { end, task }| {
                drop(end);
                task
            })
            .collect();
        for task in tasks {
            // A keeper that panicked has dropped its child, which kills it.
            let _ = task.await;
        }
    }
}

/// How a child's life came to its end.
enum Life {
    Died(io::Result<ExitStatus>),
    Ended,
}

async fn keep(
    program: Program,
    events: mpsc::Sender<Event>,
    was_ready: watch::Receiver<bool>,
    mut end: oneshot::Receiver<()>,
) {
    let mut policy = RestartPolicy::new();
    loop {
        let born = Instant::now();
        let status = match live(&program, &events, &mut end).await {
            Life::Ended => return,
            Life::Died(status) => status,
        };
        let verdict = policy.died(born.elapsed(), *was_ready.borrow());
        let name = &program.name;
        let how = status.map_or_else(|error| error.to_string(), |status| status.to_string());
        let pause = match verdict {
            Verdict::Again(pause) => pause,
            Verdict::GiveUp => {
                complain(format_args!("{name} ended ({how}), as it did each time before"));
                let _ = events.send(Event::GaveUp { name: name.clone() }).await;
                return;
            }
        };
        let seconds = pause.as_secs_f64();
        complain(format_args!("{name} ended ({how}); starting it again in {seconds:.1} s"));
        tokio::select! {
            () = sleep(pause) => {}
            _ = &mut end => return,
        }
    }
}

async fn live(
    program: &Program,
    events: &mpsc::Sender<Event>,
    end: &mut oneshot::Receiver<()>,
) -> Life {
    let (mut child, stdin, stdout) = match spawn(program) {
        Ok(spawned) => spawned,
        Err(error) => return Life::Died(Err(error)),
    };
    let listening = listen(&program.name, stdout, events);
    tokio::select! {
        // Listening goes on until the child closes its stdout, mostly by dying.
        status = async { tokio::join!(child.wait(), listening).0 } => return Life::Died(status),
        _ = end => {}
    }
    drop(stdin);
    if timeout(END_TIMEOUT, child.wait()).await.is_err() {
        complain(format_args!("{} did not end within {END_TIMEOUT:?}; killing it", program.name));
        // It fails only for a child that has just ended.
        let _ = child.kill().await;
    }
    Life::Ended
}

fn spawn(program: &Program) -> io::Result<(Child, ChildStdin, ChildStdout)> {
    let mut child = Command::new(&program.executable)
        .args(&program.arguments)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .kill_on_drop(true)
        .spawn()?;
    let no_pipe = || io::Error::other("the child has no pipe");
    // Taken out, for waiting for a child closes the stdin that it still has.
    let stdin = child.stdin.take().ok_or_else(no_pipe)?;
    let stdout = child.stdout.take().ok_or_else(no_pipe)?;
    Ok((child, stdin, stdout))
}

/// Tells of every `ready` that the child says.
async fn listen(name: &str, stdout: ChildStdout, events: &mpsc::Sender<Event>) {
    let mut lines = BufReader::new(stdout).lines();
    while let Ok(Some(line)) = lines.next_line().await {
        if let Some(what) = line.strip_prefix("ready ") {
            let (name, what) = (name.to_owned(), what.to_owned());
            let _ = events.send(Event::Ready { name, what }).await;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A shell that runs this script.
    fn shell(script: &str) -> Program {
        Program {
            name: "child".to_owned(),
            executable: "/bin/sh".into(),
            arguments: vec!["-c".into(), script.into()],
        }
    }

    fn start(script: &str) -> (Keeper, mpsc::Receiver<Event>, watch::Sender<bool>) {
        let (events, heard) = mpsc::channel(8);
        let (ready, was_ready) = watch::channel(false);
        (Keeper::start(shell(script), events, was_ready), heard, ready)
    }

    fn ready(what: &str) -> Event {
        Event::Ready { name: "child".to_owned(), what: what.to_owned() }
    }

    #[tokio::test]
    async fn a_child_that_says_ready_is_heard_and_ends_with_its_stdin() {
        let (keeper, mut events, _ready) = start("echo noise; echo ready x y; cat; exit 0");
        assert_eq!(events.recv().await, Some(ready("x y")));
        Keeper::end(vec![keeper]).await;
        assert_eq!(events.recv().await, None);
    }

    #[tokio::test]
    async fn a_child_that_dies_is_started_again() {
        let (keeper, mut events, was_ready) = start("echo ready; echo ready $$; exit 3");
        was_ready.send_replace(true);
        let first = events.recv().await;
        let second = events.recv().await;
        assert!(first.is_some() && second.is_some() && first != second, "{first:?} {second:?}");
        Keeper::end(vec![keeper]).await;
    }

    #[tokio::test]
    async fn a_child_that_never_works_is_given_up() {
        let (keeper, mut events, _ready) = start("exit 1");
        assert_eq!(events.recv().await, Some(Event::GaveUp { name: "child".to_owned() }));
        Keeper::end(vec![keeper]).await;
    }

    #[tokio::test]
    async fn an_executable_that_is_not_there_is_given_up_too() {
        let (events, mut heard) = mpsc::channel(8);
        let (_ready, was_ready) = watch::channel(false);
        let program = Program { executable: "/none".into(), ..shell("") };
        let keeper = Keeper::start(program, events, was_ready);
        assert_eq!(heard.recv().await, Some(Event::GaveUp { name: "child".to_owned() }));
        Keeper::end(vec![keeper]).await;
    }
}

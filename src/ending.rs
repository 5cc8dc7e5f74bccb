//! When a process is asked to end.
//!
//! By SIGTERM or SIGINT, as any process. Under a parent it is SIGTERM or the end of stdin:
//! Ctrl-C reaches the whole process group, while the parent wants to end its children in order,
//! and the pipe also closes when the parent dies without a word.

use std::future::pending;
use std::io;

use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::sync::oneshot;

/// Listens for what ends the process, from its making on.
pub(crate) struct Ending {
    terminate: Signal,
    interrupt: Signal,
    parent_left: Option<oneshot::Receiver<()>>,
}

impl Ending {
    /// Listens. Under a parent, stdin must be a pipe that the parent holds open.
    ///
    /// # Errors
    /// If a signal's handler can't be set.
    pub(crate) fn listen(under_parent: bool) -> io::Result<Self> {
        Ok(Self {
            terminate: signal(SignalKind::terminate())?,
            interrupt: signal(SignalKind::interrupt())?,
            parent_left: under_parent.then(watch_stdin),
        })
    }

    /// Waits until the process is asked to end.
    pub(crate) async fn wait(mut self) {
        let under_parent = self.parent_left.is_some();
        let parent_left = async {
            match self.parent_left {
                Some(left) => drop(left.await),
                None => pending().await,
            }
        };
        let interrupted = async {
            self.interrupt.recv().await;
            // The handler stays set, so that later ones do nothing either.
            if under_parent {
                pending::<()>().await;
            }
        };
        tokio::select! {
            _ = self.terminate.recv() => {}
            () = interrupted => {}
            () = parent_left => {}
        }
    }
}

/// A thread of its own reads stdin: the runtime's would keep the process from ending.
fn watch_stdin() -> oneshot::Receiver<()> {
    let (left, parent_left) = oneshot::channel();
    std::thread::spawn(move || {
        let _ = io::copy(&mut io::stdin().lock(), &mut io::sink());
        let _ = left.send(());
    });
    parent_left
}

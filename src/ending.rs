//! When a process is asked to end, and how.
//!
//! By SIGTERM or SIGINT, as any process: then it ends in an orderly way, so that others take over
//! what it has. Under a parent it is SIGTERM or the end of stdin: Ctrl-C reaches the whole process
//! group, while the parent wants to end its children in order, and the pipe also closes when the
//! parent dies without a word. The parent ends the whole cluster, so that nobody is there to take
//! anything over.

use std::future::pending;
use std::io;

use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::sync::oneshot;

/// How a process is to end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Asked {
    /// Others take over what it has.
    Orderly,
    /// Everybody ends.
    AtOnce,
}

/// Listens for what ends the process, from its making on.
pub(crate) struct Ending {
    terminate: Signal,
    interrupt: Signal,
    parent: Parent,
}

/// Who has started the process.
enum Parent {
    /// Somebody who needn't be asked.
    Any,
    /// One that holds our stdin open.
    Holds(oneshot::Receiver<()>),
    Gone,
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
            parent: if under_parent { Parent::Holds(watch_stdin()) } else { Parent::Any },
        })
    }

    /// Waits until the process is asked to end; called again, until it is asked once more.
    pub(crate) async fn wait(&mut self) -> Asked {
        let Self { terminate, interrupt, parent } = self;
        let under_parent = !matches!(parent, Parent::Any);
        let parent_left = async {
            match parent {
                Parent::Any => pending().await,
                Parent::Holds(left) => {
                    let _ = left.await;
                    *parent = Parent::Gone;
                }
                Parent::Gone => {}
            }
        };
        let interrupted = async {
            interrupt.recv().await;
            // The handler stays set, so that later ones do nothing either.
            if under_parent {
                pending::<()>().await;
            }
        };
        tokio::select! {
            _ = terminate.recv() => Asked::Orderly,
            () = interrupted => Asked::Orderly,
            () = parent_left => Asked::AtOnce,
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

//! Handing the listening sockets of a router to the one that takes its place on the same machine.
//!
//! They go over a Unix socket of which only this user has anything. The old router goes on accepting
//! until the new one has said that it does; then it takes no more, and sends its clients away. The
//! kernel's queues belong to the sockets, which one of the two has open all the time, so that nobody
//! who is waiting in them is refused or reset.

mod wire;

use std::io;
use std::os::unix::fs::PermissionsExt;
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context, bail};
use tokio::net::UnixListener;
use tokio::task::spawn_blocking;
use tokio::time::sleep;

pub(crate) use self::wire::Sockets;

/// How long each side waits for a word of the other.
const PATIENCE: Duration = Duration::from_secs(5);
/// How long the new router may take until it accepts: longer than it waits for its trunks.
const START: Duration = Duration::from_secs(30);
/// The pause after a failed accept: what it failed for lasts.
const PAUSE: Duration = Duration::from_millis(100);

/// Whom the sockets are taken over from.
pub(crate) struct Predecessor(UnixStream);

impl Predecessor {
    /// Says that its sockets are accepted from now.
    ///
    /// # Errors
    /// If it is gone.
    pub(crate) fn relieve(self) -> io::Result<()> {
        wire::relieve(&self.0)
    }
}

/// Takes the sockets of the router that runs, if there is one.
///
/// # Errors
/// If it is another user's, or doesn't give them.
pub(crate) async fn take(path: &Path) -> anyhow::Result<Option<(Predecessor, Sockets)>> {
    let stream = match tokio::net::UnixStream::connect(path).await {
        Ok(stream) => stream,
        // What is there is left from one that has crashed.
        Err(error) if error.kind() == io::ErrorKind::ConnectionRefused => return Ok(None),
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(error) => {
            return Err(error).with_context(|| {
                format!("cannot connect to {}; correct router.handover", path.display())
            });
        }
    };
    let stream =
        trusted(stream).with_context(|| format!("{} is not to be trusted", path.display()))?;
    let (stream, sockets) = spawn_blocking(move || {
        let sockets = wire::receive(&stream);
        sockets.map(|sockets| (stream, sockets))
    })
    .await?
    .context("the router that runs doesn't hand over its sockets; end it first")?;
    Ok(Some((Predecessor(stream), sockets)))
}

/// A stream of this user's own, to be read and written by a thread.
fn trusted(stream: tokio::net::UnixStream) -> anyhow::Result<UnixStream> {
    let other = stream.peer_cred()?.uid();
    let own = rustix::process::geteuid().as_raw();
    if other != own {
        bail!("the other end is user {other}'s, and this process user {own}'s");
    }
    let stream = stream.into_std()?;
    stream.set_nonblocking(false)?;
    stream.set_read_timeout(Some(PATIENCE))?;
    stream.set_write_timeout(Some(PATIENCE))?;
    Ok(stream)
}

/// Where the next router asks for the sockets.
pub(crate) struct Door {
    listener: UnixListener,
    path: PathBuf,
}

impl Door {
    /// Takes the place of whoever was there before.
    ///
    /// # Errors
    /// If no socket can be made there.
    pub(crate) fn open(path: &Path) -> anyhow::Result<Self> {
        // Made beside its place, so that at each time one of the two is there.
        let mut new = path.as_os_str().to_owned();
        new.push(format!(".{}", std::process::id()));
        let new = PathBuf::from(new);
        let open = || {
            match std::fs::remove_file(&new) {
                Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
                _ => {}
            }
            let listener = UnixListener::bind(&new)?;
            std::fs::set_permissions(&new, std::fs::Permissions::from_mode(0o600))?;
            std::fs::rename(&new, path)?;
            Ok(listener)
        };
        let listener = open().with_context(|| {
            format!("cannot listen at {}; correct router.handover", path.display())
        })?;
        Ok(Self { listener, path: path.to_owned() })
    }

    /// Returns when another router accepts from the sockets, of which it is given those that
    /// `copies` makes.
    pub(crate) async fn hand_over(&self, copies: impl Fn() -> io::Result<Sockets>) {
        loop {
            let stream = match self.listener.accept().await {
                Ok((stream, _)) => stream,
                Err(error) => {
                    tracing::warn!(%error, "cannot be asked for the listening sockets");
                    sleep(PAUSE).await;
                    continue;
                }
            };
            let given = async {
                let (stream, sockets) = (trusted(stream)?, copies()?);
                spawn_blocking(move || {
                    wire::send(&stream, &sockets)?;
                    stream.set_read_timeout(Some(START))?;
                    wire::await_relief(&stream)
                })
                .await?
                .context("the new router has not begun to accept")
            };
            match given.await {
                Ok(()) => return,
                Err(error) => {
                    let error = format!("{error:#}");
                    tracing::warn!(%error, "the listening sockets were not taken over");
                }
            }
        }
    }

    /// Leaves its place empty, where nobody else has taken it.
    pub(crate) fn close(self) {
        // An error is a socket that is gone already.
        let _ = std::fs::remove_file(&self.path);
    }
}

#[cfg(test)]
mod tests {
    use std::net::TcpListener;

    use super::*;

    fn listener() -> TcpListener {
        TcpListener::bind("127.0.0.1:0").unwrap()
    }

    fn copies(sockets: &Sockets) -> io::Result<Sockets> {
        let clients = sockets.clients.iter().map(TcpListener::try_clone);
        Ok(Sockets {
            clients: clients.collect::<io::Result<_>>()?,
            api: sockets.api.as_ref().map(TcpListener::try_clone).transpose()?,
            metrics: sockets.metrics.as_ref().map(TcpListener::try_clone).transpose()?,
        })
    }

    fn addresses(sockets: &Sockets) -> Vec<u16> {
        let Sockets { clients, api, metrics } = sockets;
        let all = clients.iter().chain(api).chain(metrics);
        all.map(|it| it.local_addr().unwrap().port()).collect()
    }

    #[tokio::test]
    async fn all_sockets_are_handed_over_and_each_is_what_it_was() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("router.sock");
        assert!(take(&path).await.unwrap().is_none());
        let sockets = Sockets {
            clients: (0..300).map(|_| listener()).collect(),
            api: Some(listener()),
            metrics: Some(listener()),
        };
        let door = Door::open(&path).unwrap();
        let mode = std::fs::metadata(&path).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600);
        let expected = addresses(&sockets);
        let take = async {
            let (predecessor, taken) = take(&path).await.unwrap().unwrap();
            assert_eq!(addresses(&taken), expected);
            let next = Door::open(&path).unwrap();
            predecessor.relieve().unwrap();
            next
        };
        let ((), next) = tokio::join!(door.hand_over(|| copies(&sockets)), take);
        // The next one's is there.
        drop(door);
        assert!(path.exists());
        next.close();
        assert!(!path.exists());
    }

    #[tokio::test]
    async fn one_that_dies_before_it_accepts_takes_over_nothing() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("router.sock");
        let door = Door::open(&path).unwrap();
        let sockets = Sockets { clients: vec![listener()], api: None, metrics: None };
        let take_twice = async {
            let (predecessor, _) = take(&path).await.unwrap().unwrap();
            drop(predecessor);
            let (predecessor, taken) = take(&path).await.unwrap().unwrap();
            assert_eq!(addresses(&taken), addresses(&sockets));
            predecessor.relieve().unwrap();
        };
        tokio::join!(door.hand_over(|| copies(&sockets)), take_twice);
    }

    #[tokio::test]
    async fn a_socket_that_a_crashed_router_left_is_nobodys() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("router.sock");
        drop(Door::open(&path).unwrap());
        assert!(take(&path).await.unwrap().is_none());
        Door::open(&path).unwrap().close();
    }
}

//! The shard map in a file, which is looked at when the system says that its folder has changed, and
//! seldom besides.

use std::path::PathBuf;
use std::time::{Duration, SystemTime};

use tokio::time::{sleep, timeout};

use super::watch::Watch;

/// From one look to the next while it changes, or the system doesn't tell: about as far apart the
/// processes of a machine go over to a map, and while they differ what moves waits.
const LOOK: Duration = Duration::from_millis(100);
/// A look that nobody has asked for: file systems of other machines don't tell what those have done.
const UNTOLD: Duration = Duration::from_secs(2);
/// A file counts as written when so many looks in a row have found the same.
const STILL: u32 = 5;

/// What a look finds without reading: when it was written, and how long it is.
type Look = Option<(SystemTime, u64)>;

/// A map's file, and what was last found there.
pub(crate) struct MapFile {
    path: PathBuf,
    read: Look,
    seen: Look,
    /// How often in a row that was seen.
    still: u32,
    watch: Option<Watch>,
}

impl MapFile {
    /// A file that has not been looked at: the first look counts as a change, for there may have
    /// been one since the map was read.
    pub(crate) async fn new(path: PathBuf) -> Self {
        let watched = path.clone();
        let watch = tokio::task::spawn_blocking(move || Watch::beside(&watched)).await;
        let watch = match watch.unwrap_or_else(|ended| Err(std::io::Error::other(ended).into())) {
            Ok(watch) => Some(watch),
            Err(error) => {
                tracing::warn!(file = %path.display(), %error, "the system can't watch the file; it is looked at often");
                None
            }
        };
        Self { path, read: None, seen: None, still: 0, watch }
    }

    /// Waits until the file has changed and is written.
    pub(crate) async fn changed(&mut self) {
        loop {
            let now = self.look().await;
            self.still = if now == self.seen { self.still.saturating_add(1) } else { 1 };
            self.seen = now;
            if now != self.read && self.still >= STILL && now.is_some() {
                self.read = now;
                return;
            }
            self.wait().await;
        }
    }

    /// Waits until it is time for another look.
    async fn wait(&self) {
        match &self.watch {
            Some(watch) if self.still >= STILL => {
                // Without word it is looked at all the same.
                let _ = timeout(UNTOLD, watch.told()).await;
            }
            Some(_) | None => sleep(LOOK).await,
        }
    }

    async fn look(&self) -> Look {
        let metadata = tokio::fs::metadata(&self.path).await.ok()?;
        Some((metadata.modified().ok()?, metadata.len()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn a_file_that_is_being_written_is_not_read() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("shards.toml");
        let mut file = MapFile::new(path.clone()).await;
        let writes = async {
            for length in 1..=5 {
                std::fs::write(&path, "x".repeat(length)).unwrap();
                sleep(LOOK * (STILL - 2)).await;
            }
            std::future::pending::<()>().await;
        };
        tokio::select! {
            () = file.changed() => {}
            () = writes => {}
        }
        assert_eq!(std::fs::read_to_string(&path).unwrap().len(), 5);
    }

    #[tokio::test(start_paused = true)]
    async fn each_writing_of_a_file_is_one_change_and_its_absence_is_none() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("shards.toml");
        std::fs::write(&path, "1").unwrap();
        let mut file = MapFile::new(path.clone()).await;
        let mut found = Vec::new();
        for text in ["one", "three", "as it is"] {
            file.changed().await;
            found.push(std::fs::read_to_string(&path).unwrap());
            std::fs::remove_file(&path).unwrap();
            let absent = timeout(4 * STILL * LOOK, file.changed()).await;
            assert!(absent.is_err());
            std::fs::write(&path, text).unwrap();
        }
        assert_eq!(found, ["1", "one", "three"]);
        file.changed().await;
        assert!(timeout(4 * STILL * LOOK, file.changed()).await.is_err());
    }
}

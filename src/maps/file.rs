//! The shard map in a file, which is looked at again and again.

use std::path::PathBuf;
use std::time::{Duration, SystemTime};

use tokio::time::sleep;

/// From one look to the next: about as far apart the processes of a machine go over to a map, and
/// while they differ what moves waits.
const LOOK: Duration = Duration::from_millis(100);
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
}

impl MapFile {
    /// A file that has not been looked at: the first look counts as a change, for there may have
    /// been one since the map was read.
    pub(crate) fn new(path: PathBuf) -> Self {
        Self { path, read: None, seen: None, still: 0 }
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
            sleep(LOOK).await;
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
        let mut file = MapFile::new(path.clone());
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
        let mut file = MapFile::new(path.clone());
        let mut found = Vec::new();
        for text in ["one", "three", "as it is"] {
            file.changed().await;
            found.push(std::fs::read_to_string(&path).unwrap());
            std::fs::remove_file(&path).unwrap();
            let absent = tokio::time::timeout(4 * STILL * LOOK, file.changed()).await;
            assert!(absent.is_err());
            std::fs::write(&path, text).unwrap();
        }
        assert_eq!(found, ["1", "one", "three"]);
        file.changed().await;
        assert!(tokio::time::timeout(4 * STILL * LOOK, file.changed()).await.is_err());
    }
}

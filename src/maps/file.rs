//! The shard map in a file, which is looked at again and again.

use std::path::PathBuf;
use std::time::{Duration, SystemTime};

use tokio::time::sleep;
use trunkline_config::MapId;

use super::judge;

/// From one look to the next. A file counts as written when two looks have found the same.
const LOOK: Duration = Duration::from_millis(500);

/// What a look finds without reading: when it was written, and how long it is.
type Look = Option<(SystemTime, u64)>;

/// A map's file, and the map that is in use.
pub(crate) struct MapFile {
    path: PathBuf,
    current: MapId,
}

impl MapFile {
    pub(crate) fn new(path: PathBuf, current: MapId) -> Self {
        Self { path, current }
    }

    /// Waits for a map of a higher version, which `load` reads and judges. What is wrong with a
    /// file that has changed is logged, and the map in use stays in use.
    pub(crate) async fn newer(&mut self, load: impl Fn() -> anyhow::Result<MapId>) -> MapId {
        // The first look counts as a change: there may have been one since the map was read.
        let (mut read, mut seen) = (None, None);
        loop {
            let now = self.look().await;
            sleep(LOOK).await;
            let is_still = now == seen;
            seen = now;
            if now == read || !is_still || now.is_none() {
                continue;
            }
            read = now;
            if let Some(id) = judge(self.current, &self.path.display(), load()) {
                return id;
            }
        }
    }

    async fn look(&self) -> Look {
        let metadata = tokio::fs::metadata(&self.path).await.ok()?;
        Some((metadata.modified().ok()?, metadata.len()))
    }
}

#[cfg(test)]
mod tests {
    use anyhow::bail;

    use super::*;

    fn id(version: u64, digest: u64) -> MapId {
        MapId { version, digest }
    }

    #[tokio::test(start_paused = true)]
    async fn only_a_higher_version_in_a_file_that_has_changed_is_news() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("shards.toml");
        std::fs::write(&path, "1").unwrap();
        let mut maps = MapFile::new(path.clone(), id(3, 1));
        let load = || match std::fs::read_to_string(&path)?.as_str() {
            "1" => Ok(id(3, 1)),
            "broken" => bail!("it is broken"),
            "older!" => Ok(id(2, 9)),
            "same version" => Ok(id(3, 2)),
            "newer" => Ok(id(4, 3)),
            other => panic!("{other} was not written to be read"),
        };
        let write = async {
            for text in ["broken", "older!", "same version", "newer"] {
                std::fs::write(&path, text).unwrap();
                sleep(4 * LOOK).await;
            }
        };
        let (newer, ()) = tokio::join!(maps.newer(load), write);
        assert_eq!(newer, id(4, 3));
    }
}

//! Word from the system that something has changed in a folder.

use std::path::Path;
use std::sync::Arc;

use notify::event::{AccessKind, AccessMode};
use notify::{EventKind, RecommendedWatcher, RecursiveMode, Watcher};
use tokio::sync::Notify;

/// Watches a file's folder rather than the file: most that write it put another in its place, or, as
/// Kubernetes does, a link beside it.
pub(crate) struct Watch {
    told: Arc<Notify>,
    _watcher: RecommendedWatcher,
}

impl Watch {
    /// Begins to watch the folder that a file is in. Blocks for as long as the system takes to find it.
    ///
    /// # Errors
    /// If the folder isn't there, or the system watches no more for this user.
    pub(crate) fn beside(file: &Path) -> notify::Result<Self> {
        let told = Arc::new(Notify::new());
        let teller = Arc::clone(&told);
        let mut watcher =
            notify::recommended_watcher(move |event: notify::Result<notify::Event>| {
                // Of an error it can't be known what was missed.
                if event.map_or(true, |event| is_change(event.kind)) {
                    teller.notify_one();
                }
            })?;
        let folder = file.parent().filter(|it| !it.as_os_str().is_empty());
        watcher.watch(folder.unwrap_or(Path::new(".")), RecursiveMode::NonRecursive)?;
        Ok(Self { told, _watcher: watcher })
    }

    /// Waits until something has changed since the last time.
    pub(crate) async fn told(&self) {
        self.told.notified().await;
    }
}

/// Whether a file may be another afterwards. Those who read it are many.
fn is_change(kind: EventKind) -> bool {
    match kind {
        EventKind::Access(access) => access == AccessKind::Close(AccessMode::Write),
        _ => true,
    }
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::os::unix::fs::symlink;
    use std::time::Duration;

    use tokio::time::timeout;

    use super::*;

    #[tokio::test]
    async fn a_file_that_is_written_or_replaced_is_told() {
        let folder = tempfile::tempdir().unwrap();
        let at = |name| folder.path().join(name);
        let path = at("shards.toml");
        fs::write(&path, "1").unwrap();
        let watch = Watch::beside(&path).unwrap();
        let told = async || timeout(Duration::from_secs(30), watch.told()).await;
        fs::write(&path, "2").unwrap();
        told().await.unwrap();
        fs::write(at("new"), "3").unwrap();
        fs::rename(at("new"), &path).unwrap();
        told().await.unwrap();
        fs::remove_file(&path).unwrap();
        told().await.unwrap();
        symlink(at("data"), at("next")).unwrap();
        fs::rename(at("next"), &path).unwrap();
        told().await.unwrap();
    }

    #[test]
    fn who_reads_changes_nothing() {
        assert!(!is_change(EventKind::Access(AccessKind::Open(AccessMode::Any))));
        assert!(!is_change(EventKind::Access(AccessKind::Close(AccessMode::Read))));
        assert!(is_change(EventKind::Access(AccessKind::Close(AccessMode::Write))));
        assert!(is_change(EventKind::Modify(notify::event::ModifyKind::Any)));
    }

    #[test]
    fn a_folder_that_is_not_there_is_an_error() {
        assert!(Watch::beside(Path::new("not/there/shards.toml")).is_err());
    }
}

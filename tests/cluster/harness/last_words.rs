//! What a cluster's processes have logged, for those who read why a test has failed.

use std::path::Path;

use super::Cluster;

/// Of each log, in bytes: what matters is near the end.
const MOST: usize = 8 * 1024;

impl Drop for Cluster {
    fn drop(&mut self) {
        if std::thread::panicking() {
            show_logs(self.folder.path());
        }
    }
}

#[expect(clippy::print_stderr, reason = "it is shown with the test that fails")]
fn show_logs(folder: &Path) {
    let entries = std::fs::read_dir(folder).into_iter().flatten().flatten();
    let mut paths: Vec<_> = entries.map(|entry| entry.path()).collect();
    paths.sort_unstable();
    for path in paths.iter().filter(|path| path.extension().is_some_and(|it| it == "log")) {
        let log = std::fs::read(path).unwrap_or_default();
        let end = &log[log.len().saturating_sub(MOST)..];
        eprintln!("--- {}\n{}", path.display(), String::from_utf8_lossy(end));
    }
}

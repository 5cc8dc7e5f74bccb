//! How much has yet to move, as a bar.

use indicatif::{ProgressBar, ProgressStyle};

/// A bar that grows when more is found on the way; nothing is shown where there is no terminal.
pub(crate) struct Bar {
    bar: ProgressBar,
}

impl Bar {
    pub(crate) fn new() -> Self {
        let bar = ProgressBar::new(0);
        // The template is a constant, and right.
        if let Ok(style) = ProgressStyle::with_template("{msg} {wide_bar} {pos}/{len}") {
            bar.set_style(style);
        }
        Self { bar }
    }

    /// So much is left.
    pub(crate) fn show(&self, topics: u64, connections: u64) {
        let left = topics + connections;
        let all = self.bar.length().unwrap_or_default().max(left);
        self.bar.set_length(all);
        self.bar.set_position(all - left);
        self.bar.set_message(format!("{topics} topics, {connections} clients"));
    }

    pub(crate) fn finish(self) {
        self.bar.finish_and_clear();
    }
}

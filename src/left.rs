//! How much has yet to move: as a bar where there is a terminal, and now and then in words, which
//! also say what it waits for.

use std::time::Duration;

use indicatif::{ProgressBar, ProgressStyle};
use tokio::time::Instant;

use crate::terminal::complain;

/// From one look at whether there is something new to be said to the next.
const SAY: Duration = Duration::from_secs(3);

/// A bar that grows when more is found on the way, and what is said beside it.
pub(crate) struct Bar {
    bar: ProgressBar,
    said: String,
    /// When more is said.
    say: Instant,
}

impl Bar {
    pub(crate) fn new() -> Self {
        let bar = ProgressBar::new(0);
        // The template is a constant, and right.
        if let Ok(style) = ProgressStyle::with_template("{msg} {wide_bar} {pos}/{len}") {
            bar.set_style(style);
        }
        Self { bar, said: String::new(), say: Instant::now() + SAY }
    }

    /// When it is time to say in words what is left.
    pub(crate) fn next(&self) -> Instant {
        self.say
    }

    /// Says what is left, if it is time to and something else than the last time.
    pub(crate) fn tell(&mut self, text: String) {
        if Instant::now() < self.say {
            return;
        }
        self.say += SAY;
        if text != self.said {
            self.bar.suspend(|| complain(&text));
            self.said = text;
        }
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

//! What happened, line by line, for whoever has to find out why.

use std::collections::VecDeque;
use std::fmt;
use std::hash::{DefaultHasher, Hash, Hasher};

/// The last lines of a run, and a digest of all of them. Off by default: to format every input
/// and output takes longer than to handle it.
#[derive(Debug, Default)]
pub(crate) struct Trace {
    lines: Option<VecDeque<String>>,
    most: usize,
    digest: DefaultHasher,
}

impl Trace {
    /// A trace that keeps the last `most` lines.
    pub(crate) fn of(most: usize) -> Self {
        Self { lines: Some(VecDeque::new()), most, ..Self::default() }
    }

    pub(crate) fn line(&mut self, line: fmt::Arguments<'_>) {
        let Some(lines) = &mut self.lines else { return };
        let line = line.to_string();
        line.hash(&mut self.digest);
        if lines.len() == self.most {
            lines.pop_front();
        }
        lines.push_back(line);
    }

    /// The last lines, oldest first.
    pub(crate) fn lines(&self) -> impl Iterator<Item = &str> {
        self.lines.iter().flatten().map(String::as_str)
    }

    /// A number that two runs share only if they did the same.
    pub(crate) fn digest(&self) -> u64 {
        self.digest.finish()
    }
}

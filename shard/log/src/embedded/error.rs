//! Why a store can't be opened or repaired, and what to do about it.

use std::fmt::Write as _;
use std::path::PathBuf;

use super::damage::TopicDamage;

/// Why a store can't be opened.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// The file or its folder can't be made or read.
    #[error("cannot open {path}: {source}; give a file in a folder that this user may write to")]
    File {
        /// The file.
        path: PathBuf,
        /// What the system says.
        source: std::io::Error,
    },
    /// Another process has it.
    #[error(
        "{path} is in use by another process; stop that one, or give each shard a file of its own"
    )]
    InUse {
        /// The file.
        path: PathBuf,
    },
    /// It is another shard's.
    #[error("{path} is the store of {found}, not of {expected}; give each shard its own file")]
    Foreign {
        /// The file.
        path: PathBuf,
        /// Whose it is.
        found: String,
        /// Whose it should be.
        expected: String,
    },
    /// A newer version of this program has written it.
    #[error("{path} has format {found}, and this version reads {known}; use a newer version")]
    Format {
        /// The file.
        path: PathBuf,
        /// Its format.
        found: u32,
        /// The format that is known.
        known: u32,
    },
    /// Records in the middle of a topic, or where topics stand, aren't as they were written.
    #[error(
        "{path} is damaged: {}; run `trunkline repair {path}` to see what it can save",
        some(damages)
    )]
    Damaged {
        /// The file.
        path: PathBuf,
        /// What is damaged, topic by topic.
        damages: Vec<TopicDamage>,
    },
    /// The database can't be read.
    #[error(
        "{path} can't be read: {reason}; run `trunkline repair {path}` to see what it can save"
    )]
    Unreadable {
        /// The file.
        path: PathBuf,
        /// What the database says.
        reason: String,
    },
}

/// Why a store can't be repaired.
#[derive(Debug, thiserror::Error)]
pub enum RepairError {
    /// The file can't be read, or its successor can't be written.
    #[error("cannot repair {path}: {source}")]
    File {
        /// The file.
        path: PathBuf,
        /// What the system says.
        source: std::io::Error,
    },
    /// A process has it.
    #[error("{path} is in use; stop the shard that uses it first")]
    InUse {
        /// The file.
        path: PathBuf,
    },
    /// Nothing can be read.
    #[error(
        "nothing can be read from {path}: {reason}; restore it from a backup, or move it away and the shard begins anew with a new file"
    )]
    Hopeless {
        /// The file.
        path: PathBuf,
        /// What the database says.
        reason: String,
    },
    /// The repaired file can't be written.
    #[error("cannot write {path}: {reason}; {free}", free = "the damaged file is as it was")]
    Write {
        /// The new file.
        path: PathBuf,
        /// What the database says.
        reason: String,
    },
}

/// How many damaged topics a message names.
const NAMED: usize = 3;

fn some(damages: &[TopicDamage]) -> String {
    let mut text = String::new();
    for damage in damages.iter().take(NAMED) {
        let separator = if text.is_empty() { "" } else { "; " };
        let _ = write!(text, "{separator}{damage}");
    }
    if damages.len() > NAMED {
        let _ = write!(text, "; and {} more topics", damages.len() - NAMED);
    }
    text
}

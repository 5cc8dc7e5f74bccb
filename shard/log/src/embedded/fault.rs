//! What goes wrong beneath the store while it runs.

use trunkline_core::Topic;

use super::tables::Place;

/// Why a transaction came to nothing.
#[derive(Debug, thiserror::Error)]
pub(super) enum Fault {
    /// The disk, or redb.
    #[error(transparent)]
    Database(Box<redb::Error>),
    /// What is read isn't what was written.
    #[error("{0} is damaged")]
    Damaged(String),
    /// redb panics where it reads what it has never written.
    #[error("the database gave up: {0}")]
    Panicked(String),
    /// It was closed after an earlier fault, and doesn't open yet.
    #[error("the database is closed")]
    Closed,
}

impl Fault {
    pub(super) fn segment((id, offset): Place) -> Self {
        Self::Damaged(format!("the segment from offset {offset} of the topic with ID {id}"))
    }

    pub(super) fn key((id, offset): Place) -> Self {
        Self::Damaged(format!("the key of message {offset} of the topic with ID {id}"))
    }

    pub(super) fn topic(topic: &Topic) -> Self {
        Self::Damaged(format!("where {topic} stands"))
    }

    pub(super) fn meta(name: &str) -> Self {
        Self::Damaged(format!("the store's {name}"))
    }

    /// What a panic said.
    pub(super) fn panic(panic: &(dyn std::any::Any + Send)) -> Self {
        let text = panic.downcast_ref::<&str>().map(|text| (*text).to_owned());
        let text = text.or_else(|| panic.downcast_ref::<String>().cloned());
        Self::Panicked(text.unwrap_or_else(|| "no reason given".to_owned()))
    }

    /// What has gone wrong with a snapshot of a database that may have been closed, and opened again,
    /// since.
    pub(super) fn or_closed(self) -> Self {
        match self {
            Fault::Database(error) if matches!(*error, redb::Error::DatabaseClosed) => {
                Fault::Closed
            }
            fault => fault,
        }
    }

    /// Whether the file has to be verified before it is used again.
    pub(super) fn calls_for_verification(&self) -> bool {
        match self {
            Fault::Damaged(_) | Fault::Panicked(_) => true,
            Fault::Database(error) => matches!(**error, redb::Error::Corrupted(_)),
            Fault::Closed => false,
        }
    }
}

macro_rules! from_redb {
    ($($error:ident),*) => {
        $(
            impl From<redb::$error> for Fault {
                fn from(error: redb::$error) -> Self {
                    Self::Database(Box::new(error.into()))
                }
            }
        )*
    };
}
from_redb!(StorageError, TableError, TransactionError, CommitError, DatabaseError);

/// Runs what may meet a damaged page, at which redb may panic.
pub(super) fn contained<T>(work: impl FnOnce() -> Result<T, Fault>) -> Result<T, Fault> {
    // What `work` borrows is let go of by whoever sees a fault: the database is opened anew.
    match std::panic::catch_unwind(std::panic::AssertUnwindSafe(work)) {
        Ok(result) => result,
        Err(panic) => Err(Fault::panic(&*panic)),
    }
}

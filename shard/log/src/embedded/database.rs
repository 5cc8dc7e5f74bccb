//! The database that both threads use, and that is closed and opened again after a fault.

use std::fmt;
use std::sync::{PoisonError, RwLock, RwLockReadGuard};

use redb::{Builder, DatabaseError};

use super::fault::{Fault, contained};

/// What redb may keep in memory of the file, in bytes. The system keeps more.
const CACHE_BYTES: usize = 64 << 20;

/// Opens the database, wherever it is.
pub(super) type Opener =
    Box<dyn Fn(&Builder) -> Result<redb::Database, DatabaseError> + Send + Sync>;

/// The database, unless a fault has closed it.
pub(super) struct Database {
    opener: Opener,
    /// Whoever reads or writes holds the lock shared; who closes it waits for them.
    open: RwLock<Option<redb::Database>>,
}

impl fmt::Debug for Database {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Database").finish_non_exhaustive()
    }
}

impl Database {
    /// One that isn't open yet.
    pub(super) fn new(opener: Opener) -> Self {
        Self { opener, open: RwLock::new(None) }
    }

    /// Does something with the database, if it is open.
    pub(super) fn with<T>(
        &self,
        work: impl FnOnce(&redb::Database) -> Result<T, Fault>,
    ) -> Result<T, Fault> {
        let open = self.shared();
        let database = open.as_ref().ok_or(Fault::Closed)?;
        contained(|| work(database))
    }

    pub(super) fn is_open(&self) -> bool {
        self.shared().is_some()
    }

    /// Closes it, when who reads has done so.
    pub(super) fn close(&self) {
        let closed = self.open.write().unwrap_or_else(PoisonError::into_inner).take();
        // It writes as it closes, and may find what it reads damaged: then it is closed as well.
        let _ = contained(|| {
            drop(closed);
            Ok(())
        });
    }

    /// Opens it, with the checksum of every page if `check`.
    pub(super) fn reopen(&self, check: bool) -> Result<(), Fault> {
        self.close();
        let database = contained(|| Ok((self.opener)(&builder(check))?))?;
        *self.open.write().unwrap_or_else(PoisonError::into_inner) = Some(database);
        Ok(())
    }

    fn shared(&self) -> RwLockReadGuard<'_, Option<redb::Database>> {
        self.open.read().unwrap_or_else(PoisonError::into_inner)
    }
}

/// How a database is opened.
pub(super) fn builder(check: bool) -> Builder {
    let mut builder = redb::Database::builder();
    builder.set_cache_size(CACHE_BYTES).set_check_integrity_on_open(check);
    builder
}

//! A value that many tasks watch: each sees the newest, not every one.
//!
//! It is tokio's `watch` in all that is used of it, but for one thing: who waits is woken in the
//! order in which they have begun to wait. Tokio's spreads those who wait at random, so that simulated clusters
//! would not do the same each time.

use std::fmt::{self, Debug, Formatter};
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, PoisonError, RwLock, RwLockReadGuard};

use tokio::sync::Notify;

/// Has the value, and changes it. When all clones are gone, nobody waits any more.
pub struct Sender<T> {
    shared: Arc<Shared<T>>,
}

/// Sees the value, and waits until it changes.
pub struct Receiver<T> {
    shared: Arc<Shared<T>>,
    /// How many changes it has seen.
    seen: u64,
}

/// The value as it is now. It can't change meanwhile, so that it isn't kept across an await.
pub type Ref<'a, T> = RwLockReadGuard<'a, T>;

/// All senders are gone: the value never changes again.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the value never changes again")]
pub struct Closed;

/// Both ends, with the first value.
#[must_use]
pub fn channel<T>(value: T) -> (Sender<T>, Receiver<T>) {
    let sender = Sender::new(value);
    let receiver = sender.subscribe();
    (sender, receiver)
}

struct Shared<T> {
    value: RwLock<T>,
    /// How often it has changed; written under the lock.
    changes: AtomicU64,
    senders: AtomicUsize,
    news: Notify,
}

impl<T> Shared<T> {
    /// A task that panicked can't have left it half changed: values are replaced as a whole.
    fn read(&self) -> Ref<'_, T> {
        self.value.read().unwrap_or_else(PoisonError::into_inner)
    }
}

impl<T> Sender<T> {
    /// With the first value.
    pub fn new(value: T) -> Self {
        let shared = Shared {
            value: RwLock::new(value),
            changes: AtomicU64::new(0),
            senders: AtomicUsize::new(1),
            news: Notify::new(),
        };
        Self { shared: Arc::new(shared) }
    }

    /// Somebody more who watches. They have seen what is there now.
    #[must_use]
    pub fn subscribe(&self) -> Receiver<T> {
        // No change can come between the two while the value is read.
        let _now = self.shared.read();
        let seen = self.shared.changes.load(Ordering::Relaxed);
        Receiver { shared: Arc::clone(&self.shared), seen }
    }

    /// The value now.
    pub fn borrow(&self) -> Ref<'_, T> {
        self.shared.read()
    }

    /// Changes the value, and wakes who watches it if `change` says that it has. Gives back what it says.
    pub fn send_if_modified(&self, change: impl FnOnce(&mut T) -> bool) -> bool {
        {
            let mut value = self.shared.value.write().unwrap_or_else(PoisonError::into_inner);
            if !change(&mut value) {
                return false;
            }
            // Whoever sees that it has changed waits for the lock to see how.
            self.shared.changes.fetch_add(1, Ordering::Release);
        }
        self.shared.news.notify_waiters();
        true
    }

    /// Puts another value in its place, though it were the same; gives back the one before.
    pub fn send_replace(&self, mut value: T) -> T {
        self.send_if_modified(|now| {
            std::mem::swap(now, &mut value);
            true
        });
        value
    }
}

impl<T> Drop for Sender<T> {
    fn drop(&mut self) {
        if self.shared.senders.fetch_sub(1, Ordering::AcqRel) == 1 {
            self.shared.news.notify_waiters();
        }
    }
}

impl<T> Receiver<T> {
    /// The value now; a change that it shows may still be news.
    pub fn borrow(&self) -> Ref<'_, T> {
        self.shared.read()
    }

    /// The value now, which is no news any more.
    pub fn borrow_and_update(&mut self) -> Ref<'_, T> {
        let value = self.shared.read();
        self.seen = self.shared.changes.load(Ordering::Relaxed);
        value
    }

    /// Takes the value for news, whatever it is.
    pub fn mark_changed(&mut self) {
        self.seen = self.seen.wrapping_sub(1);
    }

    /// Whether there is news.
    #[must_use]
    pub fn has_changed(&self) -> bool {
        self.seen != self.changes()
    }

    /// Waits until there is news, which then is none any more.
    ///
    /// # Errors
    /// [`Closed`] if there is none and never will be.
    pub async fn changed(&mut self) -> Result<(), Closed> {
        loop {
            // Whatever comes from here on wakes it, though it doesn't wait yet.
            let news = self.shared.news.notified();
            let closed = self.shared.senders.load(Ordering::Acquire) == 0;
            let changes = self.changes();
            if self.seen != changes {
                self.seen = changes;
                return Ok(());
            }
            if closed {
                return Err(Closed);
            }
            news.await;
        }
    }

    /// Waits until the value is such.
    ///
    /// # Errors
    /// [`Closed`] if it isn't and never will be.
    pub async fn wait_for(&mut self, is_such: impl Fn(&T) -> bool) -> Result<(), Closed> {
        while !is_such(&self.borrow_and_update()) {
            self.changed().await?;
        }
        Ok(())
    }

    fn changes(&self) -> u64 {
        self.shared.changes.load(Ordering::Acquire)
    }
}

impl<T: Default> Default for Sender<T> {
    fn default() -> Self {
        Self::new(T::default())
    }
}

impl<T> Clone for Sender<T> {
    fn clone(&self) -> Self {
        self.shared.senders.fetch_add(1, Ordering::Relaxed);
        Self { shared: Arc::clone(&self.shared) }
    }
}

impl<T> Clone for Receiver<T> {
    fn clone(&self) -> Self {
        Self { shared: Arc::clone(&self.shared), seen: self.seen }
    }
}

impl<T: Debug> Debug for Sender<T> {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Sender").field(&*self.borrow()).finish()
    }
}

impl<T: Debug> Debug for Receiver<T> {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Receiver").field(&*self.borrow()).finish()
    }
}

#[cfg(test)]
mod tests;

//! The runtime of a thread that carries traffic.
//!
//! A thread that has just worked may wait a little before it looks for more, so that what comes
//! meanwhile is read, handled and written together: one wake-up, one batch on each stream and one
//! write to each client where there would be many. The wait is taken where the thread would go
//! to sleep anyway, so a thread that has more to do than fits never waits, and one that was idle
//! for longer than the wait answers at once. It is what network cards do with interrupts.

use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use tokio::runtime::{Builder, LocalOptions, LocalRuntime};

/// A runtime of one thread that looks for work at most once in `delay`; zero: as often as there
/// is some. Tasks that never leave the thread are tasks like others: in a set of their own, to wake
/// one would be to wake the set, and to look for other work in between.
///
/// # Errors
/// When the machine refuses what a runtime needs.
pub fn gathering(delay: Duration) -> io::Result<LocalRuntime> {
    let mut builder = Builder::new_current_thread();
    builder.enable_all();
    if !delay.is_zero() {
        let parking = Arc::new(Wakes::new(delay));
        let waking = Arc::clone(&parking);
        builder.on_thread_park(move || {
            if let Some(rest) = parking.rest(Instant::now()) {
                thread::sleep(rest);
            }
        });
        builder.on_thread_unpark(move || waking.note(Instant::now()));
    }
    builder.build_local(LocalOptions::default())
}

/// When the thread last looked for work. Only that thread reads and writes it, but the runtime
/// wants its hooks to be `Sync`.
struct Wakes {
    delay: Duration,
    origin: Instant,
    last: AtomicU64,
}

impl Wakes {
    fn new(delay: Duration) -> Self {
        Self { delay, origin: Instant::now(), last: AtomicU64::new(0) }
    }

    fn note(&self, now: Instant) {
        self.last.store(self.nanos(now), Ordering::Relaxed);
    }

    /// How long the thread should still wait; none when the delay is over.
    fn rest(&self, now: Instant) -> Option<Duration> {
        let since = self.nanos(now).saturating_sub(self.last.load(Ordering::Relaxed));
        self.delay.checked_sub(Duration::from_nanos(since)).filter(|rest| !rest.is_zero())
    }

    fn nanos(&self, now: Instant) -> u64 {
        let since = now.saturating_duration_since(self.origin);
        u64::try_from(since.as_nanos()).unwrap_or(u64::MAX)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_thread_that_has_just_woken_waits_and_only_for_the_rest() {
        let wakes = Wakes::new(Duration::from_millis(5));
        let woken = wakes.origin + Duration::from_secs(1);
        wakes.note(woken);
        assert_eq!(wakes.rest(woken), Some(Duration::from_millis(5)));
        let later = woken + Duration::from_millis(2);
        assert_eq!(wakes.rest(later), Some(Duration::from_millis(3)));
        assert_eq!(wakes.rest(woken + Duration::from_millis(5)), None);
        assert_eq!(wakes.rest(woken + Duration::from_secs(9)), None);
    }

    #[test]
    fn work_that_leads_to_work_is_done_before_the_thread_waits() {
        let runtime = gathering(Duration::from_millis(1)).expect("a runtime");
        let sum = runtime.block_on(async {
            let (send, mut receive) = tokio::sync::mpsc::channel(1);
            let sender = tokio::spawn(async move {
                for number in 0..1000_u32 {
                    send.send(number).await.expect("a receiver");
                }
            });
            let mut sum = 0;
            while let Some(number) = receive.recv().await {
                sum += number;
            }
            sender.await.expect("sent");
            sum
        });
        assert_eq!(sum, 499_500);
    }
}

//! An open loop's clock: a thread that says when each message is due.
//!
//! The runtime's own timers are a millisecond coarse, so that at 2,000 messages a second two at a
//! time would leave; a thread that sleeps is some 50 µs late. What is due waits in a channel: if
//! the driver stays behind, its messages are late but none is left out, and its lag is measured.

use std::thread;
use std::time::{Duration, Instant};

use tokio::sync::mpsc;

/// One driver thread's share of an even stream of messages.
#[derive(Clone, Copy, Debug)]
pub struct Pace {
    /// Messages a second, all threads together.
    pub rate: f64,
    /// This thread.
    pub thread: usize,
    /// Of how many.
    pub threads: usize,
    /// When the first message is due.
    pub start: Instant,
    /// Nothing is due this long after.
    pub span: Duration,
}

impl Pace {
    /// When this thread's `index`th message is due; none after the span.
    fn due(&self, index: u64) -> Option<Instant> {
        // Far below 2^53, where an f64 is still exact.
        #[allow(clippy::cast_precision_loss)]
        let number = (index * self.threads as u64 + self.thread as u64) as f64;
        let after = Duration::try_from_secs_f64(number / self.rate).ok()?;
        (after < self.span).then(|| self.start + after)
    }

    /// Says when each message is due, at that time or as soon after as it can.
    #[must_use]
    pub fn begin(self) -> mpsc::UnboundedReceiver<Instant> {
        let (send, receive) = mpsc::unbounded_channel();
        thread::spawn(move || {
            for index in 0.. {
                let Some(due) = self.due(index) else { return };
                let wait = due.saturating_duration_since(Instant::now());
                if !wait.is_zero() {
                    thread::sleep(wait);
                }
                if send.send(due).is_err() {
                    return;
                }
            }
        });
        receive
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_threads_share_one_even_stream() {
        let start = Instant::now();
        let pace = |thread| Pace {
            rate: 1000.0,
            thread,
            threads: 2,
            start,
            span: Duration::from_millis(10),
        };
        let mut all = Vec::new();
        for thread in 0..2 {
            all.extend((0..).map_while(|index| pace(thread).due(index)));
        }
        all.sort();
        let offsets: Vec<_> = all.iter().map(|due| (*due - start).as_millis()).collect();
        assert_eq!(offsets, (0..10).collect::<Vec<_>>());
    }
}

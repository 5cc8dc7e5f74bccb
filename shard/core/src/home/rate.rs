//! The bound on publishes: a token bucket, kept as one moment in time.

use std::time::Duration;

use crate::time::Mono;

/// The generic cell rate algorithm (ITU-T I.371): `full_at` is when the bucket would be full
/// again. A crate for this would bring its own clock; the core's time is passed in.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Rate {
    full_at: Mono,
}

impl Rate {
    /// Takes one of `burst` tokens that come back at `rate` a second; false if there is none.
    pub(crate) fn take(&mut self, now: Mono, rate: u32, burst: u32) -> bool {
        let token = Duration::from_secs(1) / rate.max(1);
        let full_at = self.full_at.max(now) + token;
        let taken = full_at.since(now) <= token.saturating_mul(burst);
        if taken {
            self.full_at = full_at;
        }
        taken
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_burst_is_taken_and_then_the_rate() {
        let mut rate = Rate::default();
        let start = Mono(Duration::from_secs(100));
        let taken = (0..10).filter(|_| rate.take(start, 2, 4)).count();
        assert_eq!(taken, 4);
        let later = start + Duration::from_millis(500);
        assert!(rate.take(later, 2, 4));
        assert!(!rate.take(later, 2, 4));
        let much_later = start + Duration::from_secs(3600);
        assert_eq!((0..10).filter(|_| rate.take(much_later, 2, 4)).count(), 4);
    }
}

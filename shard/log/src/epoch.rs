//! Names of histories.

use rand::Rng;
use rand::rngs::StdRng;
use trunkline_core::Epoch;

/// Topics of a shard's own store that have gone and have an epoch of their own. Beyond that all that nobody
/// has written to are given another: who had heard where they stand begins anew there.
pub(crate) const GONE_MAX: usize = 10_000;

/// A name that no other history has: 48 random bits, in base 36.
pub(crate) fn new_epoch(entropy: &mut StdRng) -> Epoch {
    let mut number: u64 = entropy.random_range(0..1 << 48);
    let mut name = Vec::new();
    loop {
        let digit = u32::try_from(number % 36).unwrap_or_default();
        name.extend(char::from_digit(digit, 36));
        number /= 36;
        if number == 0 {
            return Epoch::new(&name.iter().rev().collect::<String>());
        }
    }
}

//! Numbers that say whether somebody waits for what they stand for.
//!
//! A request's number comes back with the reply, a handover's and a receipt's with the report, by
//! way of other processes. Each of these sends at once what is waited for, and what is not
//! together with something else. So the number itself says which it is, by its lowest bit, and
//! nobody on the way has to remember it.

/// The number of the `count`th of something, counted from 1.
pub(crate) fn number(count: u64, is_awaited: bool) -> u64 {
    (count << 1) | u64::from(is_awaited)
}

/// Whether somebody waits for what a number stands for.
pub(crate) fn is_awaited(number: u64) -> bool {
    number & 1 == 1
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_differ_keep_their_order_and_are_never_nought() {
        let all: Vec<u64> = (1..5).map(|count| number(count, count % 2 == 0)).collect();
        assert!(all.is_sorted_by(|a, b| a < b));
        assert!(all[0] > 0);
        let awaited: Vec<bool> = all.into_iter().map(is_awaited).collect();
        assert_eq!(awaited, [false, true, false, true]);
    }
}

//! Whether a topic that comes from another shard is what it says.

use trunkline_core::Held;

/// Whether the records of a topic are those between its bounds, each in its place and none earlier
/// than the one before.
pub(crate) fn is_whole(held: &Held) -> bool {
    let Held { first, last, records, .. } = held;
    let Some(end) = last.checked_add(1) else { return false };
    *first >= 1
        && *first <= end
        && end - first == records.len() as u64
        && records.iter().zip(*first..).all(|(record, offset)| record.offset == offset)
        && records.is_sorted_by_key(|record| record.time_ms)
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use trunkline_core::{Arguments, Body, Epoch, Record, SessionId, UserId};

    use super::*;

    fn held(first: u64, last: u64, records: &[(u64, u64)]) -> Held {
        let record = |&(offset, time_ms): &(u64, u64)| Record {
            offset,
            time_ms,
            from: UserId::parse("alice").unwrap(),
            session: SessionId([0; 24]),
            sequence: 1,
            key: None,
            echo: true,
            body: Body {
                event: Arc::from("e"),
                arguments: Arguments::new("1", 1),
                attachments: Vec::new(),
            },
        };
        Held {
            epoch: Epoch::new("e"),
            first,
            last,
            last_time_ms: 9,
            handed: 0,
            records: records.iter().map(record).map(Arc::new).collect(),
            publications: Vec::new(),
        }
    }

    #[test]
    fn a_topic_is_whole_with_all_records_between_its_bounds_and_no_others() {
        for (first, last, records) in [
            (1, 0, &[][..]),
            (8, 7, &[]),
            (1, 1, &[(1, 5)]),
            (3, 5, &[(3, 5), (4, 5), (5, 6)]),
            (u64::MAX, u64::MAX - 1, &[]),
        ] {
            assert!(is_whole(&held(first, last, records)), "{first}-{last} {records:?}");
        }
        for (first, last, records) in [
            (0, 0, &[(0, 5)][..]),
            (1, 2, &[(1, 5)]),
            (1, 2, &[(1, 5), (3, 5)]),
            (1, 2, &[(2, 5), (1, 5)]),
            (1, 2, &[(1, 5), (2, 4)]),
            (1, 0, &[(1, 5)]),
            (9, 7, &[]),
            (1, u64::MAX, &[]),
        ] {
            assert!(!is_whole(&held(first, last, records)), "{first}-{last} {records:?}");
        }
    }
}

//! What clients that poll were given, as it goes from shard to shard, and as routers keep it.

use bytes::Bytes;
use prost::Message as _;
use trunkline_core::{Given, GroupId, MovedLedger, Rescue, SlotPosition, Stamp};
use trunkline_proto::peer::given::{Place, What};
use trunkline_proto::peer::ledger::{Noted, Span};
use trunkline_proto::{peer as wire, trunk};

use super::BadItem;

/// Writes what a router is to keep.
pub(crate) fn encode_rescue(rescue: Rescue) -> Bytes {
    let Rescue { nth, settled, before, sent, upto, torn } = rescue;
    let upto = upto.map(|Stamp { stream, number }| wire::rescue::Stamp { stream, number });
    let (before, sent) = (encode_all(before), encode_all(sent));
    wire::Rescue { nth, settled, before, sent, upto, torn }.encode_to_vec().into()
}

/// Reads what a router has kept.
pub(crate) fn decode_rescue(bytes: Bytes) -> Result<Rescue, BadItem> {
    let rescue = wire::Rescue::decode(bytes).map_err(|_| BadItem("deposit"))?;
    let wire::Rescue { nth, settled, before, sent, upto, torn } = rescue;
    let upto = upto.map(|wire::rescue::Stamp { stream, number }| Stamp { stream, number });
    Ok(Rescue { nth, settled, before: decode_all(before)?, sent: decode_all(sent)?, upto, torn })
}

pub(crate) fn encode_ledger(ledger: MovedLedger) -> wire::Ledger {
    let MovedLedger { queued, frames, waiting, before, sent, in_doubt, is_lost, deposits } = ledger;
    let noted = |(upto, given)| Noted { upto, given: Some(encode(given)) };
    wire::Ledger {
        queued,
        frames: frames.into_iter().map(|(first, last)| Span { first, last }).collect(),
        waiting: waiting.into_iter().map(noted).collect(),
        before: encode_all(before),
        sent: encode_all(sent),
        in_doubt,
        lost: is_lost,
        deposits,
    }
}

pub(crate) fn decode_ledger(ledger: wire::Ledger) -> Result<MovedLedger, BadItem> {
    let wire::Ledger { queued, frames, waiting, before, sent, in_doubt, lost, deposits } = ledger;
    let noted = |Noted { upto, given }| Ok((upto, decode(given.ok_or(BadItem("ledger"))?)?));
    Ok(MovedLedger {
        queued,
        frames: frames.into_iter().map(|Span { first, last }| (first, last)).collect(),
        waiting: waiting.into_iter().map(noted).collect::<Result<_, _>>()?,
        before: decode_all(before)?,
        sent: decode_all(sent)?,
        in_doubt,
        is_lost: lost,
        deposits,
    })
}

fn encode_all(list: Vec<Given>) -> Vec<wire::Given> {
    list.into_iter().map(encode).collect()
}

fn decode_all(list: Vec<wire::Given>) -> Result<Vec<Given>, BadItem> {
    list.into_iter().map(decode).collect()
}

fn encode(given: Given) -> wire::Given {
    let what = match given {
        Given::Checkpoint(state) => What::Checkpoint(state),
        Given::Elsewhere { place, heard } => What::Elsewhere(Place { group: 0, place, heard }),
        Given::Group { group: GroupId(group), place, heard } => {
            What::Group(Place { group, place, heard })
        }
        Given::Left(GroupId(group)) => What::Left(group),
        Given::Slot(SlotPosition { slot, position }) => {
            What::Slot(trunk::SlotPosition { slot, position })
        }
    };
    wire::Given { what: Some(what) }
}

fn decode(given: wire::Given) -> Result<Given, BadItem> {
    Ok(match given.what.ok_or(BadItem("ledger"))? {
        What::Checkpoint(state) => Given::Checkpoint(state),
        What::Elsewhere(Place { group: _, place, heard }) => Given::Elsewhere { place, heard },
        What::Group(Place { group, place, heard }) => {
            Given::Group { group: GroupId(group), place, heard }
        }
        What::Left(group) => Given::Left(GroupId(group)),
        What::Slot(trunk::SlotPosition { slot, position }) => {
            Given::Slot(SlotPosition { slot, position })
        }
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn all() -> Vec<Given> {
        let place = Bytes::from_static(b"place");
        vec![
            Given::Checkpoint(place.clone()),
            Given::Elsewhere { place: place.clone(), heard: true },
            Given::Group { group: GroupId(7), place: place.clone(), heard: false },
            Given::Left(GroupId(8)),
            Given::Slot(SlotPosition { slot: 3, position: place }),
        ]
    }

    #[test]
    fn what_is_kept_or_moved_is_read_as_it_was_written() {
        let upto = Some(Stamp { stream: u64::MAX, number: 3 });
        let (before, sent) = (all(), all().split_off(2));
        let rescue = Rescue { nth: 4, settled: 5, before, sent, upto, torn: true };
        let written = encode_rescue(rescue.clone());
        assert_eq!(decode_rescue(written), Ok(rescue));
        let ledger = MovedLedger {
            queued: 3,
            frames: vec![(0, 2)],
            waiting: all().into_iter().map(|given| (2, given)).collect(),
            before: all(),
            sent: all(),
            in_doubt: true,
            is_lost: true,
            deposits: 9,
        };
        assert_eq!(decode_ledger(encode_ledger(ledger.clone())), Ok(ledger));
    }

    proptest! {
        #[test]
        fn no_bytes_make_reading_panic(bytes in proptest::collection::vec(any::<u8>(), 0..300)) {
            let _ = decode_rescue(bytes.into());
        }
    }
}

//! What this process knows of a topic, for the next owner: that one need not read it back from the
//! stream. The stream still decides: a deed that names another entry than the newest is of no use.

use bytes::Bytes;
use prost::Message;
use trunkline_core::Epoch;
use trunkline_proto::log::{Deed, Place as Stored};

use super::{Held, Place};
use crate::jetstream::entry::Standing;

/// How long a deed may be, in bytes: it goes over a link between messages that clients wait for. A
/// topic with more places is opened.
const LONGEST: usize = 256 * 1024;

impl Held {
    /// The deed, if all is known that it takes, and the stream has all of it.
    pub(in crate::jetstream) fn deed(&self) -> Option<Bytes> {
        if self.spent || self.at_rest || self.mark_due {
            return None;
        }
        let Standing { epoch, last, last_time_ms, handed } = &self.standing;
        let (mut sequence, mut time_ms) = (0, 0);
        let places = self.places.iter().map(|place| {
            let stored = Stored {
                sequence: place.sequence - sequence,
                // No record is earlier than the one before, unless another owner's clock said so.
                time_ms: place.time_ms.saturating_sub(time_ms),
                size: place.size as u64,
                keyed: place.keyed,
            };
            (sequence, time_ms) = (place.sequence, place.time_ms.max(time_ms));
            stored
        });
        let deed = Deed {
            epoch: epoch.as_str().to_owned(),
            last: *last,
            last_time_ms: *last_time_ms,
            handed: *handed,
            sequence: self.sequence,
            ends_in_standing: self.ends_in_standing,
            places: places.collect(),
            gone: self.gone as u64,
            purgeable: self.purgeable as u64,
        };
        (deed.encoded_len() <= LONGEST).then(|| deed.encode_to_vec().into())
    }

    /// What a deed says; `None` if it can't be.
    pub(in crate::jetstream) fn by_deed(deed: Bytes, used_ms: u64) -> Option<Self> {
        if deed.len() > LONGEST {
            return None;
        }
        let Deed {
            epoch,
            last,
            last_time_ms,
            handed,
            sequence: newest,
            ends_in_standing,
            places: stored,
            gone,
            purgeable,
        } = Deed::decode(deed).ok()?;
        let gone = usize::try_from(gone).ok()?;
        let kept = stored.len().checked_sub(gone)?;
        if newest == 0 || handed > last || kept as u64 > last {
            return None;
        }
        let standing = Standing { epoch: Epoch::new(&epoch), last, last_time_ms, handed };
        let mut held = Self::new(standing, newest, used_ms);
        let (mut sequence, mut time_ms) = (0_u64, 0_u64);
        for (nth, place) in stored.into_iter().enumerate() {
            sequence = sequence.checked_add(place.sequence)?;
            time_ms = time_ms.checked_add(place.time_ms)?;
            let size = usize::try_from(place.size).ok()?;
            if sequence == 0 || sequence > newest {
                return None;
            }
            if nth >= gone {
                held.bytes = held.bytes.checked_add(size)?;
            }
            held.places.push_back(Place { sequence, time_ms, size, keyed: place.keyed });
        }
        held.gone = gone;
        held.purgeable = usize::try_from(purgeable).ok()?;
        held.ends_in_standing = ends_in_standing;
        Some(held)
    }
}

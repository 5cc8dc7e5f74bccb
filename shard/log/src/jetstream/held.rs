//! What this process knows of a topic that it has taken over: where it stands, and where in the
//! stream its records are.
//!
//! Records go twice. Beyond the bounds of retention they are *let go*: nobody is given them any
//! more, to the message. In the stream they stay a while: those with a key for as long as keys
//! are remembered, the others until enough have gathered to be purged together.

mod deed;
#[cfg(test)]
mod tests;

use std::collections::VecDeque;

use trunkline_config::settings::Retention;
use trunkline_core::{ReadQuery, Record};

use super::entry::Standing;
use crate::settings::millis;

/// Records that are kept beyond retention for their keys, per topic: those before are purged
/// though their keys are not out of the window yet. It bounds what an open has to read.
const REMEMBERED: usize = 16_384;
/// Records that are purged together, at least.
const PURGE_TOGETHER: usize = 64;

/// How long nobody has to use a topic before its places are given up.
const REST_AFTER_MS: u64 = 10 * 60 * 1000;

/// A topic that this process may append to, until the stream says otherwise.
#[derive(Debug)]
pub(super) struct Held {
    pub(super) standing: Standing,
    /// The place of the newest message of the topic's subject: what an append expects.
    pub(super) sequence: u64,
    /// `standing.handed` is newer than what the stream has.
    pub(super) mark_due: bool,
    /// The newest message has no records: it is of no use once there is another.
    pub(super) ends_in_standing: bool,
    /// When it was last asked for anything, in the caller's time.
    pub(super) used_ms: u64,
    /// Nothing was left of it, and nobody asked for it: if it is opened again it is another history.
    pub(super) spent: bool,
    /// The places were given up while nobody used the topic; the stream has them.
    pub(super) at_rest: bool,
    /// The newest records, without a gap: first those that were let go, then those that are kept.
    places: VecDeque<Place>,
    /// How many of the places were let go.
    gone: usize,
    /// What the others take, as [`Record::size`] counts.
    bytes: usize,
    /// Records in the stream that are of no more use.
    purgeable: usize,
}

/// Where a record is.
#[derive(Clone, Copy, Debug)]
struct Place {
    sequence: u64,
    time_ms: u64,
    size: usize,
    keyed: bool,
}

/// Which records to fetch: these offsets, from one place in the stream to another.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Span {
    pub(super) offsets: (u64, u64),
    pub(super) sequences: (u64, u64),
}

impl Held {
    pub(super) fn new(standing: Standing, sequence: u64, used_ms: u64) -> Self {
        Self {
            standing,
            sequence,
            mark_due: false,
            ends_in_standing: true,
            used_ms,
            spent: false,
            at_rest: false,
            places: VecDeque::new(),
            gone: 0,
            bytes: 0,
            purgeable: 0,
        }
    }

    /// The oldest record that is kept; one more than the newest if there is none.
    pub(super) fn first(&self) -> u64 {
        self.standing.last + 1 - (self.places.len() - self.gone) as u64
    }

    /// Whether nothing is left, of keys neither.
    pub(super) fn is_empty(&self) -> bool {
        self.places.is_empty() && !self.at_rest
    }

    /// Gives up the places of a topic that nobody has used for a while: a place takes 32 bytes, a topic may
    /// have thousands, and a shard many topics. `needed_ms` is how long a record is of use.
    pub(super) fn rest(&mut self, needed_ms: u64, wall_ms: u64) {
        if self.at_rest {
            let all_are_old = wall_ms.saturating_sub(self.standing.last_time_ms) > needed_ms;
            if all_are_old {
                (self.at_rest, self.purgeable) = (false, self.purgeable + 1);
            }
        } else if wall_ms.saturating_sub(self.used_ms) > REST_AFTER_MS && !self.places.is_empty() {
            self.places = VecDeque::new();
            (self.gone, self.bytes, self.at_rest) = (0, 0, true);
        }
    }

    /// Takes the places back, as they were read from the stream.
    pub(super) fn wake(&mut self, read: Self) {
        let Self { places, gone, bytes, purgeable, .. } = read;
        (self.places, self.gone, self.bytes, self.purgeable) = (places, gone, bytes, purgeable);
        self.at_rest = false;
    }

    /// A record follows, in the message at this place in the stream.
    pub(super) fn push(&mut self, sequence: u64, record: &Record) {
        let (time_ms, size, keyed) = (record.time_ms, record.size(), record.key.is_some());
        self.places.push_back(Place { sequence, time_ms, size, keyed });
        self.bytes += size;
    }

    /// Forgets the places: the records between them and the next can't be had.
    pub(super) fn clear(&mut self) {
        self.purgeable += self.places.len();
        self.places.clear();
        (self.gone, self.bytes) = (0, 0);
    }

    /// Lets go of what is beyond the bounds; keys are remembered since `since_ms`.
    pub(super) fn trim(&mut self, retention: Retention, since_ms: u64, wall_ms: u64) {
        let Retention { messages, bytes, age } = retention;
        let oldest_ms = wall_ms.saturating_sub(millis(age));
        while let Some(oldest) = self.places.get(self.gone) {
            let within = self.places.len() - self.gone <= messages
                && self.bytes <= bytes
                && oldest.time_ms >= oldest_ms;
            if within {
                break;
            }
            self.bytes -= oldest.size;
            self.gone += 1;
        }
        while self.gone > 0 {
            let remembered =
                self.places.front().is_some_and(|it| it.keyed && it.time_ms >= since_ms);
            if remembered && self.gone <= REMEMBERED {
                break;
            }
            self.places.pop_front();
            self.gone -= 1;
            self.purgeable += 1;
        }
    }

    /// If enough has gathered: what comes before this place in the stream can be purged. It never
    /// is the newest message, which is what an append expects.
    pub(super) fn take_purge(&mut self) -> Option<u64> {
        let last_of_all = self.is_empty() && self.purgeable > 0;
        let enough = self.purgeable >= PURGE_TOGETHER.max(self.places.len());
        if self.at_rest || !(enough || last_of_all) {
            return None;
        }
        self.purgeable = 0;
        Some(self.places.front().map_or(self.sequence, |place| place.sequence))
    }

    /// About how many bytes the kept records after `handed` take.
    pub(super) fn waiting_bytes(&self) -> usize {
        let handed = (self.standing.handed + 1).saturating_sub(self.first());
        let skip = self.gone + usize::try_from(handed).unwrap_or(usize::MAX).min(self.kept());
        self.places.range(skip..).map(|place| place.size).sum()
    }

    /// Where the records are that a query asks for; none if it asks for none that is kept.
    pub(super) fn span(&self, query: ReadQuery) -> Option<Span> {
        let ReadQuery { after, before, limit, newest } = query;
        let limit = u64::try_from(limit).unwrap_or(u64::MAX);
        let mut from = after.checked_add(1)?.max(self.first());
        let mut to = before.checked_sub(1)?.min(self.standing.last);
        if from > to || limit == 0 {
            return None;
        }
        if to - from >= limit {
            if newest {
                from = to - limit + 1;
            } else {
                to = from + limit - 1;
            }
        }
        let sequences = (self.sequence_of(from)?, self.sequence_of(to)?);
        Some(Span { offsets: (from, to), sequences })
    }

    fn kept(&self) -> usize {
        self.places.len() - self.gone
    }

    fn sequence_of(&self, offset: u64) -> Option<u64> {
        let nth = usize::try_from(offset.checked_sub(self.first())?).ok()?;
        self.places.get(self.gone + nth).map(|place| place.sequence)
    }
}

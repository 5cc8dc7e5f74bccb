//! One write transaction: what requests do to the tables.

use std::ops::Bound;
use std::sync::Arc;

use rand::rngs::StdRng;
use redb::{ReadableTable, ReadableTableMetadata, Table, WriteTransaction};
use trunkline_core::{Epoch, LogFailure, LogOutcome, Position, Record, Topic};

use super::fault::Fault;
use super::frame;
use super::state::State;
use super::tables::{
    EPOCH, GONE, KEYS, META, NEXT_ID, NOTE, Place, SEGMENTS, TOPICS, seal, topic_name, unseal,
};
use crate::epoch::{GONE_MAX, new_epoch};
use crate::settings::LogSettings;

/// A topic's newest records are moved to a segment when they would be longer than this. A page of
/// redb is the least that is written: while they are short, several topics share one, and the
/// longer they are the fewer segments are written. The least is about here, with records of 200
/// bytes (`examples/stores.rs`).
const SEGMENT_BYTES: usize = 1_536;

/// The tables of a transaction, and whether it has changed them.
pub(super) struct Changes<'a> {
    meta: Table<'a, &'static str, &'static [u8]>,
    topics: Table<'a, &'static [u8], &'static [u8]>,
    gone: Table<'a, &'static [u8], &'static [u8]>,
    pub(super) segments: Table<'a, Place, &'static [u8]>,
    pub(super) keys: Table<'a, Place, &'static [u8]>,
    pub(super) settings: LogSettings,
    changed: bool,
}

/// What is written some time soon and answers nobody.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Note {
    pub(super) handed: u64,
    pub(super) used_ms: u64,
}

impl<'a> Changes<'a> {
    pub(super) fn begin(
        transaction: &'a WriteTransaction,
        settings: LogSettings,
    ) -> Result<Self, Fault> {
        Ok(Self {
            meta: transaction.open_table(META)?,
            topics: transaction.open_table(TOPICS)?,
            gone: transaction.open_table(GONE)?,
            segments: transaction.open_table(SEGMENTS)?,
            keys: transaction.open_table(KEYS)?,
            settings,
            changed: false,
        })
    }

    /// Whether there is anything to commit.
    pub(super) fn changed(&self) -> bool {
        self.changed
    }

    /// How many topics there are.
    pub(super) fn count(&self) -> Result<u64, Fault> {
        Ok(self.topics.len()?)
    }

    /// Keeps records, if they follow `after` and that is where the topic stands.
    pub(super) fn append(
        &mut self,
        topic: &Topic,
        after: &Position,
        records: &[Arc<Record>],
        wall_ms: u64,
    ) -> Result<LogOutcome, Fault> {
        let name = topic_name(topic);
        let mut state = match self.state(topic, &name)? {
            Some(state) => state,
            // No other process has the file: of a topic that was forgotten while the core still
            // held it, the core knows best where it stands.
            None => State::new(self.next_id()?, after.epoch.clone(), after.offset, wall_ms),
        };
        let follow = records.iter().zip(after.offset + 1..).all(|(it, next)| it.offset == next);
        if state.epoch != after.epoch || state.last != after.offset || !follow {
            return Ok(LogOutcome::Failed(LogFailure::Conflict));
        }
        self.extend(&mut state, records)?;
        state.used_ms = state.used_ms.max(wall_ms);
        let retention = self.settings.retention(topic);
        self.trim(&mut state, retention, wall_ms)?;
        self.keep(&name, &state)?;
        Ok(LogOutcome::Appended { first: state.first })
    }

    /// Writes what was noted of a topic, if it is still there.
    pub(super) fn note(&mut self, topic: &Topic, note: Note) -> Result<(), Fault> {
        let name = topic_name(topic);
        let Some(mut state) = self.state(topic, &name)? else {
            return Ok(());
        };
        let before = state.clone();
        state.handed = state.handed.max(note.handed);
        state.used_ms = state.used_ms.max(note.used_ms);
        if state != before {
            self.keep(&name, &state)?;
        }
        Ok(())
    }

    /// Where a topic stands.
    pub(super) fn state(&self, topic: &Topic, name: &[u8]) -> Result<Option<State>, Fault> {
        let Some(sealed) = self.topics.get(name)? else {
            return Ok(None);
        };
        State::decode(name, sealed.value()).map(Some).ok_or_else(|| Fault::topic(topic))
    }

    pub(super) fn keep(&mut self, name: &[u8], state: &State) -> Result<(), Fault> {
        self.changed = true;
        self.topics.insert(name, state.encode(name).as_slice())?;
        Ok(())
    }

    /// The names and standings of up to `limit` topics after a name.
    pub(super) fn topics_after(
        &self,
        after: Option<&[u8]>,
        limit: usize,
    ) -> Result<Vec<(Vec<u8>, State)>, Fault> {
        let from = after.map_or(Bound::Unbounded, Bound::Excluded);
        let mut found = Vec::new();
        for entry in self.topics.range::<&[u8]>((from, Bound::Unbounded))?.take(limit) {
            let (name, sealed) = entry?;
            let name = name.value().to_vec();
            let state = State::decode(&name, sealed.value());
            let state = state.ok_or_else(|| Fault::Damaged("where a topic stands".to_owned()))?;
            found.push((name, state));
        }
        Ok(found)
    }

    /// Forgets a topic of which nothing is left. Should it come again, it is another history.
    pub(super) fn forget(&mut self, name: &[u8]) -> Result<(), Fault> {
        self.changed = true;
        self.topics.remove(name)?;
        Ok(())
    }

    /// Gives topics that nobody has written to another epoch.
    pub(super) fn begin_epoch(&mut self, entropy: &mut StdRng) -> Result<(), Fault> {
        self.changed = true;
        let epoch = new_epoch(entropy);
        let sealed = seal(EPOCH.as_bytes(), epoch.as_str().as_bytes());
        self.meta.insert(EPOCH, sealed.as_slice())?;
        // What those had is none of the others' either now.
        self.gone.retain(|_, _| false)?;
        Ok(())
    }

    /// Gives a topic that has gone another epoch, in which it begins if it comes again with nothing. The others
    /// keep theirs: clients have been told where they stand.
    pub(super) fn begin_elsewhere(
        &mut self,
        name: &[u8],
        entropy: &mut StdRng,
    ) -> Result<(), Fault> {
        if self.gone.len()? >= GONE_MAX as u64 {
            return self.begin_epoch(entropy);
        }
        self.changed = true;
        let sealed = seal(name, new_epoch(entropy).as_str().as_bytes());
        self.gone.insert(name, sealed.as_slice())?;
        Ok(())
    }

    /// The epoch in which a topic begins.
    pub(super) fn begins_in(&self, name: &[u8]) -> Result<Epoch, Fault> {
        let Some(sealed) = self.gone.get(name)? else { return self.epoch() };
        let damaged = || Fault::Damaged("in which epoch a topic begins".to_owned());
        unseal_epoch(name, sealed.value()).ok_or_else(damaged)
    }

    fn epoch(&self) -> Result<Epoch, Fault> {
        let sealed = self.meta.get(EPOCH)?.ok_or_else(|| Fault::meta(EPOCH))?;
        unseal_epoch(EPOCH.as_bytes(), sealed.value()).ok_or_else(|| Fault::meta(EPOCH))
    }

    /// Keeps what the shard has noted, in place of what it noted last.
    pub(super) fn keep_note(&mut self, note: &[u8]) -> Result<(), Fault> {
        self.changed = true;
        self.meta.insert(NOTE, seal(NOTE.as_bytes(), note).as_slice())?;
        Ok(())
    }

    pub(super) fn next_id(&mut self) -> Result<u64, Fault> {
        let id = match self.meta.get(NEXT_ID)? {
            None => 1,
            Some(sealed) => {
                let id = unseal(NEXT_ID.as_bytes(), sealed.value());
                let id = id.and_then(|id| id.try_into().ok());
                u64::from_le_bytes(id.ok_or_else(|| Fault::meta(NEXT_ID))?)
            }
        };
        let sealed = seal(NEXT_ID.as_bytes(), &(id + 1).to_le_bytes());
        self.meta.insert(NEXT_ID, sealed.as_slice())?;
        Ok(id)
    }

    /// Puts records behind those that are there.
    pub(super) fn extend(
        &mut self,
        state: &mut State,
        records: &[Arc<Record>],
    ) -> Result<(), Fault> {
        let id = state.id;
        self.changed = true;
        for record in records {
            let frame = frame::write(id, record);
            if state.tail.len() + frame.len() > SEGMENT_BYTES && !state.tail.is_empty() {
                self.segments.insert((id, state.segment), state.tail.as_slice())?;
                state.tail.clear();
            }
            if state.tail.is_empty() {
                state.segment = record.offset;
            }
            state.tail.extend_from_slice(&frame);
            if state.count() == 0 {
                state.first_time_ms = record.time_ms;
            }
            state.last = record.offset;
            state.last_time_ms = state.last_time_ms.max(record.time_ms);
            state.bytes += record.size() as u64;
        }
        Ok(())
    }
}

/// The epoch that was sealed; `None` if it isn't as it was.
fn unseal_epoch(key: &[u8], sealed: &[u8]) -> Option<Epoch> {
    std::str::from_utf8(unseal(key, sealed)?).ok().map(Epoch::new)
}

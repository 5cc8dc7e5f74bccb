//! Topics that come from another shard, and that go.

use rand::rngs::StdRng;
use redb::ReadableTable;
use trunkline_core::{Held, LogFailure, LogOutcome, Topic};

use super::changes::Changes;
use super::fault::Fault;
use super::state::{State, encode_publication};
use super::tables::{Place, topic_name};
use crate::whole::is_whole;

impl Changes<'_> {
    /// Keeps a topic that another shard had, in place of what is there.
    pub(super) fn import(
        &mut self,
        topic: &Topic,
        held: &Held,
        wall_ms: u64,
        entropy: &mut StdRng,
    ) -> Result<LogOutcome, Fault> {
        if !is_whole(held) {
            return Ok(LogOutcome::Failed(LogFailure::Conflict));
        }
        let name = topic_name(topic);
        if let Some(state) = self.state(topic, &name)? {
            self.let_go(&name, Some(&state), entropy)?;
        }
        let Held { epoch, first, last: _, last_time_ms, handed, records, publications } = held;
        let mut state = State::new(self.next_id()?, epoch.clone(), first - 1, wall_ms);
        self.extend(&mut state, records)?;
        state.last_time_ms = state.last_time_ms.max(*last_time_ms);
        if records.is_empty() {
            state.first_time_ms = state.last_time_ms;
        }
        state.handed = *handed;
        // Those of the records that are there are read from them.
        let earlier = publications.iter().filter(|publication| publication.offset < *first);
        for publication in earlier {
            let place = (state.id, publication.offset);
            let sealed = encode_publication(place, publication);
            if self.keys.insert(place, sealed.as_slice())?.is_none() {
                state.keys += 1;
            }
        }
        self.expire(&mut state, self.settings.window_start(wall_ms))?;
        let retention = self.settings.retention(topic);
        self.trim(&mut state, retention, wall_ms)?;
        self.keep(&name, &state)?;
        Ok(LogOutcome::Imported)
    }

    /// Forgets all of a topic: it is another shard's.
    pub(super) fn remove(&mut self, topic: &Topic, entropy: &mut StdRng) -> Result<(), Fault> {
        let name = topic_name(topic);
        let state = self.state(topic, &name)?;
        self.let_go(&name, state.as_ref(), entropy)
    }

    /// Should it begin here again, it is another history.
    fn let_go(
        &mut self,
        name: &[u8],
        state: Option<&State>,
        entropy: &mut StdRng,
    ) -> Result<(), Fault> {
        if let Some(state) = state {
            let all = (state.id, 0)..=(state.id, u64::MAX);
            let segments = places(self.segments.range(all.clone())?)?;
            for place in segments {
                self.segments.remove(place)?;
            }
            let keys = places(self.keys.range(all)?)?;
            for place in keys {
                self.keys.remove(place)?;
            }
            self.forget(name)?;
        }
        let epoch = self.begins_in(name)?;
        if state.is_none_or(|state| state.epoch == epoch) {
            self.begin_elsewhere(name, entropy)?;
        }
        Ok(())
    }
}

fn places(range: redb::Range<'_, Place, &'static [u8]>) -> Result<Vec<Place>, Fault> {
    let mut places = Vec::new();
    for entry in range {
        places.push(entry?.0.value());
    }
    Ok(places)
}

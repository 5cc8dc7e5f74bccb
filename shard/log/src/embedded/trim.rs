//! Letting go of what is beyond a topic's bounds.

use redb::ReadableTable;
use trunkline_config::settings::Retention;
use trunkline_core::Publication;

use super::changes::Changes;
use super::fault::Fault;
use super::frame::Frames;
use super::state::{State, decode_publication, encode_publication};
use super::tables::Place;
use crate::settings::millis;

/// How many keys are remembered of a topic's records that have gone: beyond that the oldest is
/// forgotten early.
const KEYS_MAX: u64 = 100_000;

impl Changes<'_> {
    /// Lets go of the records that are beyond the bounds. Segments go as a whole, when the last of
    /// their records has gone; keys stay as long as they may be asked for. Gives how many
    /// segments and keys were touched.
    pub(super) fn trim(
        &mut self,
        state: &mut State,
        retention: Retention,
        wall_ms: u64,
    ) -> Result<usize, Fault> {
        let Retention { messages, bytes, age } = retention;
        let oldest_ms = wall_ms.saturating_sub(millis(age));
        let within = |state: &State| {
            state.count() == 0
                || (state.count() <= messages as u64
                    && state.bytes <= bytes as u64
                    && state.first_time_ms >= oldest_ms)
        };
        if within(state) {
            return Ok(0);
        }
        let since_ms = self.settings.window_start(wall_ms);
        let (id, mut emptied, mut publications) = (state.id, Vec::new(), Vec::new());
        let mut see = |state: &mut State, place: Place, segment: &[u8]| {
            for frame in Frames::of(id, segment) {
                let frame = frame.map_err(|_| Fault::segment(place))?;
                if frame.offset < state.first {
                    continue;
                }
                state.first_time_ms = frame.time_ms;
                if within(state) {
                    return Ok(false);
                }
                state.first = frame.offset + 1;
                state.bytes = state.bytes.saturating_sub(frame.size);
                if frame.keyed && frame.time_ms >= since_ms {
                    let record = frame.record().map_err(|_| Fault::segment(place))?;
                    publications.push(Publication::of(&record));
                }
            }
            Ok::<bool, Fault>(true)
        };
        let mut all = true;
        for entry in self.segments.range((id, 0)..=(id, u64::MAX))? {
            let (place, segment) = entry?;
            all = see(state, place.value(), segment.value())?;
            if !all {
                break;
            }
            emptied.push(place.value());
        }
        if all && state.segment > 0 {
            let tail = std::mem::take(&mut state.tail);
            if see(state, (id, state.segment), &tail)? {
                state.segment = 0;
            } else {
                state.tail = tail;
            }
        }
        let touched = emptied.len() + publications.len();
        for place in emptied {
            self.segments.remove(place)?;
        }
        if !publications.is_empty() {
            self.remember(state, &publications, since_ms)?;
        }
        Ok(touched)
    }

    fn remember(
        &mut self,
        state: &mut State,
        publications: &[Publication],
        since_ms: u64,
    ) -> Result<(), Fault> {
        for publication in publications {
            let place = (state.id, publication.offset);
            let sealed = encode_publication(place, publication);
            if self.keys.insert(place, sealed.as_slice())?.is_none() {
                state.keys += 1;
            }
        }
        self.expire(state, since_ms)?;
        Ok(())
    }

    /// Forgets the keys that are older than the window, or too many. Gives how many those were.
    pub(super) fn expire(&mut self, state: &mut State, since_ms: u64) -> Result<usize, Fault> {
        let (id, mut expired) = (state.id, Vec::new());
        if state.keys == 0 {
            return Ok(0);
        }
        let mut none_left = true;
        for entry in self.keys.range((id, 0)..=(id, u64::MAX))? {
            let (place, sealed) = entry?;
            let place = place.value();
            let too_many = state.keys.saturating_sub(expired.len() as u64) > KEYS_MAX;
            let publication = decode_publication(place, sealed.value());
            let publication = publication.ok_or_else(|| Fault::key(place))?;
            if !too_many && publication.time_ms >= since_ms {
                none_left = false;
                break;
            }
            expired.push(place);
        }
        for place in &expired {
            self.keys.remove(*place)?;
        }
        // Keys that were damaged have gone uncounted.
        let left = state.keys.saturating_sub(expired.len() as u64);
        state.keys = if none_left { 0 } else { left };
        Ok(expired.len())
    }
}

//! Where a topic stands, for who opens it.

use std::ops::ControlFlow;

use trunkline_core::{Opened, Publication, Topic};

use super::changes::{Changes, Note};
use super::fault::Fault;
use super::scan::{Segments, first_since, forward};
use super::state::{State, decode_publication};
use super::tables::topic_name;
use crate::settings::millis;

impl Changes<'_> {
    /// Where a topic stands, without what has reached its age; and whether that is worth a note
    /// that it was asked for.
    pub(super) fn open(
        &self,
        topic: &Topic,
        wall_ms: u64,
    ) -> Result<(Opened, Option<Note>), Fault> {
        let name = topic_name(topic);
        let Some(state) = self.state(topic, &name)? else {
            return Ok((Opened::new(self.begins_in(&name)?), None));
        };
        let age_ms = millis(self.settings.retention(topic).age);
        let aged = aged(&self.segments, &state, wall_ms.saturating_sub(age_ms))?;
        let since_ms = self.settings.window_start(wall_ms);
        let waiting_bytes = if state.handed < aged.first {
            state.bytes - aged.bytes
        } else {
            self.bytes_after(&state, state.handed)?
        };
        let opened = Opened {
            epoch: state.epoch.clone(),
            first: aged.first,
            last: state.last,
            last_time_ms: state.last_time_ms,
            handed: state.handed,
            waiting_bytes: usize::try_from(waiting_bytes).unwrap_or(usize::MAX),
            publications: publications(&self.segments, &self.keys, &state, aged.first, since_ms)?,
        };
        // A topic that is asked for isn't forgotten. One that is written to isn't anyway, so that
        // a note now and then is enough.
        let stale = wall_ms.saturating_sub(state.used_ms) > age_ms / 2;
        Ok((opened, stale.then_some(Note { handed: 0, used_ms: wall_ms })))
    }

    fn bytes_after(&self, state: &State, offset: u64) -> Result<u64, Fault> {
        let mut bytes = 0;
        if offset < state.last {
            forward(&self.segments, state, offset + 1, |frame| {
                bytes += frame.size;
                Ok(ControlFlow::Continue(()))
            })?;
        }
        Ok(bytes)
    }
}

/// What has reached its age.
#[derive(Clone, Copy)]
pub(super) struct Aged {
    /// The oldest that hasn't.
    pub(super) first: u64,
    bytes: u64,
}

/// What of a topic is older than `oldest_ms`, though it is still there.
pub(super) fn aged(segments: &impl Segments, state: &State, oldest_ms: u64) -> Result<Aged, Fault> {
    let mut aged = Aged { first: state.first, bytes: 0 };
    if state.count() == 0 || state.first_time_ms >= oldest_ms {
        return Ok(aged);
    }
    forward(segments, state, state.first, |frame| {
        if frame.time_ms >= oldest_ms {
            return Ok(ControlFlow::Break(()));
        }
        aged = Aged { first: frame.offset + 1, bytes: aged.bytes + frame.size };
        Ok(ControlFlow::Continue(()))
    })?;
    Ok(aged)
}

/// Who published what since `since_ms`, oldest first: of records before `first` only those
/// with a key.
pub(super) fn publications(
    segments: &impl Segments,
    keys: &impl Segments,
    state: &State,
    first: u64,
    since_ms: u64,
) -> Result<Vec<Publication>, Fault> {
    let mut publications = Vec::new();
    if state.last_time_ms < since_ms {
        return Ok(publications);
    }
    if state.keys > 0 {
        for entry in keys.range((state.id, 0)..=(state.id, u64::MAX))? {
            let (place, sealed) = entry?;
            let place = place.value();
            let publication = decode_publication(place, sealed.value());
            let publication = publication.ok_or_else(|| Fault::key(place))?;
            if publication.time_ms >= since_ms {
                publications.push(publication);
            }
        }
    }
    let id = state.id;
    let since = first_since(segments, state, since_ms)?;
    forward(segments, state, since, |frame| {
        if frame.offset >= first || frame.keyed {
            let record = frame.record().map_err(|_| Fault::segment((id, frame.offset)))?;
            publications.push(Publication::of(&record));
        }
        Ok(ControlFlow::Continue(()))
    })?;
    Ok(publications)
}

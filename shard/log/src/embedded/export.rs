//! A topic for another shard.

use std::ops::ControlFlow;

use redb::ReadTransaction;
use trunkline_core::{Held, Topic};

use super::fault::Fault;
use super::scan::forward;
use super::standing::{aged, publications};
use super::state::State;
use super::tables::{KEYS, SEGMENTS, TOPICS, topic_name};
use crate::settings::{LogSettings, millis};

/// All that is held of a topic and has not reached its age; `None` if nobody has written to it.
pub(super) fn export(
    transaction: &ReadTransaction,
    settings: &LogSettings,
    topic: &Topic,
    wall_ms: u64,
) -> Result<Option<Box<Held>>, Fault> {
    let topics = transaction.open_table(TOPICS)?;
    let name = topic_name(topic);
    let Some(sealed) = topics.get(name.as_slice())? else {
        return Ok(None);
    };
    let state = State::decode(&name, sealed.value()).ok_or_else(|| Fault::topic(topic))?;
    let (segments, keys) = (transaction.open_table(SEGMENTS)?, transaction.open_table(KEYS)?);
    let oldest_ms = wall_ms.saturating_sub(millis(settings.retention(topic).age));
    let first = aged(&segments, &state, oldest_ms)?.first;
    let since_ms = settings.window_start(wall_ms);
    let publications = publications(&segments, &keys, &state, first, since_ms)?;
    let mut records = Vec::new();
    if first <= state.last {
        forward(&segments, &state, first, |frame| {
            records.push(frame.record().map_err(|_| Fault::segment((state.id, frame.offset)))?);
            Ok(ControlFlow::Continue(()))
        })?;
    }
    let State { epoch, last, last_time_ms, handed, .. } = state;
    Ok(Some(Box::new(Held { epoch, first, last, last_time_ms, handed, records, publications })))
}

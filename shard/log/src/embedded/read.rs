//! Reading records.

use std::ops::ControlFlow;
use std::sync::Arc;

use redb::ReadTransaction;
use trunkline_core::{ReadQuery, Record, Topic};

use super::fault::Fault;
use super::scan::forward;
use super::state::State;
use super::tables::{SEGMENTS, TOPICS, topic_name};
use crate::settings::{LogSettings, millis};

/// The records of a topic that a query asks for and that have not reached their age.
pub(super) fn read(
    transaction: &ReadTransaction,
    settings: &LogSettings,
    topic: &Topic,
    query: ReadQuery,
    wall_ms: u64,
) -> Result<Vec<Arc<Record>>, Fault> {
    let topics = transaction.open_table(TOPICS)?;
    let name = topic_name(topic);
    let Some(sealed) = topics.get(name.as_slice())? else {
        return Ok(Vec::new());
    };
    let state = State::decode(&name, sealed.value()).ok_or_else(|| Fault::topic(topic))?;
    let ReadQuery { after, before, limit, newest } = query;
    let mut from = state.first.max(after.saturating_add(1));
    let end = before.min(state.last + 1);
    if newest {
        from = from.max(end.saturating_sub(limit as u64));
    }
    let mut records = Vec::new();
    if from >= end || limit == 0 {
        return Ok(records);
    }
    let oldest_ms = wall_ms.saturating_sub(millis(settings.retention(topic).age));
    let segments = transaction.open_table(SEGMENTS)?;
    forward(&segments, &state, from, |frame| {
        if frame.offset >= end || records.len() == limit {
            return Ok(ControlFlow::Break(()));
        }
        if frame.time_ms >= oldest_ms {
            records.push(frame.record().map_err(|_| Fault::segment((state.id, frame.offset)))?);
        }
        Ok(ControlFlow::Continue(()))
    })?;
    Ok(records)
}

//! Which topics there are.

use std::ops::Bound;

use redb::ReadTransaction;
use trunkline_core::{LogOutcome, Topic};

use super::fault::Fault;
use super::standing::publications;
use super::state::State;
use super::tables::{INBOX, KEYS, ROOM, SEGMENTS, TOPICS, topic_name, topic_of};
use crate::settings::{LogSettings, millis};

/// The topics behind `after` of which something is kept, in the order of [`Topic`].
pub(super) fn list(
    transaction: &ReadTransaction,
    settings: &LogSettings,
    after: Option<&Topic>,
    limit: usize,
    wall_ms: u64,
) -> Result<LogOutcome, Fault> {
    let table = transaction.open_table(TOPICS)?;
    let after = after.map(topic_name);
    let mut topics = Vec::new();
    // Rooms come before inboxes, which isn't the order of the table.
    let kinds = match after.as_deref() {
        Some([INBOX, ..]) => &[INBOX][..],
        _ => &[ROOM, INBOX],
    };
    for kind in kinds {
        let (start, end) = ([*kind], [*kind + 1]);
        let start = match after.as_deref().filter(|after| after[0] == *kind) {
            Some(after) => Bound::Excluded(after),
            None => Bound::Included(&start[..]),
        };
        for entry in table.range::<&[u8]>((start, Bound::Excluded(&end[..])))? {
            let (name, sealed) = entry?;
            let name = name.value();
            let unreadable = || Fault::Damaged("a topic's name".to_owned());
            let topic = topic_of(name).ok_or_else(unreadable)?;
            let state = State::decode(name, sealed.value()).ok_or_else(|| Fault::topic(&topic))?;
            if !is_worth_having(transaction, settings, &topic, &state, wall_ms)? {
                continue;
            }
            if topics.len() == limit {
                return Ok(LogOutcome::Topics { topics, more: true });
            }
            topics.push(topic);
        }
    }
    Ok(LogOutcome::Topics { topics, more: false })
}

/// Whether anything of a topic is within its bounds, or it has a mark.
fn is_worth_having(
    transaction: &ReadTransaction,
    settings: &LogSettings,
    topic: &Topic,
    state: &State,
    wall_ms: u64,
) -> Result<bool, Fault> {
    let oldest_ms = wall_ms.saturating_sub(millis(settings.retention(topic).age));
    if state.handed > 0 || (state.count() > 0 && state.last_time_ms >= oldest_ms) {
        return Ok(true);
    }
    let (segments, keys) = (transaction.open_table(SEGMENTS)?, transaction.open_table(KEYS)?);
    let since_ms = settings.window_start(wall_ms);
    Ok(!publications(&segments, &keys, state, state.last + 1, since_ms)?.is_empty())
}

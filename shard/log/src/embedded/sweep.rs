//! Letting go of what has reached its age in topics that nobody asks for, a few topics at a time
//! so that appends don't wait for it.

use rand::rngs::StdRng;

use super::changes::Changes;
use super::fault::Fault;
use super::tables::topic_of;
use crate::settings::millis;

/// How many topics one transaction looks at.
const TOPICS_MAX: usize = 256;
/// How many segments and keys one transaction lets go of, about: a topic is done as a whole.
const TOUCHED_MAX: usize = 1_024;

/// A way through all topics.
#[derive(Debug, Default)]
pub(super) struct Sweep {
    wall_ms: u64,
    /// The topic that was looked at last.
    after: Option<Vec<u8>>,
}

impl Sweep {
    /// What is old now, in milliseconds since 1970.
    pub(super) fn set_time(&mut self, wall_ms: u64) {
        self.wall_ms = wall_ms;
    }

    /// Looks at some topics. Gives whether there are more.
    pub(super) fn step(
        &mut self,
        changes: &mut Changes<'_>,
        entropy: &mut StdRng,
    ) -> Result<bool, Fault> {
        let topics = changes.topics_after(self.after.as_deref(), TOPICS_MAX)?;
        let (mut more, mut touched, mut forgotten) = (topics.len() == TOPICS_MAX, 0, false);
        let count = topics.len();
        for (nth, (name, mut state)) in topics.into_iter().enumerate() {
            let unreadable = || Fault::Damaged("a topic's name".to_owned());
            let topic = topic_of(&name).ok_or_else(unreadable)?;
            let before = state.clone();
            let retention = changes.settings.retention(&topic);
            touched += changes.trim(&mut state, retention, self.wall_ms)?;
            let since_ms = changes.settings.window_start(self.wall_ms);
            touched += changes.expire(&mut state, since_ms)?;
            let unused = self.wall_ms.saturating_sub(state.used_ms) > millis(retention.age);
            if unused && state.count() == 0 && state.keys == 0 {
                changes.forget(&name)?;
                forgotten = true;
            } else if state != before {
                changes.keep(&name, &state)?;
            }
            self.after = Some(name);
            if touched > TOUCHED_MAX {
                more |= nth + 1 < count;
                break;
            }
        }
        if forgotten {
            changes.begin_epoch(entropy)?;
        }
        Ok(more)
    }
}

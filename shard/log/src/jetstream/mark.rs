//! Marks of what was handed over: they go with the next append, or alone when none comes soon.

use super::entry::encode_standing;
use super::held::Held;
use super::job::{At, Chore, Done, Shared};
use super::patience::Patience;
use super::publish::Publish;

/// Notes what was handed over. One of a topic that this process doesn't have is lost.
pub(super) fn note(held: Option<Held>, handed: u64) -> Done {
    let mut done = Done { held, ..Done::default() };
    if let Some(held) = &mut done.held {
        let handed = handed.min(held.standing.last);
        if handed > held.standing.handed {
            held.standing.handed = handed;
            // The one before has its time set.
            done.mark_noted = !held.mark_due;
            held.mark_due = true;
        }
    }
    done
}

impl At<'_> {
    /// Keeps what was noted, unless an append has done so.
    pub(super) async fn keep_mark(&self, held: Option<Held>, patience: &mut Patience) -> Done {
        let Self { shared: Shared { server, owner, .. }, subject, append, .. } = *self;
        let Some(mut held) = held else { return Done::default() };
        if !held.mark_due {
            return Done { held: Some(held), ..Done::default() };
        }
        let expected = held.sequence;
        let payloads = [encode_standing(append, &held.standing, owner)];
        let publish = Publish { subject, expected, append, payloads: &payloads };
        match server.keep(publish, patience).await {
            Ok(sequence) => {
                let chores = held.ends_in_standing.then_some(Chore::Delete(expected));
                held.sequence = sequence;
                (held.mark_due, held.ends_in_standing) = (false, true);
                let chores = chores.into_iter().collect();
                Done { held: Some(held), chores, ..Done::default() }
            }
            // What it would append next may be refused, or come after this: it must be opened again.
            Err(not_kept) => {
                tracing::debug!(subject, %not_kept, "a mark was not kept");
                Done::default()
            }
        }
    }
}

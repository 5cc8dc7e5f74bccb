//! A topic goes to another shard without being opened: the owner makes out a deed, and the next one
//! takes the topic up by it. Nothing is written to the topic, so that the servers sync next to nothing when
//! many topics move.
//!
//! A deed is believed if its entry still is the newest: whoever else had opened the topic or
//! appended to it would have written a later one. A server says so that has all that a majority had kept
//! when it was asked (`reached`). What is written after that is refused by the fence, as it would be after an open.

use bytes::Bytes;
use trunkline_core::{Epoch, LogOutcome, Ticket};

use super::held::Held;
use super::job::{At, Chore, Done};
use super::patience::{Late, Patience};

impl At<'_> {
    /// Has the topic no more. Gives what the next owner needs, if all that is known has been kept.
    pub(super) async fn cede(
        &self,
        ticket: Ticket,
        held: Option<Held>,
        patience: &mut Patience,
    ) -> Done {
        // A deed may get lost, a mark must not.
        let Done { held, chores, .. } = self.keep_mark(held, patience).await;
        let deed = held.and_then(|held| held.deed());
        Done { outcome: Some((ticket, LogOutcome::Ceded(deed))), chores, ..Done::default() }
    }

    /// Goes on as the owner before says, if the topic still stands so; otherwise opens it.
    pub(super) async fn take_up(
        &self,
        ticket: Ticket,
        deed: Bytes,
        epoch: Epoch,
        held: Option<Held>,
        patience: &mut Patience,
    ) -> Done {
        let Some(given) = Held::by_deed(deed, self.wall_ms) else {
            return self.open(ticket, epoch, held, patience).await;
        };
        let mut chores = Vec::new();
        let mut done = match self.is_newest(given.sequence, &mut chores, patience).await {
            Ok(true) => {
                let mut done = Done { held: Some(given), ..Done::default() };
                self.tidy(&mut done);
                let opened = done.held.as_ref().map(|held| self.opened(held, &[]));
                done.outcome = opened.map(|opened| (ticket, LogOutcome::Opened(opened)));
                done
            }
            Ok(false) => self.open(ticket, epoch, held, patience).await,
            Err(late) => self.failed(ticket, &late.into()),
        };
        done.chores.append(&mut chores);
        done
    }

    /// Whether nothing of the topic has been kept after this place in the stream.
    async fn is_newest(
        &self,
        sequence: u64,
        chores: &mut Vec<Chore>,
        patience: &mut Patience,
    ) -> Result<bool, Late> {
        let server = &self.shared.server;
        let reached = server.reached(chores, patience).await?;
        let _turn = patience.wait(self.shared.readers.acquire()).await?;
        loop {
            match patience.wait(server.newest_place(self.subject, reached)).await? {
                Ok(Some(newest)) => return Ok(newest == sequence),
                Ok(None) => tracing::debug!(self.subject, "the server that was asked is late"),
                Err(failure) => {
                    tracing::debug!(self.subject, %failure, "a deed is looked at again");
                }
            }
            patience.pause().await?;
        }
    }
}

//! Opening a topic: taking it over from whoever has it.

use std::sync::Arc;

use trunkline_core::{Epoch, LogOutcome, Opened, Publication, Record, Ticket};

use super::entry::{Standing, encode_standing};
use super::held::Held;
use super::job::{At, Chore, Done, Shared};
use super::load::Loaded;
use super::patience::Patience;
use super::publish::{NotKept, Publish};

impl At<'_> {
    /// Takes the topic over: whoever had it can't append from here on.
    pub(super) async fn open(
        &self,
        ticket: Ticket,
        epoch: Epoch,
        held: Option<Held>,
        patience: &mut Patience,
    ) -> Done {
        match self.take_over(epoch, held, patience).await {
            Ok((Loaded { held, records }, chores)) => {
                let mut done = Done { held: Some(held), chores, ..Done::default() };
                self.tidy(&mut done);
                let opened = done.held.as_ref().map(|held| self.opened(held, &records));
                done.outcome = opened.map(|opened| (ticket, LogOutcome::Opened(opened)));
                done
            }
            Err(not_kept) => self.failed(ticket, &not_kept),
        }
    }

    async fn take_over(
        &self,
        epoch: Epoch,
        held: Option<Held>,
        patience: &mut Patience,
    ) -> Result<(Loaded, Vec<Chore>), NotKept> {
        let Self { shared: Shared { server, owner, readers, .. }, subject, append, .. } = *self;
        let _turn = patience.wait(readers.acquire()).await?;
        loop {
            let tail = server.tail(subject, patience).await?;
            let expected = tail.as_ref().map_or(0, |tail| tail.sequence);
            let spent = held.as_ref().is_some_and(|it| it.spent && it.sequence == expected);
            let replaced = tail.as_ref().is_some_and(|tail| tail.records.is_empty());
            let mut standing = match tail {
                Some(tail) if !spent => tail.standing,
                _ => Standing::new(epoch.clone()),
            };
            if let Some(held) = held.as_ref().filter(|it| it.standing.epoch == standing.epoch) {
                standing.handed = standing.handed.max(held.standing.handed);
            }
            let payloads = [encode_standing(append, &standing, owner)];
            let publish = Publish { subject, expected, append, payloads: &payloads };
            match server.keep(publish, patience).await {
                Ok(sequence) => {
                    let loaded =
                        server.load(subject, standing, sequence, self.wall_ms, patience).await?;
                    let chores = replaced.then_some(Chore::Delete(expected)).into_iter().collect();
                    return Ok((loaded, chores));
                }
                // Its owner is still writing, or another one takes it over too. Who pauses loses.
                Err(NotKept::Conflict) => {}
                Err(other) => return Err(other),
            }
        }
    }

    pub(super) fn opened(&self, held: &Held, records: &[Arc<Record>]) -> Opened {
        let Standing { epoch, last, last_time_ms, handed } = held.standing.clone();
        let since_ms = self.shared.settings.window_start(self.wall_ms);
        let recent = records.iter().filter(|record| record.time_ms >= since_ms);
        let publications = recent.map(|record| Publication::of(record)).collect();
        let (first, waiting_bytes) = (held.first(), held.waiting_bytes());
        Opened { epoch, first, last, last_time_ms, handed, waiting_bytes, publications }
    }
}

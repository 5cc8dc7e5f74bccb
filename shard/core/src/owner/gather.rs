//! Messages that are not kept and that clients are asked to acknowledge: what the shards that have
//! members answer is put together for whoever has asked. This goes on here when the topic has
//! gone to another owner.

use std::collections::BTreeSet;
use std::time::Duration;

use super::Owner;
use crate::asker::Asker;
use crate::core::Io;
use crate::link::ShardIndex;
use crate::message::Body;
use crate::name::UserId;
use crate::peer::{Delivery, GatherId, Gathered, Reply};
use crate::time::Mono;
use crate::topic::Topic;

/// How much longer than its clients a shard may take.
const MARGIN: Duration = Duration::from_secs(2);

/// A message whose acknowledgements are not all there.
#[derive(Debug)]
pub(super) struct Gathering {
    asker: Asker,
    deadline: Mono,
    /// Shards that have not said what their clients have answered.
    waiting: BTreeSet<ShardIndex>,
    gathered: Gathered,
}

impl Owner {
    pub(super) fn gather(
        &mut self,
        io: &mut Io,
        asker: Asker,
        topic: &Topic,
        from: UserId,
        body: Body,
        timeout: Duration,
    ) {
        let Some(owned) = self.topics.get(topic) else { return };
        let waiting: BTreeSet<ShardIndex> = owned.members.subscribers().collect();
        if waiting.is_empty() {
            return asker.answer(io, Ok(Reply::Gathered(Gathered::default())));
        }
        self.gathers += 1;
        let gather = GatherId(self.gathers);
        let deadline = io.now.mono + timeout + MARGIN;
        let gathering = Gathering { asker, deadline, waiting, gathered: Gathered::default() };
        self.gathering.insert(gather, gathering);
        self.gather_deadlines.insert((deadline, gather));
        let delivery = Delivery::Gather { gather, from, body, timeout };
        Self::announce(io, owned, topic, &delivery);
    }

    /// What a shard's clients have answered.
    pub(crate) fn answers(
        &mut self,
        io: &mut Io,
        home: ShardIndex,
        gather: GatherId,
        answers: Gathered,
    ) {
        let Some(gathering) = self.gathering.get_mut(&gather) else { return };
        if !gathering.waiting.remove(&home) {
            return;
        }
        let Gathered { responses, asked } = answers;
        gathering.gathered.responses.extend(responses);
        gathering.gathered.asked += asked;
        if gathering.waiting.is_empty() {
            self.end_gather(io, gather);
        }
    }

    /// A shard is out of reach: it will say nothing more.
    pub(super) fn answers_no_more(&mut self, io: &mut Io, home: ShardIndex) {
        let waits = |(id, it): (&GatherId, &Gathering)| it.waiting.contains(&home).then_some(*id);
        let waiting: Vec<_> = self.gathering.iter().filter_map(waits).collect();
        for gather in waiting {
            self.answers(io, home, gather, Gathered::default());
        }
    }

    pub(super) fn end_overdue_gathers(&mut self, io: &mut Io) {
        let now = io.now.mono;
        while let Some((_, gather)) =
            self.gather_deadlines.first().copied().filter(|it| it.0 <= now)
        {
            self.end_gather(io, gather);
        }
    }

    fn end_gather(&mut self, io: &mut Io, gather: GatherId) {
        let Some(gathering) = self.gathering.remove(&gather) else { return };
        let Gathering { asker, deadline, waiting: _, gathered } = gathering;
        self.gather_deadlines.remove(&(deadline, gather));
        asker.answer(io, Ok(Reply::Gathered(gathered)));
    }
}

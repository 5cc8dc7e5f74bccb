//! Who is let in may be ahead of those who hear the topic here: while topics and sessions move, an
//! owner may have taken this shard's members for gone for a moment. All must have the same.

use std::collections::BTreeMap;

use super::Home;
use super::requests::{Asked, Pending, Subject};
use super::respond::ReplyTo;
use crate::core::Io;
use crate::peer::{Action, Joined, Refusal, Reply, RequestId};
use crate::position::{Epoch, Position};
use crate::session_id::SessionId;
use crate::topic::Topic;

impl Home {
    /// Who is let in by another owner than the one that the topic is heard from has what that one may
    /// say again, or lacks what it has said: the join counts as one that the other owner refused. So
    /// does what was asked behind such a one of coming and going, for its answer counts on that.
    pub(super) fn let_in_here(
        &mut self,
        io: &mut Io,
        request: RequestId,
        result: Result<Reply, Refusal>,
    ) -> Result<Reply, Refusal> {
        let handover = match &result {
            Ok(Reply::Joined(joined)) => joined.handover,
            Ok(Reply::Left) => None,
            _ => return result,
        };
        let Some(pending) = self.requests.get(request) else { return result };
        let (Subject::Join(topic) | Subject::Leave(topic)) = &pending.subject else {
            return result;
        };
        let (owner, session) = (pending.owner, pending.session);
        let joins = |it: &Pending| matches!(it.subject, Subject::Join(_));
        let is_heard = |topic| self.subscriptions.get(topic).is_none_or(|it| it.owner == owner);
        let joins_first = |before: RequestId| {
            let before = self.requests.get(before).filter(|before| before.session == session);
            before.is_some_and(joins)
        };
        let is_sure = !joins(pending) || is_heard(topic);
        let is_sure = is_sure || trunkline_planted::is("let in by whom nobody hears");
        if is_sure && !self.gates.waiting_before(topic, request).any(joins_first) {
            return result;
        }
        let topic = topic.clone();
        self.not_handed(io, owner, &topic, handover);
        if let Some(session) = self.sessions.get(&session) {
            io.tell(owner, session.suspended_in(topic));
        }
        Err(Refusal::Moved)
    }

    /// If a join's answer is ahead of those who hear the topic here, and doesn't say what they have
    /// missed, they are claimed first and the join is asked again. Gives what is to be answered now.
    pub(super) fn behind_claim(
        &mut self,
        io: &mut Io,
        request: RequestId,
        result: Result<Reply, Refusal>,
    ) -> Option<Result<Reply, Refusal>> {
        let Ok(Reply::Joined(joined)) = &result else { return Some(result) };
        let Some(pending) = self.requests.get(request) else { return Some(result) };
        let Subject::Join(topic) = &pending.subject else { return Some(result) };
        let is_own = !matches!(pending.reply_to, ReplyTo::Relay(_) | ReplyTo::Api { .. });
        if !is_own || !self.is_ahead(pending, topic, joined) {
            return Some(result);
        }
        let (topic, owner) = (topic.clone(), pending.owner);
        let (session, handover) = (pending.session, joined.handover);
        self.not_handed(io, owner, &topic, handover);
        self.gates.unclaimed.remove(&topic);
        if let Some(session) = self.sessions.get(&session) {
            io.tell(owner, session.suspended_in(topic.clone()));
        }
        self.claim(io, &topic);
        if let Some(pending) = self.requests.redirect(request, owner) {
            io.tell(owner, pending.asked.message(request));
        }
        None
    }

    fn is_ahead(&self, pending: &Pending, topic: &Topic, joined: &Joined) -> bool {
        let Some(heard) = self.subscriptions.get(topic) else { return false };
        if heard.owner != pending.owner || !self.speaks_by(pending.session, pending.line) {
            return false;
        }
        let (heard, position) = (&heard.position, &joined.position);
        if heard.epoch == position.epoch && heard.offset >= position.offset {
            return false;
        }
        let session = self.sessions.get(&pending.session);
        let is_live = session.is_some_and(|it| it.is_live_in(topic));
        let first = joined.missed.first().map(|record| record.offset);
        let tells_all =
            heard.epoch == position.epoch && first.is_some_and(|first| first <= heard.offset + 1);
        !(is_live && tells_all)
    }

    /// The owner lets in a session that is in: what another home has said late of it had taken it
    /// away for a moment. What was missed by that is for all who hear the topic here; gives what is
    /// left to be said to the one who joins.
    pub(super) fn hear_rest(
        &mut self,
        io: &mut Io,
        member: &Pending,
        topic: &Topic,
        mut joined: Joined,
    ) -> Joined {
        let session = self.sessions.get(&member.session);
        let is_live = session.is_some_and(|it| it.is_live_in(topic));
        let heard = self.subscriptions.get(topic).map(|it| it.position.clone());
        if let (true, Some(heard)) = (is_live, heard)
            && heard.epoch == joined.position.epoch
        {
            let (epoch, last) = (joined.position.epoch.clone(), joined.position.offset);
            let missed = std::mem::take(&mut joined.missed);
            if last > heard.offset {
                let (gap, handover) = (joined.gap.take(), joined.handover.take());
                self.claimed(io, member.owner, topic, &epoch, gap, &missed, last, handover);
            }
            joined.gap = joined.gap.filter(|offset| *offset > heard.offset);
        }
        joined
    }

    /// What was kept by one owner may be heard from the next before that one is asked for it again.
    /// Who has published it is told first.
    pub(super) fn answer_first(
        &mut self,
        io: &mut Io,
        topic: &Topic,
        epoch: &Epoch,
        kept: impl Iterator<Item = (SessionId, u64, u64)>,
    ) {
        let mut waiting = BTreeMap::new();
        for (request, pending) in self.requests.iter() {
            if let Asked::Topic { member, sequence, topic: of, action } = &pending.asked
                && matches!(action, Action::Publish { .. })
                && of == topic
            {
                waiting.insert((member.session, *sequence), request);
            }
        }
        if waiting.is_empty() || trunkline_planted::is("tell of it before its answer") {
            return;
        }
        for (session, sequence, offset) in kept {
            if let Some(request) = waiting.remove(&(session, sequence)) {
                let position = Position { epoch: epoch.clone(), offset };
                self.reply(io, request, Ok(Reply::Published(position)));
            }
        }
    }
}

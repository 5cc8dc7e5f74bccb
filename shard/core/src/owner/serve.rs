//! What a topic does for those who ask: one arm per action.

use super::append::{Pending, age_limit};
use super::members::Change;
use super::topic::OwnedTopic;
use super::{Owner, Tickets, Waiting, remembered_until};
use crate::asker::Asker;
use crate::core::Io;
use crate::dedupe::{Dedupe, Identity, Key, Seen};
use crate::link::ShardIndex;
use crate::log::{LogRequest, ReadQuery};
use crate::peer::{Action, Delivery, Member, PeerMessage, Refusal, Reply};
use crate::session_id::SessionId;
use crate::topic::Topic;

impl Owner {
    /// Serves a request to an open topic.
    pub(super) fn serve(
        &mut self,
        io: &mut Io,
        asker: Asker,
        member: Member,
        sequence: u64,
        topic: &Topic,
        action: Action,
    ) {
        match action {
            Action::Join { after } => {
                // A home asks by itself only for who hears nothing there.
                let may_hear = sequence != 0;
                self.join(io, asker, member, topic, (after.as_ref(), may_hear));
            }
            Action::Leave => {
                // Answered first: a session that joins, leaves and joins without waiting is
                // still among those who hear, and must not hear of itself.
                asker.answer(io, Ok(Reply::Left));
                let Some(owned) = self.topics.get_mut(topic) else { return };
                if sequence == 0 && owned.members.is_doubted(member.session) {
                    // A home that doesn't say it for the client may know of its last connection only:
                    // who isn't claimed within the grace has left. What it has asked before is over.
                    if !owned.joins_later(member.session, member.attachment) {
                        owned.cancel_join(io, &mut self.tickets, member.session);
                    }
                    return;
                }
                self.part(io, topic, member.session, member.attachment);
            }
            Action::Publish { body, key, ephemeral, echo } => {
                let key = key.map(|text| Key { text, ephemeral });
                let identity = Identity { member, sequence, key };
                let pending = Pending { asker, identity, body, echo, again: false };
                self.publish(io, topic, pending, ephemeral);
            }
            Action::History { after, before, limit } => {
                self.history(io, asker, topic, after, before, limit);
            }
            Action::Gather { body, timeout } => {
                self.gather(io, asker, topic, member.user, body, timeout);
            }
            Action::Disconnect => self.disconnect(io, asker, topic),
            Action::Presence { after, limit } => {
                let Some(owned) = self.topics.get(topic) else { return };
                let sure = io.now.mono >= self.doubtful_until.max(owned.doubtful_until);
                let users = owned.members.page(after.as_ref(), limit);
                let sure = sure && owned.members.are_sure();
                asker.answer(io, Ok(Reply::Presence { users, sure }));
            }
        }
    }

    fn publish(&mut self, io: &mut Io, topic: &Topic, pending: Pending, ephemeral: bool) {
        let Self { topics, tickets, .. } = self;
        let Some(owned) = topics.get_mut(topic) else { return };
        let window = io.settings.key_window;
        let dedupe = owned.dedupe.get_or_insert_with(|| Box::new(Dedupe::new(window)));
        match dedupe.begin(io.now.mono, &pending.identity, pending.asker) {
            Seen::New => {}
            Seen::Done(_) if trunkline_planted::is("forget what was published") => {}
            Seen::Pending => return,
            Seen::Done(reply) => return pending.asker.answer(io, Ok(reply)),
        }
        match topic {
            Topic::Inbox(_) if ephemeral || owned.is_full(io) => {
                self.hand_unkept(io, topic, &pending);
            }
            Topic::Room(..) if ephemeral => {
                let Pending { identity, body, echo, .. } = &pending;
                let delivery = Delivery::Ephemeral {
                    from: identity.member.user.clone(),
                    except: if *echo { None } else { Some(identity.member.session) },
                    body: body.clone(),
                    handover: None,
                };
                owned.settle(io, pending.asker, &pending.identity, &Reply::Ephemeral);
                Self::announce(io, owned, topic, &delivery);
            }
            Topic::Inbox(_) | Topic::Room(..) => owned.append(io, tickets, topic, pending),
        }
    }

    /// Has all connections of an inbox's user closed.
    fn disconnect(&mut self, io: &mut Io, asker: Asker, topic: &Topic) {
        let Some(owned) = self.topics.get(topic) else { return };
        let sessions = u32::try_from(owned.members.sure()).unwrap_or(u32::MAX);
        Self::announce(io, owned, topic, &Delivery::Disconnect);
        asker.answer(io, Ok(Reply::Disconnected(sessions)));
    }

    fn history(
        &mut self,
        io: &mut Io,
        asker: Asker,
        topic: &Topic,
        after: Option<u64>,
        before: Option<u64>,
        limit: usize,
    ) {
        let Some(tail) = self.topics.get(topic).and_then(|owned| owned.tail()) else { return };
        let epoch = tail.epoch().clone();
        let query = ReadQuery {
            after: after.unwrap_or(0),
            before: before.unwrap_or(u64::MAX),
            limit,
            newest: before.is_some() || after.is_none(),
        };
        let waiting = Waiting::History { asker, epoch };
        self.ask_log(io, topic, waiting, |ticket, topic| LogRequest::Read { ticket, topic, query });
    }

    /// Adds a member and says so to those who were there before; not to the shard that `claims`
    /// it together with others, who must not hear of themselves.
    pub(super) fn add_member(
        &mut self,
        io: &mut Io,
        topic: &Topic,
        home: ShardIndex,
        member: Member,
        claims: Option<ShardIndex>,
    ) {
        let Some(owned) = self.topics.get_mut(topic) else { return };
        let Topic::Room(..) = topic else {
            owned.members.join(home, member);
            return;
        };
        let others = owned.members.subscribers().filter(|other| claims != Some(*other));
        let others: Vec<_> = others.filter(|_| !topic.is_everyones()).collect();
        let user = member.user.clone();
        if owned.members.is_empty() {
            self.tally.rooms += 1;
        }
        let before = owned.members.sessions();
        let change = owned.members.join(home, member);
        self.tally.members += owned.members.sessions() - before;
        let announced = change == Change::User
            && !topic.is_everyones()
            && owned.members.users() <= io.settings.announce_up_to
            && io.now.mono >= self.doubtful_until.max(owned.doubtful_until);
        if announced {
            // Said before the newcomer's own answer, so that its connection is not among those
            // who hear it.
            let delivery = Delivery::UserJoined(user);
            owned.keep_news(&delivery);
            for other in others {
                let delivery = delivery.clone();
                let topic = topic.clone();
                io.tell(other, PeerMessage::Deliver { topic, delivery });
            }
        }
    }

    /// Removes a member and says so to those who stay.
    pub(super) fn remove_member(&mut self, io: &mut Io, topic: &Topic, session: SessionId) {
        let Some(owned) = self.topics.get_mut(topic) else { return };
        if trunkline_planted::is("let nobody leave") {
            return;
        }
        let (users, attachment) = (owned.members.users(), owned.members.attachment(session));
        let Some((user, change)) = owned.members.leave(session) else { return };
        if let Some(attachment) = attachment.filter(|it| !it.is_first()) {
            owned.members.has_left(session, attachment, remembered_until(io));
        }
        let Topic::Room(..) = topic else { return };
        self.tally.members -= 1;
        if owned.members.is_empty() {
            self.tally.rooms -= 1;
        }
        if change == Change::User
            && !topic.is_everyones()
            && users <= io.settings.announce_up_to
            && io.now.mono >= self.doubtful_until.max(owned.doubtful_until)
        {
            let delivery = Delivery::UserLeft(user);
            owned.keep_news(&delivery);
            Self::announce(io, owned, topic, &delivery);
        }
    }
}

impl OwnedTopic {
    /// A join that waits for the log is not wanted any more.
    pub(super) fn cancel_join(&mut self, io: &mut Io, tickets: &mut Tickets, session: SessionId) {
        if let Some(joining) = self.joining.remove(&session) {
            tickets.remove(&joining.ticket);
            joining.asker.answer(io, Err(Refusal::Superseded));
        }
    }

    /// Lets go of what has reached its age.
    pub(super) fn age(&mut self, io: &Io, topic: &Topic) {
        if let Some(tail) = self.tail_mut() {
            let first = tail.first();
            tail.trim(first, age_limit(io, topic));
        }
    }
}

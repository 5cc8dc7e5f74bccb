//! Topics go to other owners: this shard's members of them are claimed there. And sessions that are
//! with this shard are another's by the view: that one is told where they are.

use trunkline_config::View;

use super::Home;
use crate::core::Io;
use crate::link::ShardIndex;
use crate::peer::{Member, PeerMessage};
use crate::topic::Topic;

impl Home {
    /// There is another map, or a shard is away or serves again.
    pub(crate) fn view_changed(&mut self, io: &mut Io, before: &View) {
        self.subscriptions.sort_out(io);
        self.close_gates(io);
        self.claim_what_is_orphaned(io);
        self.open_gates(io);
        if !io.view().places_like(before) {
            self.tell_who_belongs_elsewhere(io, before);
        }
        let mut peers = io.links.others();
        peers.push(io.links.me());
        for peer in peers {
            for (session, topic) in self.missing_topics(io, peer) {
                self.join_own(io, session, &topic, None);
            }
        }
    }

    /// Sessions that are with this shard, and rooms of those that nobody speaks for, have other
    /// shards than before: these are told.
    fn tell_who_belongs_elsewhere(&self, io: &mut Io, before: &View) {
        for session in self.sessions.values() {
            if before.owner_of(session.id.digest()) != io.home_of(&session.id).0 {
                self.tell_whereabouts(io, session);
            }
            if session.at.is_none() {
                for topic in session.rooms.keys().map(|room| session.room(room)) {
                    let owner = io.owner_of(&topic);
                    if before.owner(&topic.key()) != owner.0 {
                        io.tell(owner, session.suspended_in(topic));
                    }
                }
            }
        }
        self.tell_who_is_remembered(io, |named_by, private_id| {
            before.owner_of(private_id.digest()) != named_by.0
        });
    }

    /// What was heard from a shard that is out of reach and isn't the owner any more.
    pub(super) fn claim_what_is_orphaned(&mut self, io: &mut Io) {
        for topic in self.subscriptions.orphaned(io) {
            self.claim(io, &topic);
        }
    }

    /// Says to the owner of a topic who of its members is here, and what they have heard. If it is
    /// out of reach that is said when it isn't.
    pub(super) fn claim(&mut self, io: &mut Io, topic: &Topic) {
        let owner = io.owner_of(topic);
        let Some(subscription) = self.subscriptions.turn_to(topic, owner) else { return };
        let member = |id| self.sessions.get(&id).map(|session| session.member());
        let members: Vec<Member> = subscription.members().filter_map(member).collect();
        let after = subscription.position.clone();
        io.tell(owner, PeerMessage::Claim { topic: topic.clone(), after, members });
        self.close_gate(io, topic);
    }

    /// A shard has said all that it will ever say of a topic. One that is still the owner by the
    /// view is asked again in a moment.
    pub(crate) fn parted(&mut self, io: &mut Io, from: ShardIndex, topic: &Topic) {
        let is_heard = self.subscriptions.get(topic).is_some_and(|it| it.owner == from);
        if is_heard && io.owner_of(topic) == from {
            if self.gates.unclaimed.insert(topic.clone()) {
                self.gates.claims.push(io.now.mono, topic.clone());
            }
        } else if is_heard {
            self.claim(io, topic);
        }
        self.gates.forgive(topic);
        self.open_gate(io, topic);
    }
}

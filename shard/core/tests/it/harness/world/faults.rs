//! What breaks, and how it comes back: links, trunks, processes.

use std::collections::BTreeSet;
use std::time::Duration;

use rand::Rng;
use trunkline_core::{Core, CoreSettings, Input, LogReach, ShardIndex};

use super::{Event, On, Stranger, World, index};
use crate::harness::log::ModelLog;
use crate::harness::network::TrunkSlot;
use crate::harness::plan::Plan;
use crate::harness::router::Arrival;

/// A broken thing whose other end is not there tries again after this long.
const TRY_AGAIN: Duration = Duration::from_millis(100);

impl World {
    /// Cuts a link for a while; false if it isn't whole.
    pub(crate) fn cut_link(&mut self, a: usize, b: usize, outage: Duration) -> bool {
        if !self.network.link_is_settled(a, b, self.now) {
            return false;
        }
        self.lose_link(a, b);
        self.at(self.now + self.longest_notice() + outage, Event::MakeLink(a, b));
        true
    }

    /// Cuts a trunk for a while; false if it isn't whole.
    pub(crate) fn cut_trunk(&mut self, slot: TrunkSlot, outage: Duration) -> bool {
        if !self.network.trunk_is_settled(slot, self.now) {
            return false;
        }
        self.lose_trunk(slot);
        // Its router may be back before the shard has noticed that it was gone.
        let at_once = self.plan.hold && self.chance.random_bool(0.3);
        let again = if at_once { Duration::ZERO } else { self.longest_notice() + outage };
        self.at(self.now + again, Event::MakeTrunk(slot));
        true
    }

    /// Ends a shard's process, which starts again after a while; false if it isn't running.
    pub(crate) fn crash(&mut self, shard: usize, outage: Duration) -> bool {
        if self.shards[shard].core.is_none() {
            return false;
        }
        if self.plan.durable {
            self.keep_some(shard);
        }
        self.shards[shard].core = None;
        self.shards[shard].links.clear();
        self.shards[shard].trunks.clear();
        self.see(Arrival::Crashed { shard });
        let again = self.now + self.longest_notice() + outage;
        self.at(again, Event::Start(shard));
        for peer in (0..self.plan.shards).filter(|peer| *peer != shard) {
            if self.lose_link(shard, peer) {
                self.at(again, Event::MakeLink(shard, peer));
            }
        }
        for router in 0..self.plan.routers {
            if self.lose_trunk((router, shard)) {
                self.at(again, Event::MakeTrunk((router, shard)));
            }
        }
        true
    }

    /// Of what a store was asked and has not done, it still does the first few, or all, or none:
    /// nobody will hear of it.
    fn keep_some(&mut self, shard: usize) {
        let mut asked = Vec::new();
        for event in self.events.values() {
            if let Event::Store { shard: of, life, request } = event
                && *of == shard
                && *life == self.shards[shard].life
            {
                asked.push(request.clone());
            }
        }
        asked.truncate(self.chance.random_range(0..=asked.len()));
        let life = self.shards[shard].life;
        for request in asked {
            self.store(shard, life, request);
        }
    }

    pub(super) fn start(&mut self, shard: usize) {
        let owed = self.owed_at_start(shard);
        let it = &mut self.shards[shard];
        it.life += 1;
        let settings = settings_of(&self.plan, shard, it.life);
        if !self.plan.durable || it.life == 1 {
            it.log = ModelLog::new(&format!("{shard}-{}", it.life), &settings);
        }
        // A process notes at once by which view it has begun.
        it.owed = Some((it.view.id(), owed.clone()));
        it.core = Some(Core::new(it.view.clone(), index(shard), owed, settings));
        // What all shards share has no note of one of them.
        if self.plan.durable && !self.plan.shared && it.life > 1 {
            self.input(self.now, shard, On::Nothing, Input::Succeeds);
        }
    }

    /// Who may have what is a new process's: what an earlier one has noted of that, if the view is
    /// the same; nobody, as long as the first view is the only one there ever was.
    fn owed_at_start(&self, shard: usize) -> BTreeSet<ShardIndex> {
        let others = (0..self.plan.shards).filter(|it| *it != shard).map(index);
        match &self.shards[shard].owed {
            None if self.shards[shard].view.id().map.version == 1 => BTreeSet::new(),
            Some((view, owed))
                if self.plan.durable
                    && !self.plan.shared
                    && *view == self.shards[shard].view.id() =>
            {
                owed.clone()
            }
            _ => others.collect(),
        }
    }

    pub(super) fn make_link(&mut self, a: usize, b: usize) {
        if self.shards[a].core.is_none() || self.shards[b].core.is_none() {
            return self.at(self.now + TRY_AGAIN, Event::MakeLink(a, b));
        }
        let notice = self.plan.notice.clone();
        let known = [self.now + self.draw(&notice), self.now + self.draw(&notice)];
        let life = self.network.make_link((a, known[0]), (b, known[1]));
        for (me, peer, at) in [(a, b, known[0]), (b, a, known[1])] {
            let restarted = self.meets(Stranger::Peer(peer), me);
            let input = Input::LinkUp { peer: index(peer), restarted };
            self.input(at, me, On::Link(peer, life), input);
        }
        self.at(known[0].max(known[1]), Event::LinkIsKnown(a, b, life));
    }

    pub(super) fn make_trunk(&mut self, slot: TrunkSlot) {
        let (router, shard) = slot;
        if self.shards[shard].core.is_none() {
            return self.at(self.now + TRY_AGAIN, Event::MakeTrunk(slot));
        }
        let known = self.now + self.draw(&self.plan.notice.clone());
        let trunk = self.network.make_trunk(slot, known);
        let restarted = self.meets(Stranger::Router(router), shard);
        self.input(known, shard, On::Trunk(trunk), Input::TrunkUp { trunk, restarted });
        self.attach_again(slot, trunk);
    }

    /// Whether a stranger that connects knew an earlier process of a shard, and not this one.
    fn meets(&mut self, stranger: Stranger, shard: usize) -> bool {
        let life = self.shards[shard].life;
        self.known.insert((stranger, shard), life).is_some_and(|known| known != life)
    }

    /// Breaks a link; its ends notice after a while. False if it was broken.
    fn lose_link(&mut self, a: usize, b: usize) -> bool {
        let whole = self.network.break_link(a, b);
        if whole {
            self.see(Arrival::Cut { a, b });
            for (me, peer) in [(a, b), (b, a)] {
                let at = self.now + self.draw(&self.plan.notice.clone());
                self.input(at, me, On::Nothing, Input::LinkDown { peer: index(peer) });
            }
        }
        whole
    }

    /// Breaks a trunk: its clients are kept or sent away at once, its shard notices after a while. False
    /// if it was broken.
    fn lose_trunk(&mut self, slot: TrunkSlot) -> bool {
        let Some(trunk) = self.network.break_trunk(slot) else { return false };
        for client in self.sockets.of_trunk(trunk) {
            if self.plan.hold && self.sockets.hold(client) {
                self.see(Arrival::Held { client });
                // By its router's view it may belong to another shard, whose trunk is up.
                let waits_for =
                    self.sockets.get(client).map(|it| self.home_by(slot.0, &it.session));
                if waits_for.is_some_and(|home| home != slot.1) {
                    self.at(self.now, Event::MoveClient(client));
                }
            } else {
                self.sockets.close(client);
                self.loses_its_shard(client);
                self.see(Arrival::Closed { client, code: 1012, kept: false });
            }
        }
        let at = self.now + self.draw(&self.plan.notice.clone());
        self.input(at, slot.1, On::Nothing, Input::TrunkDown { trunk });
        true
    }

    fn longest_notice(&self) -> Duration {
        Duration::from_millis(*self.plan.notice.end())
    }
}

/// Each process of each shard has another incarnation.
pub(super) fn settings_of(plan: &Plan, shard: usize, life: u64) -> CoreSettings {
    let log = match (plan.shared, plan.durable) {
        (true, _) => LogReach::Cluster,
        (false, true) => LogReach::Shard,
        (false, false) => LogReach::Process,
    };
    CoreSettings { incarnation: 1 + shard as u64 + 16 * life, log, ..plan.settings.clone() }
}

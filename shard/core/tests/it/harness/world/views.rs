//! Views change: shards go away and come back, and there are other maps. Every shard and every
//! router hears of it in its own time, and routers then move their connections.

use std::sync::Arc;

use rand::Rng;
use trunkline_config::{ShardStatus, View};
use trunkline_core::{Core, Input, Topic};

use super::{Event, Stranger, World, id_of, map_of};
use crate::harness::router::{Arrival, ClientId};

impl World {
    /// From now on these shards are away; everybody will hear of it.
    pub(crate) fn away(&mut self, away: &[usize]) {
        self.change_view(away, None);
    }

    /// There is a new map, of these shards.
    pub(crate) fn new_map(&mut self, shards: &[usize], away: &[usize]) {
        self.change_view(away, Some(shards));
    }

    /// From now on these shards are away, of which only some shards hear yet.
    pub(crate) fn away_for(&mut self, who: &[usize], away: &[usize]) {
        self.say_away(away);
        let map = Arc::clone(self.view.map());
        self.view = View::new(map, &self.statuses, &mut self.directory);
        self.views += 1;
        for shard in who {
            self.hear_of(Stranger::Peer(*shard), self.views, self.view.clone());
        }
    }

    fn say_away(&mut self, away: &[usize]) {
        for shard in 0..self.plan.shards {
            let (id, is_away) = (id_of(shard), away.contains(&shard));
            let known = self.statuses.of(&id).is_some_and(|it| it.away);
            if known != is_away {
                let said = ShardStatus { shard: id, stamp_ms: self.views + 1, away: is_away };
                self.statuses.learn(&said);
            }
        }
    }

    fn change_view(&mut self, away: &[usize], shards: Option<&[usize]>) {
        self.say_away(away);
        let map = match shards {
            Some(shards) => {
                self.version += 1;
                Arc::new(map_of(self.version, shards.iter().copied()))
            }
            None => Arc::clone(self.view.map()),
        };
        let view = View::new(map, &self.statuses, &mut self.directory);
        self.view = view.clone();
        self.views += 1;
        let shards = (0..self.plan.shards).map(Stranger::Peer);
        let all: Vec<_> = shards.chain((0..self.plan.routers).map(Stranger::Router)).collect();
        for who in all {
            let delay = self.draw(&self.plan.news.clone());
            let at = self.news.get(&who).copied().unwrap_or_default().max(self.now + delay);
            self.news.insert(who, at);
            self.at(at, Event::View(who, self.views, view.clone()));
        }
    }

    /// One shard alone hears of the newest view now; the others when they would have anyway.
    pub(super) fn hear_of(&mut self, who: Stranger, nth: u64, view: View) {
        // News may overtake news: who hears late hears only what is so now.
        let is_late = self.chance.random_ratio(1, 4);
        let (nth, view) = if is_late { (self.views, self.view.clone()) } else { (nth, view) };
        let heard = self.heard.entry(who).or_default();
        if *heard >= nth {
            return;
        }
        *heard = nth;
        match who {
            Stranger::Peer(shard) => {
                self.shards[shard].view = view.clone();
                self.feed(shard, Input::View(view));
            }
            Stranger::Router(router) => {
                self.routers[router] = view;
                for client in self.sockets.of_router(router) {
                    let delay = self.draw(&self.plan.news.clone());
                    self.at(self.now + delay, Event::MoveClient(client));
                }
            }
        }
    }

    /// A router takes a connection to the shard of its view, if it has a checkpoint.
    pub(super) fn move_client(&mut self, client: ClientId) {
        let Some(socket) = self.sockets.get(client) else { return };
        let (router, session, trunk) = (socket.router, socket.session, socket.trunk);
        let home = self.home_by(router, &session);
        let (is_held, connection) = (socket.is_held, socket.connection(client));
        let next = self.network.trunk((router, home));
        if !is_held && next == Some(trunk) {
            return;
        }
        if !is_held {
            if !self.plan.hold || !self.sockets.hold(client) {
                return;
            }
            self.up(trunk, Input::Detach { trunk, connection, moved: true });
            self.polls_elsewhere(client);
            self.see(Arrival::Held { client });
        }
        if let Some(next) = next {
            self.attach_one(client, home, next);
        }
    }

    /// The shards whose stores have a topic.
    pub(crate) fn holders(&self, topic: &Topic) -> Vec<usize> {
        let holds = |shard: &usize| self.shards[*shard].log.standing(topic).is_some();
        (0..self.plan.shards).filter(holds).collect()
    }

    /// How often a topic was written to in the store that all shards share.
    pub(crate) fn writes(&self, topic: &Topic) -> u64 {
        self.shards[0].log.writes(topic)
    }

    /// Whether a shard has nothing that is another's.
    pub(crate) fn is_settled(&self, shard: usize) -> bool {
        self.shards[shard].core.as_ref().is_some_and(Core::is_settled)
    }
}

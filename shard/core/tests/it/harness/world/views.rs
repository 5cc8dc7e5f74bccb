//! Views change: shards go away and come back, and there are other maps. Every shard and every
//! router hears of it in its own time, and routers then move their connections.

use std::collections::BTreeSet;
use std::sync::Arc;

use trunkline_config::View;
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
        let away: BTreeSet<String> = away.iter().map(|shard| id_of(*shard)).collect();
        let map = Arc::clone(self.view.map());
        self.view = View::new(map, &away, &mut self.directory);
        for shard in who {
            self.hear_of(Stranger::Peer(*shard), self.view.clone());
        }
    }

    fn change_view(&mut self, away: &[usize], shards: Option<&[usize]>) {
        let away: BTreeSet<String> = away.iter().map(|shard| id_of(*shard)).collect();
        let map = match shards {
            Some(shards) => {
                self.version += 1;
                Arc::new(map_of(self.version, shards.iter().copied()))
            }
            None => Arc::clone(self.view.map()),
        };
        let view = View::new(map, &away, &mut self.directory);
        self.view = view.clone();
        let shards = (0..self.plan.shards).map(Stranger::Peer);
        let all: Vec<_> = shards.chain((0..self.plan.routers).map(Stranger::Router)).collect();
        for who in all {
            let delay = self.draw(&self.plan.news.clone());
            let at = self.news.get(&who).copied().unwrap_or_default().max(self.now + delay);
            self.news.insert(who, at);
            self.at(at, Event::View(who, view.clone()));
        }
    }

    /// One shard alone hears of the newest view now; the others when they would have anyway.
    pub(super) fn hear_of(&mut self, who: Stranger, view: View) {
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

    /// Whether a shard has nothing that is another's.
    pub(crate) fn is_settled(&self, shard: usize) -> bool {
        self.shards[shard].core.as_ref().is_some_and(Core::is_settled)
    }
}

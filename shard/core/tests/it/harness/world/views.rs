//! Views change: shards go away and come back, and there are other maps. Every shard and every
//! router hears of it in its own time, and routers then move their connections.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use trunkline_config::View;
use trunkline_core::{ConnectionId, Core, Input};

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
        let is_held = socket.is_held;
        let next = self.network.trunk((router, home));
        if next == Some(trunk) {
            return;
        }
        if !is_held {
            if !self.plan.hold || !self.sockets.hold(client) {
                return;
            }
            let connection = ConnectionId(client.0);
            self.up(trunk, Input::Detach { trunk, connection, moved: true });
            self.see(Arrival::Held { client });
        }
        if let Some(next) = next {
            self.attach_one(client, home, next);
        }
    }

    /// Whether everybody has heard of the newest view.
    pub(crate) fn is_of_one_view(&self) -> bool {
        self.news.values().all(|at| *at <= self.now)
    }

    /// Whether a shard has nothing that is another's.
    pub(crate) fn is_settled(&self, shard: usize) -> bool {
        self.shards[shard].core.as_ref().is_some_and(Core::is_settled)
    }

    /// All shards, and since when a view may have been another.
    pub(crate) fn last_news(&self) -> Duration {
        self.news.values().max().copied().unwrap_or_default()
    }
}

//! The driver's side of the cluster's changes: another map, and what is said of shards.

use std::collections::BTreeSet;

use tracing::info;
use trunkline_config::{ShardStatus, ViewId};
use trunkline_core::{Gauges, ShardIndex};
use trunkline_proto::cluster::{Outlook, decode_status, encode_status};
use trunkline_proto::outbox::{Full, Haste, Outbox};
use trunkline_proto::watch;
use trunkline_proto::{peer, trunk};

use super::Driver;
use crate::note::Note;
use crate::remaining::Remaining;

/// About what a status takes in a queue, in bytes.
const STATUS: usize = 64;

impl Driver {
    /// Takes what another process has said of a shard.
    pub(super) fn hear_of_shard(&mut self, said: trunk::ShardStatus) {
        if let Some(said) = decode_status(said) {
            self.cluster.learn(&said);
        }
        self.look();
    }

    /// Looks at the cluster, if it has changed since it was looked at.
    pub(super) fn look(&mut self) {
        // An error is the cluster's end, which is this process's.
        if self.outlooks.has_changed() {
            self.take_outlook();
        }
    }

    /// Takes the cluster as it looks now: everybody is told what is news, and the core where keys
    /// belong.
    pub(super) fn take_outlook(&mut self) {
        let outlook = self.outlooks.borrow_and_update().clone();
        let before = std::mem::replace(&mut self.outlook, outlook);
        let news = self.outlook.statuses.news_since(&before.statuses);
        if !news.is_empty() {
            self.tell_all(&news);
        }
        let view = self.outlook.view.clone();
        if view.id() == before.view.id() {
            return;
        }
        let away = view.shards().filter(|(number, _)| view.is_away(*number));
        let away: Vec<&str> = away.map(|(_, shard)| shard.id.as_str()).collect();
        info!(map = %view.id().map, ?away, "keys belong to shards by another view");
        self.show_peers();
        self.show_links();
        self.take_view(view);
    }

    /// Tells all streams. One that has no room is cut, and is told when it comes up again.
    fn tell_all(&mut self, news: &[ShardStatus]) {
        let trunks = self.trunks.iter();
        let full: Vec<_> =
            trunks.filter(|(_, it)| tell_trunk(it, news).is_err()).map(|(it, _)| *it).collect();
        for trunk in full {
            self.trunk_is_full(trunk);
        }
        let links = self.links.iter();
        let full: Vec<_> = links
            .filter(|(_, it)| tell_link(&it.outbox, news).is_err())
            .map(|(it, _)| *it)
            .collect();
        for peer in full {
            self.link_is_full(peer);
        }
    }

    /// Has the store keep what this shard's next process must know: who may have something of it by a
    /// view. Who is away and not among them has nothing, so that all must be of one view: when
    /// there is a newer one already the core will say this of that one too.
    pub(super) fn note(&mut self, view: ViewId, owed: &BTreeSet<ShardIndex>) {
        if view != self.outlook.view.id() {
            return;
        }
        // What was said of others decides nothing, and a note has a bound.
        let map = self.outlook.view.map();
        let is_of_map = |said: &ShardStatus| map.index_of(&said.shard).is_some();
        let statuses = self.outlook.statuses.iter();
        let note = Note {
            view,
            shards: map.shards().iter().map(|shard| shard.id.clone()).collect(),
            owed: owed.iter().map(|shard| self.outlook.name(shard.0).to_owned()).collect(),
            statuses: statuses.filter(is_of_map).collect(),
        };
        self.log.note(note.encode());
    }

    /// Has metrics of each peer of the map, and of no other that isn't linked.
    pub(super) fn show_peers(&self) {
        let Outlook { view, directory, .. } = &self.outlook;
        for (number, id) in directory.iter() {
            let peer = ShardIndex(number);
            if view.shard(number).is_some() && peer != self.me {
                self.metrics.peer_comes(id);
            } else if !self.links.contains_key(&peer) {
                self.metrics.peer_goes(id);
            }
        }
    }

    /// Shows which links are up, and what follows from it.
    pub(super) fn show_links(&self) {
        let view = &self.outlook.view;
        let linked = self.links.keys().copied().collect();
        show(&self.signs.linked, linked);
        let mut peers = view.shards().map(|(number, _)| number).filter(|it| *it != self.me.0);
        let complete = peers.all(|it| view.is_away(it) || self.links.contains_key(&ShardIndex(it)));
        show(&self.signs.admit, complete || !self.serves());
        show(&self.signs.ready, complete && self.serves());
    }

    /// Shows what is left of a shard that doesn't serve.
    pub(super) fn show_remaining(&mut self, gauges: &Gauges) {
        let (view, serves) = (&self.outlook.view, self.serves());
        if serves && self.signs.remaining.borrow().is_of_server(view.id()) {
            return;
        }
        let is_placed = view.shard(self.me.0).is_some();
        // Who is in no map any more can't be asked later: it goes when nobody waits for it.
        // It has no links then by which they could say so again.
        let map = view.id().map;
        let may_go = is_placed || self.left == Some(map) || self.core.others_agree();
        let remaining = Remaining {
            view: view.id(),
            is_placed,
            serves,
            topics: gauges.moving,
            connections: gauges.connections + self.engine.leftover(),
            settled: self.core.is_settled() && may_go,
        };
        show(&self.signs.remaining, remaining);
        if remaining.is_gone() {
            self.left = Some(map);
        }
    }

    /// A shard that is in no map any more and has nothing says goodbye, when it has said all else.
    pub(super) fn say_goodbye(&self) {
        if !self.signs.remaining.borrow().is_gone() {
            return;
        }
        let open = self.links.values().map(|link| &link.outbox).filter(|it| !it.is_closed());
        if open.inspect(|it| it.close()).count() > 0 {
            info!("nothing is left of this shard, which is in no map any more; end it");
        }
    }

    /// Whether anything can belong to this shard.
    fn serves(&self) -> bool {
        let ShardIndex(me) = self.me;
        self.outlook.view.shard(me).is_some() && !self.outlook.view.is_away(me)
    }
}

/// Tells a router what is news of shards.
pub(super) fn tell_trunk(outbox: &Outbox<trunk::Down>, news: &[ShardStatus]) -> Result<(), Full> {
    let status = |said: &ShardStatus| trunk::down::Item::Status(encode_status(said.clone()));
    let item = |said| (trunk::Down { item: Some(status(said)) }, STATUS);
    outbox.push_all(news.iter().map(item), Haste::Now)
}

/// Tells a peer what is news of shards.
pub(super) fn tell_link(outbox: &Outbox<peer::PeerItem>, news: &[ShardStatus]) -> Result<(), Full> {
    let status = |said: &ShardStatus| peer::peer_item::Item::Status(encode_status(said.clone()));
    let item = |said| (peer::PeerItem { item: Some(status(said)) }, STATUS);
    outbox.push_all(news.iter().map(item), Haste::Now)
}

fn show<T: PartialEq>(sign: &watch::Sender<T>, now: T) {
    sign.send_if_modified(|shown| {
        let changed = *shown != now;
        *shown = now;
        changed
    });
}

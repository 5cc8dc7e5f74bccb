//! A scene: alice is with bob in a room that another shard than hers owns.

use trunkline_config::ShardKey;

use super::sockets::welcome;
use super::town::Town;
use crate::harness::{ClientId, Plan};

pub(super) const ALICE: ShardKey<'_> = ShardKey::User("alice");

pub(super) struct Apart {
    pub(super) town: Town,
    /// A Socket.IO client.
    pub(super) alice: ClientId,
    /// A native one.
    pub(super) bob: ClientId,
    /// Alice's shard.
    pub(super) home: usize,
    pub(super) room: String,
    /// By which alice comes back.
    pub(super) pid: String,
}

impl Apart {
    pub(super) fn of(plan: Plan) -> Self {
        let mut town = Town::of(plan);
        let alice = town.plug_in_as("alice", &ALICE, |_| {});
        let home = town.home_of(alice);
        let room = town.room_away_from(home);
        let bob = town.come_near("bob", &room);
        town.join(bob, &room);
        town.packet(alice, "0");
        let pid = welcome(&town.packets(alice)[0], "pid");
        town.emit(alice, &format!("[\"join\",\"{room}\"]"));
        Self { town, alice, bob, home, room, pid }
    }
}

//! Judges everything that clients get to see by what has really happened.

use std::collections::BTreeMap;
use std::time::Duration;

use serde_json::Value;
use trunkline_core::{FrameKind, Namespace, RoomId, Topic, UserId};

use super::client::{Asked, Client, What};
use super::hearing::{Hearing, Listener, Place, place};
use super::outages::Outages;
use super::truth::Truth;
use crate::harness::{Arrival, ClientId, Seen, World, core_of};

/// The clients that are connected, and what is known about the world they are in.
#[derive(Debug)]
pub(super) struct Judge {
    pub(super) clients: BTreeMap<ClientId, Client>,
    pub(super) truth: Truth,
    pub(super) outages: Outages,
    /// Clients whose connection is gone, with what they knew at its end.
    pub(super) gone: Vec<Client>,
    pub(super) tally: BTreeMap<&'static str, u64>,
    /// The last answer to `presence`: users with their connections, and whether it is sure.
    pub(super) page: Option<(BTreeMap<String, u64>, bool)>,
    /// Whether views change.
    pub(super) moves: bool,
}

pub(crate) fn room_topic(room: &str) -> Topic {
    let namespace = Namespace::parse("/").expect("a namespace");
    Topic::Room(namespace, RoomId::parse(room).expect("a room"))
}

pub(crate) fn inbox_topic(user: &str) -> Topic {
    Topic::Inbox(UserId::parse(user).expect("a user"))
}

pub(super) fn text<'a>(value: &'a Value, field: &str) -> &'a str {
    value[field].as_str().unwrap_or_else(|| panic!("{value} has no {field}"))
}

impl Judge {
    pub(super) fn count(&mut self, what: &'static str) {
        *self.tally.entry(what).or_default() += 1;
    }

    pub(super) fn sees(&mut self, world: &World, seen: Seen) {
        let Seen { at, what } = seen;
        match what {
            Arrival::Frame { client, kind, parts } => self.frame(world, at, client, kind, &parts),
            Arrival::Closed { client, code, kept } => {
                assert!(code == 1012 || code == 1013, "a client is closed with {code}");
                assert!(code != 1012 || !kept, "who has a checkpoint is gone on with");
                self.count("closed");
                self.leaves(client);
            }
            Arrival::Held { client } => {
                if let Some(client) = self.clients.get_mut(&client) {
                    client.held(at, &self.outages);
                }
                self.count("held");
            }
            Arrival::Attached { client, at_once } => {
                if let Some(client) = self.clients.get_mut(&client) {
                    let long = client.attached(at, world.plan.settings.grace, at_once);
                    if long {
                        self.count("held long");
                    }
                }
            }
            Arrival::Acknowledged { client, sequence } => {
                if let Some(client) = self.clients.get_mut(&client) {
                    client.acknowledged(sequence);
                }
            }
            // Nobody in this world asks for these.
            Arrival::Answered { .. }
            | Arrival::Asked { .. }
            | Arrival::Sought { .. }
            | Arrival::Unhandled => {
                panic!("native clients alone make none of these")
            }
            Arrival::Kept(kept) => {
                // A memory that is gone doesn't know what is said again.
                let owner = core_of(world, &kept.topic);
                let cut_off = self.moves && self.outages.were_cut();
                let forgetful = !world.plan.durable && (self.outages.has_crashed(owner) || cut_off);
                self.truth.keep(&kept, forgetful);
            }
            Arrival::Cut { a, b } => {
                self.outages.cut(a, b, at);
                self.forget_users(world, |home, owner| {
                    (home, owner) == (a, b) || (owner, home) == (a, b)
                });
            }
            Arrival::Whole { a, b } => self.outages.whole(a, b, at),
            Arrival::Crashed { shard } => {
                self.outages.crash(shard);
                self.forget_users(world, |_, owner| owner == shard);
            }
        }
    }

    /// A client's connection is gone.
    pub(super) fn leaves(&mut self, client: ClientId) {
        self.gone.extend(self.clients.remove(&client));
    }

    /// No request may wait for longer than this.
    pub(super) fn nothing_is_overdue(&self, now: Duration, longest: Duration) {
        for client in self.clients.values().filter(|client| !client.is_held()) {
            for (id, asked) in &client.asked {
                let waits = now - asked.at;
                assert!(
                    waits <= longest,
                    "{} of {} waits for {waits:?}: {asked:?}",
                    id,
                    client.user
                );
            }
        }
    }

    /// What happened between the shards may have hidden who came and went.
    fn forget_users(&mut self, world: &World, hidden: impl Fn(usize, usize) -> bool) {
        let moves = self.moves;
        for client in self.clients.values_mut() {
            let home = client.home;
            for (room, hearing) in &mut client.rooms {
                if moves || hidden(home, core_of(world, &room_topic(room))) {
                    hearing.users = None;
                }
            }
        }
    }

    fn frame(
        &mut self,
        world: &World,
        now: Duration,
        id: ClientId,
        kind: FrameKind,
        parts: &[Value],
    ) {
        let Some(client) = self.clients.get(&id) else { return };
        let last = parts.last().expect("a frame has a part");
        assert!(client.welcomed || last["type"] == "welcome", "{last} comes before the welcome");
        let is_join = last["type"] == "ok"
            && last["id"]
                .as_u64()
                .and_then(|id| client.asked.get(&id))
                .is_some_and(|asked| matches!(asked.what, What::Join { .. }));
        if kind == FrameKind::Reply && is_join {
            return self.joined(world, now, id, parts);
        }
        for part in parts {
            match text(part, "type") {
                "welcome" => self.welcome(id, part),
                "ok" | "error" => self.answer(world, id, part),
                "private" => self.private(world, id, part),
                "message" => self.message(id, part),
                "ephemeral" => self.ephemeral(world, id, part),
                "gap" => self.gap(world, id, part),
                "joined" | "left" => self.announced(world, now, id, part),
                _ => panic!("no client knows {part}"),
            }
        }
    }

    pub(super) fn client(&mut self, id: ClientId) -> (&mut Client, &mut Truth) {
        (self.clients.get_mut(&id).expect("only who is connected gets frames"), &mut self.truth)
    }

    fn welcome(&mut self, id: ClientId, part: &Value) {
        let (client, _) = self.client(id);
        assert_eq!(part["session"], client.session.as_str());
        assert_eq!(part["user"], client.user.as_str());
        assert!(!std::mem::replace(&mut client.welcomed, true), "a client is welcomed once");
    }

    fn joined(&mut self, world: &World, now: Duration, id: ClientId, parts: &[Value]) {
        let (client, truth) = self.client(id);
        let ok = parts.last().expect("a frame has a part");
        let What::Join { room, after } = client.answered(ok) else { panic!("{ok} is no join's") };
        assert_eq!(ok["room"], room.as_str());
        assert!(ok["members"].as_u64() >= Some(1), "who joins is a member: {ok}");
        let topic = room_topic(&room);
        let listener = Listener { truth, topic: &topic, session: &client.session };
        let leaving = client.is_leaving(&room);
        if let Some(hearing) = client.rooms.get_mut(&room) {
            let goes_on = client.again > 0;
            let readable = world.readable(&topic);
            hearing.joins_again(listener, parts, leaving, goes_on.then_some(&readable));
        } else {
            let place = listener.joins(after.as_ref(), parts, &world.readable(&topic));
            client.rooms.insert(room.clone(), Hearing::new(place, now));
        }
        client.places.insert(room, place(ok));
        self.count("joined");
        self.count(if parts[0]["type"] == "gap" { "joined after a gap" } else { "joined whole" });
    }

    fn message(&mut self, id: ClientId, part: &Value) {
        let moves = self.moves;
        let (client, truth) = self.client(id);
        let payload = text(part, "data");
        let room = text(part, "room");
        let topic = room_topic(room);
        // Who is attached again goes on by a join of its own, which may come before.
        let joins =
            |asked: &Asked| matches!(&asked.what, What::Join { room: it, .. } if it == room);
        let goes_on = client.again > 0 && client.asked.values().any(joins);
        let waits = !goes_on
            && client.asked.values().any(|asked| {
                // Its shard may not have heard yet that it waits, and the one before may have asked.
                let is_late = (moves || !client.at_once) && asked.sequence <= client.again;
                !is_late
                    && matches!(&asked.what, What::Publish { payload: mine, .. } if mine == payload)
            });
        assert!(!waits, "the echo of {payload} comes before its ok");
        let listener = Listener { truth, topic: &topic, session: &client.session };
        let hearing = client.rooms.get_mut(room);
        let hearing = hearing.unwrap_or_else(|| panic!("{part} for one who has not joined"));
        hearing.message(listener, part);
        client.places.insert(room.to_owned(), hearing.place.clone());
        self.count("message");
    }

    fn gap(&mut self, world: &World, id: ClientId, part: &Value) {
        let (client, truth) = self.client(id);
        let room = text(part, "room");
        let topic = room_topic(room);
        let listener = Listener { truth, topic: &topic, session: &client.session };
        let hearing = client.rooms.get_mut(room);
        let hearing = hearing.unwrap_or_else(|| panic!("{part} for one who has not joined"));
        hearing.gap(listener, part, &world.readable(&topic));
        client.places.insert(room.to_owned(), hearing.place.clone());
        self.count("gap");
    }

    fn ephemeral(&mut self, world: &World, id: ClientId, part: &Value) {
        let (payload, room) = (text(part, "data"), text(part, "room"));
        let forgotten = self.moves || self.outages.has_crashed(core_of(world, &room_topic(room)));
        let (client, truth) = self.client(id);
        let said = truth.said(payload);
        // Nobody remembers what was not kept, once its owner is another process.
        assert!(said.ephemeral && said.topic == Some(room_topic(room)), "{part} was not said");
        assert!(said.echo || said.session != client.session, "{part} was not to be echoed");
        let hearing = client.rooms.get_mut(room);
        let hearing = hearing.unwrap_or_else(|| panic!("{part} for one who has not joined"));
        hearing.ephemeral(payload, forgotten);
        self.count("ephemeral");
    }

    fn private(&mut self, world: &World, id: ClientId, part: &Value) {
        let client = &self.clients[&id];
        let inbox = inbox_topic(&client.user);
        // Nobody remembers what was not kept, once its owner or its home is another process.
        let forgotten = self.outages.has_crashed(core_of(world, &inbox))
            || self.outages.has_crashed(client.home)
            || client.began_anew;
        // A memory that can't be reached for a while is not waited for.
        let cut_off = !world.plan.durable && self.outages.were_cut();
        let forgotten = forgotten || (self.moves && (part.get("offset").is_none() || cut_off));
        let moves = self.moves;
        let (client, truth) = self.client(id);
        let payload = text(part, "data");
        let at: Option<Place> = part.get("offset").map(|_| {
            let listener = Listener { truth, topic: &inbox, session: &client.session };
            listener.reads(part)
        });
        let said = truth.said(payload);
        said.passed += 1;
        assert_eq!(part["from"], said.user.as_str());
        assert!(said.topic.is_none() || said.topic == Some(inbox), "{part} is for somebody else");
        client.private(payload, at, forgotten, (world.plan.durable, moves));
        self.count("private");
    }

    fn announced(&mut self, world: &World, now: Duration, id: ClientId, part: &Value) {
        let (client, _) = self.client(id);
        let (room, user) = (text(part, "room").to_owned(), text(part, "user").to_owned());
        assert!(user != client.user, "a client is told of itself: {part}");
        let hearing = client.rooms.get_mut(&room);
        let hearing = hearing.unwrap_or_else(|| panic!("{part} for one who has not joined"));
        let came = part["type"] == "joined";
        hearing.announced(&user, came);
        let home = client.home;
        if !came {
            let owner = core_of(world, &room_topic(&room));
            let stays = |other: &&Client| {
                let there = other.user == user && !other.is_leaving(&room);
                there && !other.was_away(now, &self.outages)
            };
            for other in self.clients.values().filter(stays) {
                let Some(there) = other.rooms.get(&room) else { continue };
                // Who has come back meanwhile: a home that was cut off is told late, that too.
                if self.moves && !self.outages.is_whole_since(home, owner, there.since) {
                    continue;
                }
                assert!(
                    !self.outages.were_together(other.home, owner, there.since, now),
                    "{user} is said to have left {room}, and is there since {:?}",
                    there.since
                );
            }
        }
        self.count("announced");
    }
}

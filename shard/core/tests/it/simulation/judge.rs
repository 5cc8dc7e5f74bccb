//! Judges everything that clients get to see by what has really happened.

use std::collections::BTreeMap;
use std::time::Duration;

use serde_json::Value;
use trunkline_core::{FrameKind, Namespace, RoomId, Topic, UserId};

use super::client::{Client, What};
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
}

pub(crate) fn room_topic(room: &str) -> Topic {
    let namespace = Namespace::parse("/").expect("a namespace");
    Topic::Room(namespace, RoomId::parse(room).expect("a room"))
}

pub(crate) fn inbox_topic(user: &str) -> Topic {
    Topic::Inbox(UserId::parse(user).expect("a user"))
}

fn text<'a>(value: &'a Value, field: &str) -> &'a str {
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
            Arrival::Closed { client, code } => {
                assert!(code == 1012 || code == 1013, "a client is closed with {code}");
                self.count("closed");
                self.leaves(client);
            }
            Arrival::Acknowledged { client, sequence } => {
                if let Some(client) = self.clients.get_mut(&client) {
                    client.acknowledged(sequence);
                }
            }
            Arrival::Kept(kept) => self.truth.keep(&kept),
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
        for client in self.clients.values() {
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
        for client in self.clients.values_mut() {
            let home = client.home;
            for (room, hearing) in &mut client.rooms {
                if hidden(home, core_of(world, &room_topic(room))) {
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
                "private" => self.private(id, part),
                "message" => self.message(id, part),
                "ephemeral" => self.ephemeral(id, part),
                "gap" => self.gap(world, id, part),
                "joined" | "left" => self.announced(world, now, id, part),
                _ => panic!("no client knows {part}"),
            }
        }
    }

    fn client(&mut self, id: ClientId) -> (&mut Client, &mut Truth) {
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
            hearing.joins_again(listener, parts, leaving);
        } else {
            let place = listener.joins(after.as_ref(), parts, &world.readable(&topic));
            client.rooms.insert(room.clone(), Hearing::new(place, now));
        }
        client.places.insert(room, place(ok));
        self.count("joined");
        self.count(if parts[0]["type"] == "gap" { "joined after a gap" } else { "joined whole" });
    }

    fn message(&mut self, id: ClientId, part: &Value) {
        let (client, truth) = self.client(id);
        let payload = text(part, "data");
        let room = text(part, "room");
        let topic = room_topic(room);
        let waits = client.asked.values().any(
            |asked| matches!(&asked.what, What::Publish { payload: mine, .. } if mine == payload),
        );
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

    fn ephemeral(&mut self, id: ClientId, part: &Value) {
        let (client, truth) = self.client(id);
        let (payload, room) = (text(part, "data"), text(part, "room"));
        let said = truth.said(payload);
        assert!(said.ephemeral && said.topic == Some(room_topic(room)), "{part} was not said");
        assert!(said.echo || said.session != client.session, "{part} was not to be echoed");
        let hearing = client.rooms.get_mut(room);
        hearing.unwrap_or_else(|| panic!("{part} for one who has not joined")).ephemeral(payload);
        self.count("ephemeral");
    }

    fn private(&mut self, id: ClientId, part: &Value) {
        let (client, truth) = self.client(id);
        let payload = text(part, "data");
        let inbox = inbox_topic(&client.user);
        let at: Option<Place> = part.get("offset").map(|_| {
            let listener = Listener { truth, topic: &inbox, session: &client.session };
            listener.reads(part)
        });
        let said = truth.said(payload);
        said.passed += 1;
        assert_eq!(part["from"], said.user.as_str());
        assert!(said.topic.is_none() || said.topic == Some(inbox), "{part} is for somebody else");
        client.private(payload, at);
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
        if !came {
            let owner = core_of(world, &room_topic(&room));
            let stays = |other: &&Client| other.user == user && !other.is_leaving(&room);
            for other in self.clients.values().filter(stays) {
                let Some(there) = other.rooms.get(&room) else { continue };
                assert!(
                    !self.outages.were_together(other.home, owner, there.since, now),
                    "{user} is said to have left {room}, and is there since {:?}",
                    there.since
                );
            }
        }
        self.count("announced");
    }

    fn answer(&mut self, world: &World, id: ClientId, part: &Value) {
        let (client, truth) = self.client(id);
        let what = client.answered(part);
        if part["type"] == "error" {
            client.may_fail(&what, text(part, "code"));
            return self.count(if part["code"] == "unavailable" { "unavailable" } else { "error" });
        }
        match what {
            What::Join { .. } => panic!("a join's ok comes in a frame of its own: {part}"),
            What::Leave { room } => {
                client.rooms.remove(&room);
                self.count("left");
            }
            What::Publish { room, payload, ephemeral } => {
                if !ephemeral {
                    let (epoch, offset) = place(part);
                    truth.acknowledged(&payload, &room_topic(&room), &epoch, offset);
                    self.count("published");
                }
            }
            What::Send { payload, user, ephemeral } => {
                self.sent(&payload, user.as_deref(), ephemeral, text(part, "status"));
            }
            What::History { room, after, before, limit } => {
                let topic = room_topic(&room);
                let listener = Listener { truth, topic: &topic, session: &client.session };
                history(listener, part, (after, before, limit));
                self.count("history");
            }
            What::Presence { room, first } => self.presence(world, id, &room, first, part),
            What::Ping => {}
        }
    }

    fn sent(&mut self, payload: &str, user: Option<&str>, ephemeral: bool, status: &str) {
        // A repeated key is answered with what became of the first.
        let said = self.truth.said(payload).clone();
        let kept = self.truth.place(payload).is_some();
        match status {
            "delivered" => {
                assert!(said.passed > 0 || said.key.is_some(), "nobody was handed {payload}");
                self.count("delivered");
            }
            "queued" => {
                assert!(user.is_some() && !ephemeral, "{payload} may not be queued");
                assert!(kept || said.key.is_some(), "{payload} is queued and not kept");
                self.count("queued");
            }
            "offline" => {
                assert!(!kept, "{payload} is kept, and its sender was told otherwise");
                self.count("offline");
            }
            other => panic!("{payload} is {other}"),
        }
    }

    fn presence(&mut self, world: &World, id: ClientId, room: &str, first: bool, part: &Value) {
        let users = part["users"].as_array().expect("a list of users");
        let count = |it: &Value| (text(it, "user").to_owned(), it["connections"].as_u64());
        let listed: Vec<_> = users.iter().map(count).collect();
        assert!(listed.is_sorted() && listed.iter().all(|(_, count)| *count >= Some(1)), "{part}");
        let listed: BTreeMap<String, u64> =
            listed.into_iter().map(|(user, count)| (user, count.unwrap_or_default())).collect();
        assert_eq!(listed.len(), users.len(), "each user is listed once: {part}");
        let owner = core_of(world, &room_topic(room));
        // An owner that has died doesn't know whom it has lost, nor announces who comes back.
        let known = first
            && !self.outages.has_crashed(owner)
            && world.plan.settings.announce_up_to > users.len() + 20;
        if let (true, Some(client)) = (known, self.clients.get_mut(&id))
            && let Some(hearing) = client.rooms.get_mut(room)
            && self.outages.is_whole_since(client.home, owner, hearing.since)
        {
            hearing.presence(&listed);
        }
        self.page = Some((listed, part["sure"] == true));
        self.count("presence");
    }
}

fn history(
    listener: Listener<'_>,
    part: &Value,
    (after, before, limit): (Option<u64>, Option<u64>, usize),
) {
    let messages = part["messages"].as_array().expect("a list of messages");
    assert!(messages.len() <= limit, "{part} is more than {limit}");
    let places: Vec<Place> = messages.iter().map(|message| listener.reads(message)).collect();
    for pair in places.windows(2) {
        assert_eq!((&pair[0].0, pair[0].1 + 1), (&pair[1].0, pair[1].1), "in order: {part}");
    }
    for (epoch, offset) in places {
        assert_eq!(part["epoch"], epoch.as_str());
        assert!(after.is_none_or(|after| after < offset), "{part} is after {after:?}");
        assert!(before.is_none_or(|before| offset < before), "{part} is before {before:?}");
    }
}

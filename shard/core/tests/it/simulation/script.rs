//! People who do at random what people do, and a world that is unkind to them at random.

use std::time::Duration;

use rand::Rng;
use rand::rngs::StdRng;
use rand::seq::IndexedRandom;
use serde_json::{Value, json};
use trunkline_config::ShardKey;
use trunkline_core::{Dialect, Epoch, Identity, Position, Rights, UserId};

use super::client::{Asked, Client, What};
use super::hearing::Place;
use super::judge::{Judge, inbox_topic, room_topic};
use super::truth::Said;
use crate::harness::{ClientId, Guest, World, core_of, session_of};

pub(super) const ROOMS: [&str; 4] = ["lobby", "kitchen", "attic", "garden"];
pub(super) const USERS: [&str; 5] = ["alice", "bob", "carol", "dave", "erin"];
const KEYS: [&str; 3] = ["k1", "k2", "k3"];

/// Someone with one connection at a time, who comes back after losing it.
#[derive(Debug)]
pub(super) struct Person {
    pub(super) user: &'static str,
    pub(super) at: Option<ClientId>,
}

/// What people remember, and what they use to do things.
#[derive(Debug)]
pub(super) struct Script {
    pub(super) people: Vec<Person>,
    pub(super) chance: StdRng,
    /// How unkind the world is: links, trunks, processes. Per thousand actions.
    pub(super) cuts: [u32; 3],
    /// How often there is another view, per thousand actions.
    pub(super) news: u32,
    pub(super) sessions: u64,
}

impl Script {
    /// Does one thing.
    pub(super) fn act(&mut self, world: &mut World, judge: &mut Judge) {
        let [links, trunks, crashes] = self.cuts;
        let dice = self.chance.random_range(0..1000);
        if dice < links + trunks + crashes {
            return self.break_something(world, judge, dice);
        }
        if dice >= 1000 - self.news {
            return self.change_view(world, judge);
        }
        let person = self.chance.random_range(0..self.people.len());
        match self.people[person].at {
            Some(client) if judge.clients.contains_key(&client) => {
                for _ in 0..*[1, 1, 1, 2, 4].choose(&mut self.chance).unwrap_or(&1) {
                    self.do_something(world, judge, client);
                }
                if self.chance.random_bool(0.03) {
                    world.disconnect(client);
                    judge.leaves(client);
                    judge.count("disconnect");
                }
            }
            _ => self.come(world, judge, person),
        }
    }

    fn break_something(&mut self, world: &mut World, judge: &mut Judge, dice: u32) {
        let [links, trunks, _] = self.cuts;
        let grace = u64::try_from(world.plan.settings.grace.as_millis()).expect("in reason");
        let outage = Duration::from_millis(match self.chance.random_range(0..3) {
            0 => self.chance.random_range(0..grace * 2),
            _ => self.chance.random_range(0..grace / 2),
        });
        let shard = self.chance.random_range(0..world.plan.shards);
        let other = (shard + self.chance.random_range(1..world.plan.shards)) % world.plan.shards;
        let router = self.chance.random_range(0..world.plan.routers);
        let (done, what) = if dice < links {
            (world.cut_link(shard, other, outage), "link cut")
        } else if dice < links + trunks {
            (world.cut_trunk((router, shard), outage), "trunk cut")
        } else {
            let what = if world.plan.durable { "crash of a durable shard" } else { "crash" };
            (world.crash(shard, outage), what)
        };
        if done {
            judge.count(what);
        }
    }

    /// Shards go away or come back, or there is another map.
    pub(super) fn change_view(&mut self, world: &mut World, judge: &mut Judge) {
        let all: Vec<usize> = (0..world.plan.shards).collect();
        let count = *[0, 0, 1, 1, 1, 2].choose(&mut self.chance).unwrap_or(&0);
        let away: Vec<usize> = all.choose_multiple(&mut self.chance, count).copied().collect();
        if self.chance.random_bool(0.6) {
            world.away(&away);
            judge.count("away");
        } else {
            let count = self.chance.random_range(1..=world.plan.shards);
            let map: Vec<usize> = all.choose_multiple(&mut self.chance, count).copied().collect();
            world.new_map(&map, &away);
            judge.count("new map");
        }
    }

    /// A person connects, and goes back to where it was.
    pub(super) fn come(&mut self, world: &mut World, judge: &mut Judge, person: usize) {
        self.people[person].at = None;
        let user = self.people[person].user;
        let before = judge.gone.iter().rposition(|client| client.person == person);
        let before = before.map(|index| judge.gone.swap_remove(index));
        let inbox = before.as_ref().and_then(|client| client.inbox.clone());
        let inbox = inbox.filter(|_| self.chance.random_bool(0.7));
        let Some(client) = self.connect(world, judge, (user, person), inbox) else {
            judge.gone.extend(before);
            return;
        };
        self.people[person].at = Some(client);
        let Some(before) = before else { return };
        for room in before.rooms.into_keys() {
            if self.chance.random_bool(0.9) {
                let after = before.places.get(&room).cloned();
                self.join(world, judge, client, &room, after);
            }
        }
        if let Some(client) = judge.clients.get_mut(&client) {
            client.places = before.places;
        }
    }

    /// Opens a connection that is placed by its user, by a room, or by neither.
    pub(super) fn connect(
        &mut self,
        world: &mut World,
        judge: &mut Judge,
        (user, person): (&str, usize),
        inbox: Option<Place>,
    ) -> Option<ClientId> {
        self.sessions += 1;
        let room = *ROOMS.choose(&mut self.chance)?;
        let key = match self.chance.random_range(0..3) {
            0 => ShardKey::User(user),
            1 => ShardKey::Room { namespace: "/", room },
            _ => ShardKey::Anonymous(self.chance.random()),
        };
        let session = session_of(world, &key, self.sessions);
        let rights = Rights(None);
        let id = UserId::parse(user).expect("a user");
        let identity = Identity { user: id, expires_ms: None, rights };
        let inbox_after = inbox
            .as_ref()
            .map(|(epoch, offset)| Position { epoch: Epoch::new(epoch), offset: *offset });
        let dialect = Dialect::Native;
        let guest = Guest { session, identity, authenticated: false, dialect, inbox_after };
        let router = self.chance.random_range(0..world.plan.routers);
        let client = world.connect(router, guest)?;
        let home = world.home_of(&session);
        let mut known = Client::new(session.to_string(), user.to_owned(), home, person);
        known.inbox = inbox;
        judge.clients.insert(client, known);
        judge.count("connected");
        Some(client)
    }

    fn do_something(&mut self, world: &mut World, judge: &mut Judge, client: ClientId) {
        let room = *ROOMS.choose(&mut self.chance).unwrap_or(&"lobby");
        match self.chance.random_range(0..100) {
            0..14 => {
                let after = self.some_place(judge, client, room);
                self.join(world, judge, client, room, after);
            }
            14..18 => {
                let ask = json!({"type": "leave", "room": room});
                self.ask(world, judge, client, ask, What::Leave { room: room.to_owned() });
            }
            18..60 => self.publish(world, judge, client, room),
            60..82 => self.send(world, judge, client),
            82..88 => self.history(world, judge, client, room),
            88..94 => self.presence(world, judge, client, room, false),
            _ => self.ask(world, judge, client, json!({"type": "ping"}), What::Ping),
        }
    }

    /// Says something with a number, and remembers that it waits for an answer.
    pub(super) fn ask(
        &mut self,
        world: &mut World,
        judge: &mut Judge,
        id: ClientId,
        mut text: Value,
        what: What,
    ) {
        let Some(client) = judge.clients.get_mut(&id) else { return };
        let number = client.next_id();
        text["id"] = number.into();
        let sequence = world.say(id, &text.to_string());
        client.sent = sequence;
        client.asked.insert(number, Asked { at: world.now(), sequence, what });
    }

    /// Joins a room; who is there is asked when the join is answered.
    pub(super) fn join(
        &mut self,
        world: &mut World,
        judge: &mut Judge,
        client: ClientId,
        room: &str,
        after: Option<Place>,
    ) {
        let mut text = json!({"type": "join", "room": room});
        if let Some((epoch, offset)) = &after {
            text["after"] = json!({"epoch": epoch, "offset": offset});
        }
        self.ask(world, judge, client, text, What::Join { room: room.to_owned(), after });
    }

    pub(super) fn presence(
        &mut self,
        world: &mut World,
        judge: &mut Judge,
        client: ClientId,
        room: &str,
        first: bool,
    ) {
        let text = json!({"type": "presence", "room": room});
        self.ask(world, judge, client, text, What::Presence { room: room.to_owned(), first });
    }

    /// Where somebody might go on: nowhere, where it was, somewhat before, or where nobody was.
    fn some_place(&mut self, judge: &Judge, client: ClientId, room: &str) -> Option<Place> {
        let (epoch, offset) = judge.clients.get(&client)?.places.get(room)?.clone();
        match self.chance.random_range(0..20) {
            0..6 => None,
            6..12 => Some((epoch, offset)),
            12..18 => Some((epoch, offset.saturating_sub(self.chance.random_range(0..10)))),
            18 => Some((epoch, offset + 1000)),
            _ => Some(("nowhere".to_owned(), offset)),
        }
    }

    fn publish(&mut self, world: &mut World, judge: &mut Judge, client: ClientId, room: &str) {
        let ephemeral = self.chance.random_bool(0.15);
        let (payload, mut text) =
            self.said(world, judge, client, Some(room_topic(room)), ephemeral);
        text["type"] = "publish".into();
        text["room"] = room.into();
        if self.chance.random_bool(0.1) {
            // Without a number only the sequence tells a router and a shard what is done.
            if let Some(speaker) = judge.clients.get_mut(&client) {
                speaker.sent = world.say(client, &text.to_string());
            }
            return;
        }
        let room = room.to_owned();
        self.ask(world, judge, client, text, What::Publish { room, payload, ephemeral });
    }

    fn send(&mut self, world: &mut World, judge: &mut Judge, client: ClientId) {
        let ephemeral = self.chance.random_bool(0.2);
        // A session's ID is known from its welcome on.
        let welcomed = judge.clients.values().filter(|client| client.welcomed);
        let sessions: Vec<&String> = welcomed.map(|client| &client.session).collect();
        let session = sessions.choose(&mut self.chance).map(|session| (*session).clone());
        let session = session.filter(|_| self.chance.random_bool(0.2));
        let user = *USERS.choose(&mut self.chance).unwrap_or(&"alice");
        let topic = if session.is_some() { None } else { Some(inbox_topic(user)) };
        let (payload, mut text) = self.said(world, judge, client, topic, ephemeral);
        text["type"] = "send".into();
        text["to"] = session.clone().unwrap_or_else(|| user.to_owned()).into();
        let user = if session.is_some() { None } else { Some(user.to_owned()) };
        self.ask(world, judge, client, text, What::Send { payload, user, ephemeral });
    }

    /// Makes something to say, and remembers it.
    fn said(
        &mut self,
        world: &World,
        judge: &mut Judge,
        client: ClientId,
        topic: Option<trunkline_core::Topic>,
        ephemeral: bool,
    ) -> (String, Value) {
        let speaker = &judge.clients[&client];
        let echo = self.chance.random_bool(0.8);
        let key = KEYS.choose(&mut self.chance).filter(|_| self.chance.random_bool(0.2));
        // What is for one session is not kept, and has no key.
        let key = key.filter(|_| topic.is_some()).map(|key| format!("{key}-{ephemeral}"));
        let payload = judge.truth.say(Said {
            wall_ms: world.wall_ms(),
            user: speaker.user.clone(),
            session: speaker.session.clone(),
            topic,
            key: key.clone(),
            ephemeral,
            echo,
            passed: 0,
        });
        let mut text = json!({"event": "e", "data": payload, "ephemeral": ephemeral, "echo": echo});
        if let Some(key) = key {
            text["key"] = key.into();
        }
        (payload, text)
    }

    fn history(&mut self, world: &mut World, judge: &mut Judge, client: ClientId, room: &str) {
        let mut text = json!({"type": "history", "room": room});
        let limit = self.chance.random_range(1..40);
        text["limit"] = limit.into();
        let mut bound = |name: &str| {
            let bound = self.chance.random_bool(0.3).then(|| self.chance.random_range(0..60));
            if let Some(bound) = bound {
                text[name] = bound.into();
            }
            bound
        };
        let (after, before) = (bound("after"), bound("before"));
        let room = room.to_owned();
        self.ask(world, judge, client, text, What::History { room, after, before, limit });
    }

    /// Whoever has just come into a room asks who is there.
    pub(super) fn look_around(&mut self, world: &mut World, judge: &mut Judge) {
        let unknown = |(id, client): (&ClientId, &Client)| {
            let owner = |room: &str| core_of(world, &room_topic(room));
            let new = client.rooms.iter().filter(|(room, hearing)| {
                hearing.since == world.now() && !judge.outages.has_crashed(owner(room))
            });
            new.map(|(room, _)| (*id, room.clone())).collect::<Vec<_>>()
        };
        let unknown: Vec<_> = judge.clients.iter().flat_map(unknown).collect();
        for (client, room) in unknown {
            let waits = judge.clients[&client].asked.values().any(|asked| {
                matches!(&asked.what, What::Presence { room: asked, first: true } if *asked == room)
            });
            if !waits {
                self.presence(world, judge, client, &room, true);
            }
        }
    }
}

//! A small, calm cluster and people to try it with.

use std::collections::BTreeMap;
use std::time::Duration;

use serde_json::{Value, json};
use trunkline_config::ShardKey;
use trunkline_core::{
    ApiCallId, ApiProblem, Call, CoreSettings, Dialect, Epoch, Identity, Position, Reply, Rights,
    Topic, UserId,
};

use crate::harness::{Arrival, ClientId, Guest, Plan, Trace, World, core_of, session_of};
use crate::simulation::{inbox_topic, room_topic};

/// A cluster in which everything happens at once, unless a test has it otherwise.
pub(super) struct Town {
    pub(super) world: World,
    heard: BTreeMap<ClientId, Vec<Value>>,
    closed: BTreeMap<ClientId, u16>,
    settled: BTreeMap<ClientId, u64>,
    /// What servers of the application were answered.
    pub(super) answers: Vec<(ApiCallId, Result<Reply, ApiProblem>)>,
    /// What the application was asked, by which shard.
    pub(super) calls: Vec<(usize, Call)>,
    /// Of clients for whose sessions routers were asked, whether they recovered.
    pub(super) sought: Vec<bool>,
    /// Events for which there was no rule.
    pub(super) unhandled: usize,
    number: u64,
}

pub(super) fn seconds(count: u64) -> Duration {
    Duration::from_secs(count)
}

impl Town {
    pub(super) fn new() -> Self {
        Self::with(|_| {})
    }

    /// A town with other settings than usual.
    pub(super) fn with(change: impl FnOnce(&mut CoreSettings)) -> Self {
        let mut plan = Plan::calm(3);
        change(&mut plan.settings);
        Self::of(plan)
    }

    /// A town in another world than usual.
    pub(super) fn of(plan: Plan) -> Self {
        let world = World::new(plan, 1, Trace::default());
        let (heard, closed, settled) = (BTreeMap::new(), BTreeMap::new(), BTreeMap::new());
        let (answers, calls, sought) = (Vec::new(), Vec::new(), Vec::new());
        let (unhandled, number) = (0, 0);
        let mut town =
            Self { world, heard, closed, settled, answers, calls, sought, unhandled, number };
        town.wait(Duration::ZERO);
        town
    }

    /// A user connects, placed by its name.
    pub(super) fn come(&mut self, user: &str) -> ClientId {
        self.come_as(user, |_| {})
    }

    /// A user connects with other rights, another token, another position than usual.
    pub(super) fn come_as(&mut self, user: &str, change: impl FnOnce(&mut Guest)) -> ClientId {
        let guest = self.guest(user, &ShardKey::User(user), change);
        self.enter(0, guest)
    }

    /// A user connects, placed by a room.
    pub(super) fn come_near(&mut self, user: &str, room: &str) -> ClientId {
        let guest = self.guest(user, &ShardKey::Room { namespace: "/", room }, |_| {});
        self.enter(0, guest)
    }

    /// A user connects to the other router.
    pub(super) fn come_elsewhere(&mut self, user: &str) -> ClientId {
        let guest = self.guest(user, &ShardKey::User(user), |_| {});
        self.enter(1, guest)
    }

    pub(super) fn guest(
        &mut self,
        user: &str,
        key: &ShardKey<'_>,
        change: impl FnOnce(&mut Guest),
    ) -> Guest {
        self.number += 1;
        let session = session_of(&self.world, key, self.number);
        let user = UserId::parse(user).expect("a user");
        let identity = Identity { user, expires_ms: None, rights: Rights(None) };
        let dialect = Dialect::Native;
        let mut guest =
            Guest { session, identity, authenticated: false, dialect, inbox_after: None };
        change(&mut guest);
        guest
    }

    pub(super) fn enter(&mut self, router: usize, guest: Guest) -> ClientId {
        let client = self.world.connect(router, guest).expect("the trunk is whole");
        self.wait(Duration::ZERO);
        client
    }

    /// A user connects and joins rooms; what it heard by then is forgotten.
    pub(super) fn member(&mut self, user: &str, rooms: &[&str]) -> ClientId {
        let client = self.come(user);
        for room in rooms {
            assert_eq!(self.ask(client, json!({"type": "join", "room": room}))["type"], "ok");
        }
        self.hears(client);
        client
    }

    pub(super) fn leave(&mut self, client: ClientId) {
        self.world.disconnect(client);
        self.wait(Duration::ZERO);
    }

    /// Says something, and lets happen what then happens at once.
    pub(super) fn say(&mut self, client: ClientId, text: &Value) -> u64 {
        let sequence = self.world.say(client, &text.to_string());
        self.wait(Duration::ZERO);
        sequence
    }

    /// Says something with a number, and gives the answer, which must come at once.
    pub(super) fn ask(&mut self, client: ClientId, text: Value) -> Value {
        let id = self.begin(client, text);
        self.answer(client, id).expect("it is answered at once")
    }

    /// Says something with a number; gives the number.
    pub(super) fn begin(&mut self, client: ClientId, mut text: Value) -> u64 {
        self.number += 1;
        text["id"] = self.number.into();
        self.say(client, &text);
        self.number
    }

    /// The answer to a request, if it has come. It is no longer among what is heard.
    pub(super) fn answer(&mut self, client: ClientId, id: u64) -> Option<Value> {
        let heard = self.heard.get_mut(&client)?;
        let at = heard.iter().position(|it| it["id"] == id)?;
        Some(heard.remove(at))
    }

    pub(super) fn join(&mut self, client: ClientId, room: &str) -> Value {
        self.ask(client, json!({"type": "join", "room": room}))
    }

    pub(super) fn publish(&mut self, client: ClientId, room: &str, data: &str) -> Value {
        self.ask(client, publish(room, data))
    }

    pub(super) fn send(&mut self, client: ClientId, to: &str, data: &str) -> Value {
        self.ask(client, send(to, data))
    }

    /// Lets time pass.
    pub(super) fn wait(&mut self, span: Duration) {
        let until = self.world.now() + span;
        while self.world.step(until) {}
        for seen in self.world.take_seen() {
            match seen.what {
                Arrival::Frame { client, parts, .. } => {
                    self.heard.entry(client).or_default().extend(parts);
                }
                Arrival::Closed { client, code, .. } => {
                    self.closed.insert(client, code);
                }
                Arrival::Acknowledged { client, sequence } => {
                    self.settled.insert(client, sequence);
                }
                Arrival::Answered { call, answer } => self.answers.push((call, answer)),
                Arrival::Asked { shard, call } => self.calls.push((shard, call)),
                Arrival::Sought { recovered } => self.sought.push(recovered),
                Arrival::Unhandled => self.unhandled += 1,
                _ => {}
            }
        }
    }

    /// What a client has heard since it was asked last, but for answers that were taken.
    pub(super) fn hears(&mut self, client: ClientId) -> Vec<Value> {
        self.heard.remove(&client).unwrap_or_default()
    }

    /// Puts back what was taken from what a client has heard.
    pub(super) fn hear_again<'a>(
        &mut self,
        client: ClientId,
        texts: impl Iterator<Item = &'a String>,
    ) {
        self.heard.entry(client).or_default().extend(texts.map(|text| text.as_str().into()));
    }

    /// The same in short: `message hi`, `joined bob`, `ok`.
    pub(super) fn hears_of(&mut self, client: ClientId) -> Vec<String> {
        let short = |value: &Value| {
            let kind = value["type"].as_str().expect("a type");
            let field = match kind {
                "joined" | "left" => "user",
                "error" => "code",
                _ => "data",
            };
            value[field].as_str().map_or(kind.to_owned(), |detail| format!("{kind} {detail}"))
        };
        self.hears(client).iter().map(short).collect()
    }

    /// The code that a client was closed with.
    pub(super) fn closed_with(&self, client: ClientId) -> Option<u16> {
        self.closed.get(&client).copied()
    }

    /// The newest of a client's messages that are settled.
    pub(super) fn settled(&self, client: ClientId) -> u64 {
        self.settled.get(&client).copied().unwrap_or_default()
    }

    pub(super) fn owner_of_room(&self, room: &str) -> usize {
        core_of(&self.world, &room_topic(room))
    }

    pub(super) fn owner_of_inbox(&self, user: &str) -> usize {
        core_of(&self.world, &inbox_topic(user))
    }

    /// The shard that carries a client.
    pub(super) fn home_of(&self, client: ClientId) -> usize {
        let session = self.world.session(client).expect("it is connected");
        self.world.home_of(&session)
    }

    /// A room whose owner is another shard than this one.
    pub(super) fn room_away_from(&self, shard: usize) -> String {
        let names = (0..).map(|number| format!("room-{number}"));
        names.into_iter().find(|name| self.owner_of_room(name) != shard).expect("there is one")
    }

    /// A user whose inbox another shard owns.
    pub(super) fn user_away_from(&self, shard: usize) -> String {
        let names = (0..).map(|number| format!("user-{number}"));
        names.into_iter().find(|name| self.owner_of_inbox(name) != shard).expect("there is one")
    }

    /// Cuts the link between a client's shard and a room's owner.
    pub(super) fn cut_off(&mut self, client: ClientId, room: &str, outage: Duration) {
        let (home, owner) = (self.home_of(client), self.owner_of_room(room));
        assert!(self.world.cut_link(home, owner, outage), "they are two shards, and linked");
        self.wait(Duration::ZERO);
    }

    /// Where a room stands.
    pub(super) fn place(&mut self, client: ClientId, room: &str) -> Position {
        let ok = self.join(client, room);
        let epoch = Epoch::new(ok["epoch"].as_str().expect("an epoch"));
        Position { epoch, offset: ok["offset"].as_u64().expect("an offset") }
    }

    /// The topics of a shard's log are slow from now on, for this long.
    pub(super) fn slow_log(&mut self, ms: u64) {
        self.world.plan.log = ms..=ms;
    }

    /// The text of a client's session.
    pub(super) fn session(&self, client: ClientId) -> String {
        self.world.session(client).expect("it is connected").to_string()
    }

    /// Whether a shard's store still has what a topic begins with.
    pub(super) fn readable(&self, topic: &Topic) -> u64 {
        self.world.readable(topic).1
    }
}

pub(super) fn publish(room: &str, data: &str) -> Value {
    json!({"type": "publish", "room": room, "event": "e", "data": data})
}

pub(super) fn send(to: &str, data: &str) -> Value {
    json!({"type": "send", "to": to, "event": "e", "data": data})
}

//! Socket.IO clients from a seed: they connect from anywhere, are cut off with part of what they
//! were sent unread, and come back with the last stamp that they have. A client that is told that
//! it has recovered must have had every message of each of its rooms once and in order; when all
//! have gone, nothing of them may stay.

use std::collections::{BTreeMap, VecDeque};
use std::time::Duration;

use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};
use serde_json::Value;
use trunkline_config::ShardKey;
use trunkline_config::events::{
    Args, EventAction, EventRule, EventRules, Message, Pattern, Root, Text,
};
use trunkline_core::{Dialect, Gauges, Identity, Rights, UserId};

use super::number;
use crate::harness::{Arrival, ClientId, Guest, Plan, Trace, World, session_of};

/// About ten seconds of one core in a debug build.
const SEEDS: u64 = 600;
const USERS: [&str; 4] = ["alice", "bob", "carol", "dora"];
const ROOMS: [&str; 3] = ["attic", "lobby", "yard"];

/// One client through all its connections.
#[derive(Default)]
struct Client {
    user: &'static str,
    connection: Option<ClientId>,
    /// What it was sent and has not read.
    unread: VecDeque<String>,
    pid: Option<String>,
    stamp: Option<String>,
    welcomed: bool,
    /// The newest message that it has had of each room, and of its inbox under no name.
    heard: BTreeMap<String, (String, u64)>,
    /// Rooms that it has left, and with what request it has asked for them again. What it hears
    /// of them until that is answered may be from before.
    leaving: BTreeMap<String, Option<u64>>,
}

/// How often what was seen.
#[derive(Debug, Default)]
struct Tally {
    recovered: u64,
    began_anew: u64,
    messages: u64,
    gaps: u64,
}

struct Run {
    world: World,
    chance: StdRng,
    clients: Vec<Client>,
    /// Whose a connection is: a client that has changed it still reads what the old one was sent.
    owners: BTreeMap<ClientId, usize>,
    tally: Tally,
    said: u64,
    sessions: u64,
}

impl Client {
    /// Reads one packet.
    fn read(&mut self, packet: &str, tally: &mut Tally) {
        let Some(kind) = packet.get(..2) else { return };
        match kind {
            "40" => self.is_welcomed(packet, tally),
            "42" => self.hears(packet, tally),
            "43" => self.is_answered(packet),
            _ => {}
        }
    }

    fn is_welcomed(&mut self, packet: &str, tally: &mut Tally) {
        let welcome: Value = serde_json::from_str(&packet[2..]).unwrap();
        let pid = welcome["pid"].as_str().unwrap().to_owned();
        self.welcomed = true;
        if self.pid.as_ref() == Some(&pid) {
            tally.recovered += 1;
            return;
        }
        tally.began_anew += 1;
        self.pid = Some(pid);
        self.stamp = None;
        // A session of its own: what it hears of each topic begins wherever it begins.
        self.heard.clear();
        self.leaving.clear();
    }

    /// A join tells where the room stands.
    fn is_answered(&mut self, packet: &str) {
        let (request, answer) = packet[2..].split_at(packet.find('[').unwrap() - 2);
        let answer: Value = serde_json::from_str(answer).unwrap();
        let answer = &answer[0];
        if let (Some(room), Some(epoch)) = (answer["room"].as_str(), answer["epoch"].as_str()) {
            let place = (epoch.to_owned(), answer["offset"].as_u64().unwrap());
            if self.leaving.get(room) == Some(&request.parse().ok()) {
                self.leaving.remove(room);
            }
            // An earlier join may be answered after a leave was asked for.
            if !self.leaving.contains_key(room) {
                self.heard.entry(room.to_owned()).or_insert(place);
            }
        }
    }

    fn rejoin(&mut self, room: &str, request: u64) {
        if let Some(again) = self.leaving.get_mut(room) {
            *again = Some(request);
        }
    }

    fn hears(&mut self, packet: &str, tally: &mut Tally) {
        let event: Vec<Value> = serde_json::from_str(&packet[packet.find('[').unwrap()..]).unwrap();
        let name = event[0].as_str().unwrap();
        if name == "gap" {
            tally.gaps += 1;
            let (room, epoch) = (event[1]["room"].as_str(), event[1]["epoch"].as_str());
            let place = (epoch.unwrap().to_owned(), event[1]["offset"].as_u64().unwrap());
            if !self.leaving.contains_key(room.unwrap()) {
                self.heard.insert(room.unwrap().to_owned(), place);
            }
        }
        let Some(stamp) = event.last().and_then(Value::as_str) else { return };
        self.stamp = Some(stamp.to_owned());
        if name == "gap" {
            return;
        }
        let meta = &event[event.len() - 2];
        let room = meta["room"].as_str().unwrap_or_default().to_owned();
        let place = (meta["epoch"].as_str().unwrap().to_owned(), meta["offset"].as_u64().unwrap());
        tally.messages += 1;
        if self.leaving.contains_key(&room) {
            return;
        }
        if let Some((epoch, offset)) = self.heard.insert(room.clone(), place.clone()) {
            // An inbox of a new epoch says so by its messages alone.
            let same = epoch == place.0;
            assert!(same || room.is_empty(), "{} heard {packet} in epoch {epoch}", self.user);
            let in_order = !same || place.1 == offset + 1;
            assert!(in_order, "{} heard {packet} after offset {offset}", self.user);
        }
    }
}

impl Run {
    fn new(seed: u64, trace: Trace) -> Self {
        let mut chance = StdRng::seed_from_u64(seed);
        let mut plan = Plan::calm(3);
        plan.settings.grace = Duration::from_secs(chance.random_range(1..=10));
        plan.settings.recovery = Some(Duration::from_secs(chance.random_range(5..=60)));
        plan.settings.history.messages = chance.random_range(20..=2000);
        plan.settings.events =
            EventRules { own: vec![broadcast()], ..EventRules::default() }.into();
        plan.link = 0..=chance.random_range(0..=40);
        plan.trunk = 0..=chance.random_range(0..=40);
        plan.log = 0..=chance.random_range(0..=40);
        plan.notice = 0..=chance.random_range(0..=200);
        plan.no_room = if chance.random_bool(0.3) { 0.01 } else { 0.0 };
        let world = World::new(plan, chance.random(), trace);
        let clients = (0..chance.random_range(2..=6))
            .map(|number| Client { user: USERS[number % USERS.len()], ..Client::default() })
            .collect();
        let (owners, tally) = (BTreeMap::new(), Tally::default());
        Self { world, chance, clients, owners, tally, said: 0, sessions: 0 }
    }

    /// Lets time pass, and clients read most of what they are sent.
    fn pass(&mut self, span: Duration) {
        let until = self.world.now() + span;
        while self.world.step(until) {}
        for seen in self.world.take_seen() {
            match seen.what {
                Arrival::Frame { client, parts, .. } => {
                    let texts = parts.iter().map(|part| part.as_str().unwrap().to_owned());
                    if let Some(owner) = self.owners.get(&client) {
                        self.clients[*owner].unread.extend(texts);
                    }
                }
                Arrival::Closed { client, .. } => {
                    if let Some(owner) = self.owners.get(&client).copied() {
                        self.lose(owner);
                    }
                }
                _ => {}
            }
        }
        for client in &mut self.clients {
            let reads = client.unread.len().saturating_sub(self.chance.random_range(0..=3));
            for packet in client.unread.drain(..reads).collect::<Vec<_>>() {
                client.read(&packet, &mut self.tally);
            }
        }
    }

    fn act(&mut self) {
        let number = self.chance.random_range(0..self.clients.len());
        let room = ROOMS[self.chance.random_range(0..ROOMS.len())];
        self.said += 1;
        let said = self.said;
        let client = &self.clients[number];
        let Some(connection) = client.connection else { return self.connect(number) };
        if !client.welcomed {
            return;
        }
        let text = match self.chance.random_range(0..100) {
            0..12 => return self.hang_up(number),
            12..15 => return self.cut(),
            15..18 => return self.change_connection(number),
            18..35 => {
                self.clients[number].rejoin(room, said);
                format!("2{said}[\"join\",\"{room}\"]")
            }
            35..38 => {
                self.clients[number].heard.remove(room);
                self.clients[number].leaving.insert(room.to_owned(), None);
                format!("2{said}[\"leave\",\"{room}\"]")
            }
            38..50 => format!("2[\"all\",{said}]"),
            50..65 => {
                let to = USERS[self.chance.random_range(0..USERS.len())];
                format!("2[\"private\",\"{to}\",{said}]")
            }
            _ => format!("2[\"message\",\"{room}\",{said}]"),
        };
        self.world.say(connection, &text);
    }

    /// From anywhere, with what it has to come back.
    fn connect(&mut self, number: usize) {
        self.sessions += 1;
        let client = &mut self.clients[number];
        let key = match self.chance.random_bool(0.5) {
            true => ShardKey::Anonymous(self.chance.random()),
            false => ShardKey::User(client.user),
        };
        let user = UserId::parse(client.user).unwrap();
        let guest = Guest {
            session: session_of(&self.world, &key, self.sessions),
            identity: Identity { user, expires_ms: None, rights: Rights(None) },
            authenticated: false,
            dialect: Dialect::SocketIo,
            inbox_after: None,
        };
        let router = self.chance.random_range(0..2);
        let Some(connection) = self.world.connect(router, guest) else { return };
        client.connection = Some(connection);
        self.owners.insert(connection, number);
        let field = |name, value: &Option<String>| {
            value.as_ref().map(|value| format!("\"{name}\":\"{value}\""))
        };
        let fields = [field("pid", &client.pid), field("offset", &client.stamp)];
        let auth: Vec<String> = fields.into_iter().flatten().collect();
        self.world.say(connection, &format!("0{{{}}}", auth.join(",")));
    }

    fn hang_up(&mut self, number: usize) {
        if let Some(connection) = self.lose(number) {
            self.world.disconnect(connection);
        }
    }

    /// What is unread then is lost.
    fn lose(&mut self, number: usize) -> Option<ClientId> {
        self.owners.retain(|_, owner| *owner != number);
        let client = &mut self.clients[number];
        client.unread.clear();
        client.welcomed = false;
        client.connection.take()
    }

    /// As a client that polled does. What was sent to the old connection is still read.
    fn change_connection(&mut self, number: usize) {
        if let Some(connection) = self.clients[number].connection {
            let next = self.world.change_connection(connection);
            self.clients[number].connection = Some(next);
            self.owners.insert(next, number);
        }
    }

    fn cut(&mut self) {
        let outage = Duration::from_millis(self.chance.random_range(0..=8000));
        match self.chance.random_range(0..10) {
            0..6 => {
                let (a, b) = [(0, 1), (0, 2), (1, 2)][self.chance.random_range(0..3)];
                self.world.cut_link(a, b, outage);
            }
            6..9 => {
                let slot = (self.chance.random_range(0..2), self.chance.random_range(0..3));
                self.world.cut_trunk(slot, outage);
            }
            _ => {
                self.world.crash(self.chance.random_range(0..3), outage);
            }
        }
    }

    /// When nothing breaks any more everybody hears what is said, and who goes leaves nothing.
    fn quiet(&mut self) {
        self.world.plan.calm_down();
        self.pass(Duration::from_secs(30));
        for number in 0..self.clients.len() {
            if self.clients[number].connection.is_none() {
                self.connect(number);
            }
        }
        self.pass(Duration::from_secs(15));
        for number in 0..self.clients.len() {
            let connection = self.clients[number].connection.expect("nothing closes it");
            for room in ROOMS {
                self.said += 1;
                let said = self.said;
                self.clients[number].rejoin(room, said);
                self.world.say(connection, &format!("2{said}[\"join\",\"{room}\"]"));
            }
        }
        self.pass(Duration::from_secs(15));
        let speaker = self.clients[0].connection.expect("nothing closes it");
        for room in ROOMS {
            self.world.say(speaker, &format!("2[\"message\",\"{room}\",\"last\"]"));
        }
        self.world.say(speaker, "2[\"all\",\"last\"]");
        self.pass(Duration::from_secs(15));
        for client in &mut self.clients {
            let mut last = 0;
            for packet in client.unread.drain(..).collect::<Vec<_>>() {
                client.read(&packet, &mut self.tally);
            }
            for room in ROOMS.into_iter().chain(["*"]) {
                last += usize::from(client.heard.contains_key(room));
            }
            assert_eq!(
                last,
                ROOMS.len() + 1,
                "{} hears all rooms: {:?}",
                client.user,
                client.heard
            );
        }
        let places =
            |client: &Client| client.heard.clone().into_iter().filter(|it| !it.0.is_empty());
        let all: Vec<Vec<_>> = self.clients.iter().map(|it| places(it).collect()).collect();
        assert!(all.windows(2).all(|pair| pair[0] == pair[1]), "all are as far: {all:?}");
        for number in 0..self.clients.len() {
            self.hang_up(number);
        }
        self.pass(Duration::from_secs(700));
        for shard in 0..3 {
            assert_eq!(self.world.gauges(shard), Gauges::default(), "shard {shard}");
        }
    }
}

fn broadcast() -> EventRule {
    let message = Message {
        emit: None,
        args: Args::Listed(vec![trunkline_config::events::Template::Text(Text::reference(
            Root::Argument(0),
        ))]),
        key: None,
        ephemeral: false,
        echo: true,
    };
    EventRule {
        name: "all".to_owned(),
        namespace: Pattern::any(),
        action: EventAction::Broadcast { message },
        ack: None,
    }
}

fn live(run: &mut Run) {
    for _ in 0..run.chance.random_range(50..=300) {
        run.act();
        let pause = run.chance.random_range(0..=150);
        run.pass(Duration::from_millis(pause));
    }
    run.quiet();
}

#[test]
fn whoever_has_recovered_has_missed_nothing_and_nothing_stays_of_who_has_gone() {
    let first = number("SIMULATION_SEED", 1);
    let count = number("SIMULATION_SEEDS", SEEDS);
    let lines = number("SIMULATION_LINES", if count == 1 { 200 } else { 1 });
    let mut tally = Tally::default();
    for seed in first..first + count {
        let mut run = Run::new(seed, Trace::of(usize::try_from(lines).unwrap()));
        let outcome = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| live(&mut run)));
        if let Err(failure) = outcome {
            for line in run.world.trace.lines() {
                println!("{line}");
            }
            println!(
                "seed {seed} failed; again: SIMULATION_SEED={seed} SIMULATION_SEEDS=1 \
                 cargo test -p trunkline-core --test it simulation::sockets"
            );
            std::panic::resume_unwind(failure);
        }
        let seen = run.tally;
        tally.recovered += seen.recovered;
        tally.began_anew += seen.began_anew;
        tally.messages += seen.messages;
        tally.gaps += seen.gaps;
    }
    eprintln!("{tally:?}");
    let Tally { recovered, began_anew, messages, gaps } = tally;
    assert!(count < 100 || [recovered, began_anew, messages, gaps].iter().all(|it| *it > 0));
}

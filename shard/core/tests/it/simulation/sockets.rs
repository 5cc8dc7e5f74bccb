//! Socket.IO clients from a seed: they connect from anywhere, are cut off with part of what they
//! were sent unread, and come back with the last stamp that they have. A client that is told that
//! it has recovered must have had every message of each of its rooms once and in order; when all
//! have gone, nothing of them may stay. In most seeds routers keep clients whose trunk breaks or
//! whose shard dies: these notice nothing, and what they have asked is answered once.

mod client;

use std::collections::{BTreeMap, BTreeSet};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::time::Duration;

use rand::rngs::StdRng;
use rand::seq::IndexedRandom;
use rand::{Rng, SeedableRng};
use trunkline_config::ShardKey;
use trunkline_config::events::{
    Args, EventAction, EventRule, EventRules, Message, Pattern, Root, Text,
};
use trunkline_core::{Dialect, Gauges, Identity, Rights, Topic, UserId};

use self::client::{ATTACHMENT, Client, Tally};
use super::{Failure, number};
use crate::harness::{Arrival, ClientId, Guest, Kept, Plan, Trace, World, session_of};

/// About ten seconds of one core in a debug build.
const SEEDS: u64 = 600;
/// Seeds in which shards go away and come back, instead of everything that may break. With
/// `SIMULATION_MOVES` clients 1: stay for good, 2: talk much faster besides, 3: talk fast and come and go.
const SEEDS_MOVING: u64 = 300;
/// Seeds in which they do so while clients talk much faster.
const SEEDS_MOVING_FAST: u64 = 800;
/// Seeds in which they do so while clients talk fast, go and come back.
const SEEDS_MOVING_AND_COMING: u64 = 600;
/// Clients poll, and shards die more often than anything else happens.
const POLL: u64 = 4;
const SEEDS_POLLING: u64 = 1000;
const USERS: [&str; 4] = ["alice", "bob", "carol", "dora"];
const ROOMS: [&str; 3] = ["attic", "lobby", "yard"];
/// What is said to each room in the end.
const LAST: &str = "\"last\"";

struct Run {
    world: World,
    chance: StdRng,
    clients: Vec<Client>,
    /// Whose a connection is: a client that has changed it still reads what the old one was sent.
    owners: BTreeMap<ClientId, usize>,
    tally: Tally,
    said: u64,
    sessions: u64,
    /// What was kept: nothing twice, but for who has lost its memory.
    kept: BTreeSet<(Topic, String)>,
    forgetful: bool,
    /// Whether shards go away and come back, and what else: see [`SEEDS_MOVING`].
    moves: u64,
}

impl Run {
    fn new(seed: u64, moves: u64, trace: Trace) -> Self {
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
        plan.hold = chance.random_bool(0.7);
        plan.durable = chance.random_bool(0.5);
        plan.no_room = if chance.random_bool(0.3) { 0.01 } else { 0.0 };
        if moves == POLL {
            (plan.polls, plan.hold, plan.no_room) = (true, false, 0.0);
        } else if moves > 0 {
            plan.news = 0..=chance.random_range(0..=40);
            plan.hold = true;
            plan.no_room = 0.0;
        }
        let world = World::new(plan, chance.random(), trace);
        let clients = (0..chance.random_range(2..=6))
            .map(|number| Client { user: USERS[number % USERS.len()], ..Client::default() })
            .collect();
        let (owners, tally) = (BTreeMap::new(), Tally::default());
        Self {
            world,
            chance,
            clients,
            owners,
            tally,
            said: 0,
            sessions: 0,
            kept: BTreeSet::new(),
            forgetful: false,
            moves,
        }
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
                Arrival::Closed { client, code, kept } => {
                    assert!(code != 1012 || !kept, "who has a checkpoint is gone on with");
                    match self.owners.remove(&client) {
                        Some(owner) if self.clients[owner].connection == Some(client) => {
                            self.lose(owner);
                        }
                        // It has changed to another connection, and what was for it is lost.
                        Some(owner) if code != 1012 => self.hang_up(owner),
                        _ => {}
                    }
                }
                Arrival::Held { client } => {
                    self.tally.held += u64::from(self.owners.contains_key(&client));
                }
                Arrival::Crashed { .. } => self.forgetful |= !self.world.plan.durable,
                Arrival::Kept(Kept { topic, epoch: _, record }) => {
                    let said = record.body.arguments.json().to_owned();
                    let is_new = self.kept.insert((topic, said.clone()));
                    assert!(is_new || self.forgetful || said == LAST, "{said} is kept twice");
                }
                _ => {}
            }
        }
        for client in &mut self.clients {
            let reads = client.unread.len().saturating_sub(self.chance.random_range(0..=3));
            let read = client.unread.drain(..reads).collect();
            let read = match client.connection {
                Some(connection) if self.moves == POLL => {
                    // What it is answered now it has when it asks again, unless it is cut off by then.
                    self.world.answer_poll(connection, reads);
                    std::mem::replace(&mut client.answer, read)
                }
                _ => read,
            };
            read.iter().for_each(|packet| client.read(packet, &mut self.tally));
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
            0..12 if !self.stay() => return self.hang_up(number),
            0..15 => return self.cut(),
            15..18 if !self.stay() && self.moves != POLL => return self.change_connection(number),
            18..35 => {
                self.clients[number].rejoin(room, said);
                self.clients[number].asked.insert(said, true);
                format!("2{said}[\"join\",\"{room}\"]")
            }
            35..38 => {
                self.clients[number].heard.remove(room);
                self.clients[number].leaving.insert(room.to_owned(), None);
                self.clients[number].asked.insert(said, false);
                format!("2{said}[\"leave\",\"{room}\"]")
            }
            38..50 => format!("2[\"all\",{said}]"),
            50..65 => {
                let to = USERS[self.chance.random_range(0..USERS.len())];
                format!("2[\"private\",\"{to}\",{said}]")
            }
            65..80 => {
                self.clients[number].asked.insert(said, false);
                format!("2{said}[\"message\",\"{room}\",{said}]")
            }
            80..90 => {
                self.clients[number].asked.insert(said, false);
                let place = "{\"_placeholder\":true,\"num\":0}";
                format!("51-{said}[\"message\",\"{room}\",{said},{place}]")
            }
            _ => format!("2[\"message\",\"{room}\",{said}]"),
        };
        self.world.say(connection, &text);
        if text.starts_with("51-") {
            if self.chance.random_bool(0.3) {
                // Much may happen in between.
                self.cut();
                let pause = self.chance.random_range(0..=50);
                self.pass(Duration::from_millis(pause));
            }
            if self.clients[number].connection == Some(connection) {
                self.world.attach(connection, ATTACHMENT.as_bytes());
            }
        }
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
        client.answer.clear();
        client.incomplete = None;
        client.asked.clear();
        client.welcomed = false;
        client.connection.take()
    }

    /// As a client that polled does. What was sent to the old connection is still read.
    fn change_connection(&mut self, number: usize) {
        if let Some(connection) = self.clients[number].connection
            && !self.world.is_held(connection)
        {
            let next = self.world.change_connection(connection);
            self.clients[number].connection = Some(next);
            self.owners.insert(next, number);
        }
    }

    /// Whether no client closes its connection.
    fn stay(&self) -> bool {
        matches!(self.moves, 1 | 2)
    }

    fn cut(&mut self) {
        if self.moves == POLL && self.chance.random_bool(0.5) {
            let outage = Duration::from_millis(self.chance.random_range(0..=8000));
            self.world.crash(self.chance.random_range(0..3), outage);
            return;
        }
        if self.moves > 0 && self.moves != POLL {
            let away = self.chance.random_range(0..6);
            let away: Vec<usize> = (away < 3).then_some(away).into_iter().collect();
            return self.world.away(&away);
        }
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
                self.clients[number].asked.insert(said, true);
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
            let read = client.answer.drain(..).chain(client.unread.drain(..));
            for packet in read.collect::<Vec<_>>() {
                client.read(&packet, &mut self.tally);
            }
            assert!(client.asked.is_empty(), "{} waits for {:?}", client.user, client.asked);
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
        // Until nobody remembers what they have published.
        self.pass(Duration::from_secs(60) + 4 * self.world.plan.settings.key_window);
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
    let longest = if run.moves > 1 { *[3, 20, 150].choose(&mut run.chance).unwrap() } else { 150 };
    for _ in 0..run.chance.random_range(50..=300) {
        run.act();
        let pause = run.chance.random_range(0..=longest);
        run.pass(Duration::from_millis(pause));
    }
    run.quiet();
}

pub(super) fn attempt(seed: u64, moves: u64, trace: &mut Trace) -> Result<Tally, Failure> {
    let mut run = Run::new(seed, moves, std::mem::take(trace));
    let outcome = catch_unwind(AssertUnwindSafe(|| live(&mut run)));
    run.tally.found = run.world.found();
    *trace = run.world.trace;
    outcome.map(|()| run.tally)
}

#[test]
fn whoever_has_recovered_has_missed_nothing_and_nothing_stays_of_who_has_gone() {
    let count = number("SIMULATION_SEEDS", SEEDS);
    let moves = number("SIMULATION_MOVES", 0);
    let tally = simulate(number("SIMULATION_SEED", 1), count, moves);
    let Tally { recovered, began_anew, messages, gaps, answers, held, found: _ } = tally;
    let seen = [recovered, began_anew, messages, gaps, answers, held];
    assert!(count < 100 || moves > 0 || seen.iter().all(|it| *it > 0));
}

#[test]
fn whoever_stays_while_shards_go_away_and_come_back_hears_all_once_and_in_order() {
    let tally = simulate(1, SEEDS_MOVING, 1);
    assert!(tally.recovered == 0 && tally.messages > 0 && tally.answers > 0 && tally.held > 0);
}

#[test]
fn whoever_talks_fast_while_shards_go_away_and_come_back_hears_all_once_and_in_order() {
    let tally = simulate(1, SEEDS_MOVING_FAST, 2);
    assert!(tally.recovered == 0 && tally.messages > 0 && tally.answers > 0 && tally.held > 0);
}

#[test]
fn whoever_comes_back_while_shards_go_away_and_come_back_has_missed_nothing() {
    let tally = simulate(1, SEEDS_MOVING_AND_COMING, 3);
    assert!(tally.recovered > 0 && tally.began_anew > 0 && tally.messages > 0 && tally.held > 0);
}

#[test]
fn whoever_polls_and_comes_back_after_its_shard_has_died_has_missed_nothing() {
    let tally = simulate(1, number("SIMULATION_SEEDS", SEEDS_POLLING), POLL);
    assert!(tally.found > 0 && tally.recovered > 0 && tally.began_anew > 0 && tally.messages > 0);
}

#[allow(clippy::print_stdout, clippy::print_stderr)] // what was seen is for whoever runs the test
fn simulate(first: u64, count: u64, moves: u64) -> Tally {
    let lines = number("SIMULATION_LINES", if count == 1 { 200 } else { 1 });
    let mut tally = Tally::default();
    for seed in first..first + count {
        let mut trace = Trace::of(usize::try_from(lines).unwrap());
        let outcome = attempt(seed, moves, &mut trace);
        let seen = outcome.unwrap_or_else(|failure| {
            for line in trace.lines() {
                println!("{line}");
            }
            println!(
                "seed {seed} failed; again: SIMULATION_MOVES={moves} SIMULATION_SEED={seed} \
                 SIMULATION_SEEDS=1 cargo test -p trunkline-core --test it simulation::sockets"
            );
            std::panic::resume_unwind(failure)
        });
        tally.recovered += seen.recovered;
        tally.began_anew += seen.began_anew;
        tally.messages += seen.messages;
        tally.gaps += seen.gaps;
        tally.answers += seen.answers;
        tally.held += seen.held;
        tally.found += seen.found;
    }
    eprintln!("{tally:?}");
    tally
}

//! Trunks that break and views that change, again and again, while clients talk, with two shards that
//! check what they are told: after each Attach all that is not settled, in order, once and without
//! a gap.

use std::collections::BTreeMap;
use std::future::Future;
use std::pin::Pin;
use std::rc::Rc;
use std::task::Waker;

use futures_util::{FutureExt, StreamExt};
use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};
use tokio::io::{AsyncWriteExt, DuplexStream};
use tokio::task::LocalSet;
use tokio::task::coop::unconstrained;
use trunkline_config::{ShardStatus, Statuses};
use trunkline_proto::outbox::{Batches, Bounds, outbox};
use trunkline_proto::trunk::{
    Acknowledge, Attach, Checkpoint, ClientMessage, Down, Frame, Part, Send, down,
};

use super::*;
use crate::connection::testing::connection;
use crate::connection::{Connection, run};
use crate::trunk::moves::Moves;
use crate::trunk::testing::trunks;
use crate::trunk::tie::MOVES_SHIFT;
use crate::trunk::{Trunks, digest};

/// Which part of the answer shards give.
const ANSWER: u32 = 2;
const CLIENTS: u64 = 6;
const SHARDS: [&str; 2] = ["a", "b"];
/// So little that what a few clients have said does not fit.
const BOUNDS: Bounds = Bounds { capacity: 800, batch: 200 };

/// A client, its connection's task, and what it has said.
struct Client {
    connection: Rc<Connection>,
    socket: DuplexStream,
    task: Pin<Box<dyn Future<Output = ()>>>,
    said: u64,
}

/// What the router knows of a client's messages.
#[derive(Default)]
struct Known {
    attachment: u32,
    settled: u64,
    answered: u64,
}

/// A shard's end of its trunk.
#[derive(Default)]
struct Shard {
    batches: Option<Batches<Up>>,
    /// By the present stream.
    attached: BTreeMap<u64, Attached>,
    /// The last one that it has attached again.
    last: u64,
}

struct Attached {
    /// The last message that has come.
    last: u64,
    settled: u64,
}

struct World {
    trunks: Trunks,
    moves: Moves,
    shards: [Shard; 2],
    clients: BTreeMap<u64, Client>,
    known: BTreeMap<u64, Known>,
    stamp_ms: u64,
    /// The view has changed, so that who is attached at a time is not in order.
    moves_any: bool,
}

/// Whose number this is, however often it has been moved.
fn client_of(connection: u64) -> u64 {
    connection & ((1 << MOVES_SHIFT) - 1)
}

/// An ID that belongs anywhere.
fn session(number: u64) -> [u8; 24] {
    let mut session = [0; 24];
    session[..8].copy_from_slice(&number.wrapping_mul(0x9e37_79b9_7f4a_7c15).to_be_bytes());
    session
}

impl World {
    fn new() -> Self {
        let (trunks, metrics) = trunks(&SHARDS);
        let mut world = Self {
            trunks,
            moves: Moves::new(metrics.moving.clone()),
            shards: Default::default(),
            clients: BTreeMap::new(),
            known: BTreeMap::new(),
            stamp_ms: 0,
            moves_any: false,
        };
        world.come_up(0);
        world.come_up(1);
        for number in 1..=CLIENTS {
            let (connection, socket) = connection(number);
            let session = session(number);
            let attach = Attach {
                connection: number,
                session: session.to_vec().into(),
                ..Attach::default()
            };
            let trunk = world.trunks.of(digest(&session)).expect("a shard");
            trunk.attach(&connection, attach).expect("the trunk is up");
            let uplink = Rc::<Connection>::clone(&connection);
            let task = run(Rc::clone(&connection), uplink, &[], 100, ());
            world.clients.insert(
                number,
                Client {
                    socket,
                    connection: Rc::clone(&connection),
                    task: Box::pin(task),
                    said: 0,
                },
            );
            world.known.insert(number, Known::default());
            while world.receive(0) || world.receive(1) {}
            let state = b"state"[..].into();
            world.tell(
                usize::from(trunk.number),
                down::Item::Checkpoint(Checkpoint { connection: number, state }),
            );
        }
        world
    }

    fn trunk(&self, shard: usize) -> Rc<Trunk> {
        self.trunks.get(u16::try_from(shard).expect("few")).expect("a trunk")
    }

    fn come_up(&mut self, shard: usize) {
        let (outbox, batches) = outbox(BOUNDS);
        self.trunk(shard).come_up(outbox, Statuses::default());
        self.shards[shard] = Shard { batches: Some(batches), ..Shard::default() };
        self.resume();
    }

    fn go_down(&mut self, shard: usize) {
        self.trunk(shard).go_down();
        self.shards[shard] = Shard::default();
        self.resume();
    }

    /// The next step to a trunk that is up.
    fn recover(&mut self, shard: usize) {
        if self.trunk(shard).is_up() { self.go_down(shard) } else { self.come_up(shard) }
    }

    fn resume(&mut self) {
        self.moves.resume(&self.trunks);
    }

    fn change_view(&mut self, shard: usize, away: bool) {
        self.stamp_ms += 1;
        let shard = SHARDS[shard].to_owned();
        self.trunks.learn(&ShardStatus { shard, stamp_ms: self.stamp_ms, away });
        self.moves.begin(&self.trunks);
        self.moves_any = true;
    }

    fn move_some(&mut self, most: usize) {
        self.moves.step(&self.trunks, most);
    }

    /// Gives everybody who waits for something a turn.
    fn turn(&mut self) {
        let mut cx = Context::from_waker(Waker::noop());
        for _ in 0..3 {
            for shard in 0..2 {
                let _ = self.trunk(shard).poll_attach_held(&mut cx);
            }
            self.clients.retain(|_, client| client.task.as_mut().poll(&mut cx).is_pending());
        }
    }

    fn tell(&self, shard: usize, item: down::Item) {
        assert!(self.trunk(shard).apply(vec![Down { item: Some(item) }]));
    }

    /// Takes in one batch; false if there is none.
    fn receive(&mut self, shard: usize) -> bool {
        let batches = self.shards[shard].batches.as_mut();
        let batch = batches.and_then(|batches| batches.next().now_or_never());
        let Some(Some(batch)) = batch else { return false };
        for item in batch {
            match item.item.expect("an item") {
                up::Item::Attach(attach) => self.check_attach(shard, &attach),
                up::Item::Message(message) => self.check_message(shard, &message),
                up::Item::Detach(detach) => {
                    let was = self.shards[shard].attached.remove(&detach.connection);
                    assert!(was.is_some(), "it was attached");
                    assert!(
                        detach.moved || !self.clients.contains_key(&client_of(detach.connection))
                    );
                }
                other => panic!("neither: {other:?}"),
            }
        }
        true
    }

    /// Whether what the shard says of a client counts at the router, now.
    fn counts(&self, shard: usize, connection: u64) -> bool {
        self.trunk(shard).carries(connection)
    }

    fn check_attach(&mut self, shard: usize, attach: &Attach) {
        let connection = attach.connection;
        if self.counts(shard, connection) {
            let known = self.known.get_mut(&client_of(connection)).expect("a client");
            assert_eq!(attach.settled, known.settled);
            // What any shard has been told of it before is less.
            assert!(attach.checkpoint.is_empty() || known.attachment < attach.attachment);
        }
        if let Some(known) = self.known.get_mut(&client_of(connection)) {
            known.attachment = known.attachment.max(attach.attachment);
        }
        let Shard { attached, last, .. } = &mut self.shards[shard];
        let begins = Attached { last: attach.settled, settled: attach.settled };
        assert!(attached.insert(connection, begins).is_none(), "attached once");
        if !attach.checkpoint.is_empty() {
            assert!(std::mem::replace(last, connection) < connection || self.moves_any);
        }
    }

    fn check_message(&mut self, shard: usize, message: &ClientMessage) {
        let counts = self.counts(shard, message.connection);
        let attached = self.shards[shard].attached.get_mut(&message.connection);
        let attached = attached.expect("an attach comes before");
        // What was settled meanwhile need not come.
        assert_eq!(message.sequence, attached.settled.max(attached.last) + 1);
        attached.last = message.sequence;
        assert_eq!(message.payload, format!("{}", message.sequence));
        if counts {
            let known = &self.known[&client_of(message.connection)];
            assert_eq!(message.answered, u64::from(message.sequence == known.answered) << ANSWER);
        }
    }

    /// Answers or settles something of a client that is attached.
    fn respond(&mut self, shard: usize, client: u64, settles: bool) {
        let mut attached = self.shards[shard].attached.keys().copied();
        let Some(connection) = attached.find(|it| client_of(*it) == client) else { return };
        let counts = self.counts(shard, connection);
        let Some(attached) = self.shards[shard].attached.get_mut(&connection) else { return };
        let known = self.known.get_mut(&client).expect("a client");
        if attached.last <= attached.settled {
            return;
        }
        if settles {
            attached.settled += 1;
            let sequence = attached.settled;
            if counts {
                known.settled = sequence;
            }
            return self.tell(shard, down::Item::Acknowledge(Acknowledge { connection, sequence }));
        }
        // An answer to one that has not come again is not known as such when it comes.
        if known.answered > known.settled {
            return;
        }
        let last = attached.last;
        if counts {
            known.answered = last;
        }
        let part = Part { payload: b"answer"[..].into(), binary: false };
        let frame = Some(Frame { parts: vec![part], kind: 2 });
        let connections = vec![connection];
        let (answers, part) = (last, ANSWER);
        let send = Send { connections, frame, answers, part, ..Send::default() };
        self.tell(shard, down::Item::Send(send));
    }

    fn say(&mut self, connection: u64) {
        let Some(client) = self.clients.get_mut(&connection) else { return };
        client.said += 1;
        let text = client.said.to_string();
        let mut frame = vec![0x81, 0x80 | u8::try_from(text.len()).expect("short"), 0, 0, 0, 0];
        frame.extend(text.as_bytes());
        client.socket.write_all(&frame).now_or_never();
    }
}

#[tokio::test]
async fn whatever_breaks_or_moves_when_nothing_is_lost_or_said_twice() {
    // Nothing is ever dialled: that would need a turn of tokio's. Without one in between, nothing
    // gives back what it lets a task do, either.
    let simulations = unconstrained(async { (0..300).for_each(simulate) });
    LocalSet::new().run_until(simulations).await;
}

fn simulate(seed: u64) {
    let mut random = StdRng::seed_from_u64(seed);
    let mut world = World::new();
    // In some nothing moves, so that the order of those who are attached again is seen.
    let moves = !seed.is_multiple_of(4);
    for _ in 0..400 {
        let client = random.random_range(1..=CLIENTS);
        let shard = random.random_range(0..2);
        let is_up = world.shards[shard].batches.is_some();
        match random.random_range(0..110) {
            // The stream has ended, and nobody has noticed yet.
            0..3 if is_up => world.shards[shard].batches = None,
            0..5 if is_up => world.go_down(shard),
            0..15 if !is_up => world.recover(shard),
            15..60 => world.say(client),
            60..80 if is_up => world.respond(shard, client, random.random_bool(0.7)),
            80..98 => drop(world.receive(shard)),
            98 if random.random_bool(0.2) => {
                // The socket is closed in the middle of everything.
                if let Some(client) = world.clients.get_mut(&client) {
                    client.socket.shutdown().now_or_never();
                }
            }
            100..102 if moves => world.change_view(shard, random.random_bool(0.5)),
            102..107 if moves => world.move_some(random.random_range(1..3)),
            107 if moves => world.resume(),
            _ => world.turn(),
        }
    }
    for shard in 0..2 {
        while world.shards[shard].batches.is_none() {
            world.recover(shard);
        }
    }
    world.change_view(0, seed.is_multiple_of(3));
    // In the end all is read, and settled, and everything has come, where it belongs.
    for _ in 0..400 {
        world.resume();
        world.move_some(1);
        world.turn();
        while world.receive(0) || world.receive(1) {}
        for client in 1..=CLIENTS {
            world.respond(0, client, true);
            world.respond(1, client, true);
        }
    }
    assert!(!world.moves.are_ready() && !world.moves.wait(), "seed {seed}");
    for (number, client) in &world.clients {
        let at = world.trunks.of(digest(&session(*number))).expect("a shard");
        assert!(
            at.carries(client.connection.alias()) && at.hold.is_empty(),
            "seed {seed}, client {number}"
        );
        assert_eq!(world.known[number].settled, client.said, "seed {seed}, client {number}");
    }
}

#[tokio::test]
async fn what_a_shard_said_before_a_connection_came_back_to_it_is_not_for_it() {
    let come_and_go = unconstrained(async {
        let mut world = World::new();
        let (number, connection) = {
            let at_first =
                |(_, it): &(&u64, &Client)| world.trunk(0).carries(it.connection.alias());
            let (number, client) = world.clients.iter().find(at_first).expect("somebody");
            (*number, Rc::clone(&client.connection))
        };
        let before = connection.alias();
        for away in [true, false] {
            world.change_view(0, away);
            world.move_some(100);
            world.turn();
        }
        assert!(world.trunk(0).carries(connection.alias()));
        assert!(!world.trunk(0).carries(before), "client {number}");
    });
    LocalSet::new().run_until(come_and_go).await;
}

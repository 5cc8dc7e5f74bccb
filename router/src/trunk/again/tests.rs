//! A trunk that breaks again and again while its clients talk, with a shard that checks what it is
//! told: after each Attach all that is not settled, in order, once and without a gap.

use std::collections::BTreeMap;
use std::future::Future;
use std::pin::Pin;
use std::rc::Rc;
use std::task::Waker;

use futures_util::{FutureExt, StreamExt};
use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};
use tokio::io::{AsyncWriteExt, DuplexStream};
use tokio::task::coop::unconstrained;
use trunkline_config::Statuses;
use trunkline_proto::outbox::{Batches, Bounds, outbox};
use trunkline_proto::trunk::{
    Acknowledge, Attach, Checkpoint, ClientMessage, Down, Frame, Part, Send, down,
};

use super::*;
use crate::connection::testing::connection;
use crate::connection::{Connection, run};
use crate::trunk::testing::trunk;

/// Which part of the answer shards give.
const ANSWER: u32 = 2;
const CLIENTS: u64 = 6;
/// So little that what a few clients have said does not fit.
const BOUNDS: Bounds = Bounds { capacity: 800, batch: 200 };

/// A client, its connection's task, and what it has said.
struct Client {
    socket: DuplexStream,
    task: Pin<Box<dyn Future<Output = ()>>>,
    said: u64,
}

/// What the shard knows of a client.
#[derive(Default)]
struct Known {
    settled: u64,
    answered: u64,
    /// The last message that the present stream has brought; none before the Attach.
    last: Option<u64>,
}

struct World {
    trunk: Rc<Trunk>,
    batches: Option<Batches<Up>>,
    clients: BTreeMap<u64, Client>,
    known: BTreeMap<u64, Known>,
    /// The last one that the present stream has attached again.
    attached: u64,
}

impl World {
    fn new() -> Self {
        let mut world = Self {
            trunk: trunk(),
            batches: None,
            clients: BTreeMap::new(),
            known: BTreeMap::new(),
            attached: 0,
        };
        world.come_up();
        for number in 1..=CLIENTS {
            let (connection, socket) = connection(number);
            let attach =
                Attach { connection: number, session: vec![7; 24].into(), ..Attach::default() };
            world.trunk.attach(&connection, attach).expect("the trunk is up");
            let uplink = Rc::<Connection>::clone(&connection);
            let task = run(connection, uplink, &[], 100, ());
            world.clients.insert(number, Client { socket, task: Box::pin(task), said: 0 });
            world.known.insert(number, Known::default());
            while world.receive() {}
            world.tell(down::Item::Checkpoint(Checkpoint {
                connection: number,
                state: b"state"[..].into(),
            }));
        }
        world
    }

    fn come_up(&mut self) {
        let (outbox, batches) = outbox(BOUNDS);
        self.trunk.come_up(outbox, Statuses::default());
        self.batches = Some(batches);
        self.attached = 0;
        for known in self.known.values_mut() {
            known.last = None;
        }
    }

    fn go_down(&mut self) {
        self.trunk.go_down();
        self.batches = None;
    }

    /// The next step to a trunk that is up.
    fn recover(&mut self) {
        if self.trunk.is_up() { self.go_down() } else { self.come_up() }
    }

    /// Gives everybody who waits for something a turn.
    fn turn(&mut self) {
        let mut cx = Context::from_waker(Waker::noop());
        for _ in 0..3 {
            let _ = self.trunk.poll_attach_held(&mut cx);
            self.clients.retain(|_, client| client.task.as_mut().poll(&mut cx).is_pending());
        }
    }

    fn tell(&self, item: down::Item) {
        assert!(self.trunk.apply(vec![Down { item: Some(item) }]));
    }

    /// Takes in one batch; false if there is none.
    fn receive(&mut self) -> bool {
        let batch = self.batches.as_mut().and_then(|batches| batches.next().now_or_never());
        let Some(Some(batch)) = batch else { return false };
        for item in batch {
            match item.item.expect("an item") {
                up::Item::Attach(attach) => self.check_attach(&attach),
                up::Item::Message(message) => self.check_message(&message),
                up::Item::Detach(detach) => {
                    assert!(!self.clients.contains_key(&detach.connection));
                }
                other => panic!("neither: {other:?}"),
            }
        }
        true
    }

    fn check_attach(&mut self, attach: &Attach) {
        let known = self.known.get_mut(&attach.connection).expect("a client");
        assert_eq!(known.last.replace(attach.settled), None, "attached once");
        if attach.checkpoint.is_empty() {
            return;
        }
        assert_eq!(attach.settled, known.settled);
        assert!(std::mem::replace(&mut self.attached, attach.connection) < attach.connection);
    }

    fn check_message(&mut self, message: &ClientMessage) {
        let known = self.known.get_mut(&message.connection).expect("a client");
        let last = known.last.as_mut().expect("an attach comes before");
        // What was settled meanwhile need not come.
        assert_eq!(message.sequence, known.settled.max(*last) + 1);
        *last = message.sequence;
        assert_eq!(message.payload, format!("{}", message.sequence));
        assert_eq!(message.answered, u64::from(message.sequence == known.answered) << ANSWER);
    }

    /// Answers or settles something of a client that is attached.
    fn respond(&mut self, connection: u64, settles: bool) {
        let known = self.known.get_mut(&connection).expect("a client");
        let Some(last) = known.last.filter(|last| *last > known.settled) else { return };
        if settles {
            known.settled += 1;
            let sequence = known.settled;
            return self.tell(down::Item::Acknowledge(Acknowledge { connection, sequence }));
        }
        // An answer to one that has not come again is not known as such when it comes.
        if known.answered > known.settled {
            return;
        }
        known.answered = last;
        let part = Part { payload: b"answer"[..].into(), binary: false };
        let frame = Some(Frame { parts: vec![part], kind: 2 });
        let connections = vec![connection];
        self.tell(down::Item::Send(Send {
            connections,
            frame,
            answers: last,
            part: ANSWER,
            ..Send::default()
        }));
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
async fn whatever_breaks_when_nothing_is_lost_or_said_twice() {
    // Without a turn of tokio's in between nothing gives back what it lets a task do.
    unconstrained(async { (0..200).for_each(simulate) }).await;
}

fn simulate(seed: u64) {
    let mut random = StdRng::seed_from_u64(seed);
    let mut world = World::new();
    for _ in 0..400 {
        let client = random.random_range(1..=CLIENTS);
        match random.random_range(0..100) {
            // The stream has ended, and nobody has noticed yet.
            0..3 if world.batches.is_some() => world.batches = None,
            0..5 if world.batches.is_some() => world.go_down(),
            0..15 if world.batches.is_none() => world.recover(),
            15..60 => world.say(client),
            60..80 if world.batches.is_some() => {
                world.respond(client, random.random_bool(0.7));
            }
            80..98 => drop(world.receive()),
            98 if random.random_bool(0.2) => {
                // The socket is closed in the middle of everything.
                if let Some(client) = world.clients.get_mut(&client) {
                    client.socket.shutdown().now_or_never();
                }
            }
            _ => world.turn(),
        }
    }
    while world.batches.is_none() {
        world.recover();
    }
    // In the end all is read, and settled, and everything has come.
    for _ in 0..400 {
        world.turn();
        while world.receive() {}
        for client in 1..=CLIENTS {
            world.respond(client, true);
        }
    }
    assert!(world.trunk.hold.is_empty(), "seed {seed}");
    for (number, client) in &world.clients {
        assert_eq!(world.known[number].settled, client.said, "seed {seed}, client {number}");
    }
}

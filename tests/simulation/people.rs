//! What people do: connect, talk, and connect again when they have to.

use std::collections::BTreeMap;
use std::rc::Rc;
use std::time::Duration;

use rand::Rng;
use serde_json::{Value, json};
use tokio::time::{Instant, sleep, sleep_until, timeout};
use trunkline_client::{Options, Wire, WireError};

use crate::hearing::{Hearing, Standing};
use crate::network::{self, PORT};
use crate::person::{Destination, Excuses, Individual, Message, Mode, What};
use crate::plan::{ROUTERS, person_name, room_name, router_name};
use crate::truth::{inbox_topic, room_topic};
use crate::world::World;
use crate::{clock, held};

/// How long somebody waits to be welcomed.
const WELCOME: Duration = Duration::from_secs(4);
/// How often somebody looks whether they are well again.
const LOOK: Duration = Duration::from_millis(50);
/// Nothing that was asked waits for longer than this: half a minute of `router.hold`, and the
/// deadline of a request.
const LONGEST: Duration = Duration::from_secs(41);
/// Requests of one person that may wait at the same time.
const UNDER_WAY: usize = 12;
/// How often somebody asks who is there, in the end.
const ASK_AGAIN: Duration = Duration::from_millis(500);

/// Lets somebody live for ever.
pub(crate) async fn live(world: Rc<World>, number: usize) -> turmoil::Result {
    loop {
        while world.with(number, |it| it.mode != Mode::Well) {
            sleep(LOOK).await;
        }
        if let Ok(Ok(wire)) = timeout(WELCOME, connect(&world, number)).await {
            let closed = talk(&world, number, wire).await;
            ended(&world, number, &closed);
        }
        let pause = world.with(number, |it| {
            it.router = (it.router + 1) % ROUTERS;
            it.dice.random_range(10..150)
        });
        sleep(Duration::from_millis(pause)).await;
    }
}

/// A connection that was welcomed. Before that nobody has promised anything.
async fn connect(world: &World, number: usize) -> Result<Wire, Box<dyn std::error::Error>> {
    let (options, host) = world.with(number, |it| {
        it.excuses = Excuses::default();
        let host = router_name(it.router);
        let mut options = Options::new(format!("ws://{host}:{PORT}")).user(&it.user);
        if let Some(room) = &it.placed_by {
            options = options.room(room);
        }
        if let Some((epoch, offset)) = &it.inbox {
            options = options.inbox(trunkline_client::Position::new(epoch.as_str(), *offset));
        }
        (options.deadline(Duration::from_secs(600)), host)
    });
    let stream = network::Wire::connect(&host, PORT).await?;
    let mut wire = Wire::over(stream, &options).await?;
    let welcome = wire.next_json().await?;
    let name = world.with(number, |it| {
        it.begins();
        it.name()
    });
    if welcome["type"] != "welcome" {
        world.wrong(format!("{name} is welcomed with {welcome}"));
    }
    world.note(&name, &format!("is welcomed by {host} as {}", welcome["session"]));
    Ok(wire)
}

/// Talks until the connection ends; says how it did.
async fn talk(world: &World, number: usize, mut wire: Wire) -> String {
    let mut asks_again = Instant::now();
    loop {
        let (mode, pause) =
            world.with(number, |it| (it.mode, it.dice.random_range(1..=world.plan.pace_ms)));
        match mode {
            Mode::Well => {}
            Mode::Deaf => {
                sleep(LOOK).await;
                continue;
            }
            // Nobody hears that it goes.
            Mode::Away => return "it was cut off".to_owned(),
        }
        let until = Instant::now() + Duration::from_millis(pause);
        loop {
            tokio::select! {
                biased;
                frame = wire.next_json() => match frame {
                    Ok(frame) => hear(world, number, &frame),
                    Err(WireError::Closed(closed)) => return closed.to_string(),
                    Err(error) => return error.to_string(),
                },
                () = sleep_until(until) => break,
            }
        }
        let mut requests = Vec::new();
        if world.is_quiet() {
            let asks = Instant::now() >= asks_again;
            world.with(number, |it| requests = conclude(it, asks));
            if asks {
                asks_again = Instant::now() + ASK_AGAIN;
            }
        } else {
            world.act(number, &mut requests, act);
        }
        for (name, request) in requests {
            world.note(&name, &format!("asks {request}"));
            if let Err(error) = wire.send_json(&request).await {
                return error.to_string();
            }
        }
    }
}

fn hear(world: &World, number: usize, frame: &Value) {
    let name = person_name(number);
    world.note(&name, &format!("hears {frame}"));
    let around = world.circumstances();
    let heard = world.with(number, |it| {
        let mut truth = held(&world.truth);
        let heard = it.hears(frame, &mut truth, around)?;
        match it.is_overdue(clock::since(), LONGEST) {
            Some(asked) => Err(format!("{asked:?} is not answered")),
            None => Ok(heard),
        }
    });
    match heard {
        Ok(heard) => world.heard(number, heard),
        Err(problem) => world.wrong(format!("{name}: {problem}")),
    }
}

fn ended(world: &World, number: usize, closed: &str) {
    let (name, excuses) = world.with(number, |it| {
        it.ends();
        (it.name(), it.excuses)
    });
    world.note(&name, &format!("is gone: {closed}"));
    if !excuses.are_any() {
        world.wrong(format!("{name} is disconnected for no fault of theirs: {closed}"));
    }
    world.tally(if excuses.router_ended { "lost its router" } else { "lost its connection" });
}

/// A request with the name of who makes it.
pub(crate) type Request = (String, Value);

fn request(it: &mut Individual, what: What, mut json: Value) -> Request {
    let id = it.ask(what, clock::since());
    json["id"] = id.into();
    (it.name(), json)
}

fn join(it: &mut Individual, room: &str) -> Request {
    let place = it.places.remove(room);
    let mut json = json!({"type": "join", "room": room});
    if let Some((epoch, offset)) = &place {
        json["after"] = json!({"epoch": epoch, "offset": offset});
    }
    let hearing = Hearing { standing: Standing::Joining, place, joined_at: Duration::ZERO };
    it.rooms.insert(room.to_owned(), hearing);
    it.wants.insert(room.to_owned());
    request(it, What::Join(room.to_owned()), json)
}

fn say(it: &mut Individual, message: Message) -> Request {
    let Message { payload, to, keyed } = &message;
    let mut json = match to {
        Destination::Room(room) => json!({"type": "publish", "room": room}),
        Destination::User(user) => json!({"type": "send", "to": user}),
    };
    json["event"] = "word".into();
    json["data"] = payload.as_str().into();
    if *keyed {
        json["key"] = payload.as_str().into();
    }
    request(it, What::Say(message), json)
}

/// Rooms that they are in.
fn joined(it: &Individual) -> Vec<String> {
    it.rooms.keys().filter(|room| it.is_joined(room)).cloned().collect()
}

/// What has to be done so that nothing is left to do.
fn conclude(it: &mut Individual, asks: bool) -> Vec<Request> {
    let mut requests = Vec::new();
    let missing: Vec<String> =
        it.wants.iter().filter(|room| !it.rooms.contains_key(*room)).cloned().collect();
    for room in missing {
        requests.push(join(it, &room));
    }
    if let Some(message) = next_again(it) {
        requests.push(say(it, message));
    }
    if asks {
        for room in joined(it) {
            let json = json!({"type": "presence", "room": room});
            requests.push(request(it, What::Presence(room), json));
        }
    }
    requests
}

/// A message that is to be said again, and can be.
fn next_again(it: &mut Individual) -> Option<Message> {
    let message = it.again.pop_front()?;
    match &message.to {
        Destination::Room(room) if !it.is_joined(room) => {
            if !it.wants.contains(room) {
                it.wants.insert(room.clone());
            }
            it.again.push_back(message);
            None
        }
        _ => Some(message),
    }
}

/// One thing that somebody does.
fn act(it: &mut Individual, world: &World) -> Vec<Request> {
    if it.asked.len() >= UNDER_WAY {
        return Vec::new();
    }
    if let Some(message) = next_again(it) {
        return vec![say(it, message)];
    }
    let room = room_name(it.dice.random_range(0..world.plan.rooms));
    let joined = joined(it);
    match it.dice.random_range(0..100) {
        0..30 if !it.rooms.contains_key(&room) => vec![join(it, &room)],
        30..36 if it.is_joined(&room) => {
            if let Some(hearing) = it.rooms.get_mut(&room) {
                hearing.standing = Standing::Leaving;
            }
            it.wants.remove(&room);
            let json = json!({"type": "leave", "room": room});
            vec![request(it, What::Leave(room), json)]
        }
        36..46 => {
            let people = &world.plan.people;
            let to = people[it.dice.random_range(0..people.len())].user.clone();
            let payload = it.payload();
            held(&world.truth).say(&payload, inbox_topic(&to), true);
            vec![say(it, Message { payload, to: Destination::User(to), keyed: true })]
        }
        46..48 if !joined.is_empty() => {
            let room = &joined[it.dice.random_range(0..joined.len())];
            let json = json!({"type": "publish", "room": room, "event": "typing", "data": true,
                "ephemeral": true});
            vec![request(it, What::Whisper, json)]
        }
        48..50 => vec![request(it, What::Ping, json!({"type": "ping"}))],
        50.. if !joined.is_empty() => {
            // Some say two things in one breath.
            let count = 1 + usize::from(it.dice.random_bool(0.2));
            let mut said = Vec::new();
            for _ in 0..count {
                let room = joined[it.dice.random_range(0..joined.len())].clone();
                let (payload, keyed) = (it.payload(), it.dice.random_bool(0.6));
                held(&world.truth).say(&payload, room_topic(&room), keyed);
                said.push(say(it, Message { payload, to: Destination::Room(room), keyed }));
            }
            said
        }
        _ => Vec::new(),
    }
}

/// Users with their connections in a room, as all of the people know it.
pub(crate) fn present(people: &[Individual], room: &str) -> BTreeMap<String, u64> {
    let mut present = BTreeMap::new();
    for person in people.iter().filter(|it| it.connected && it.is_joined(room)) {
        *present.entry(person.user.clone()).or_default() += 1;
    }
    present
}

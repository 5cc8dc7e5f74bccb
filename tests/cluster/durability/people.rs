//! Clients that go on whatever happens to their connection: publishers that try again with the
//! same key until they are answered, readers that come back to where they were.

use std::collections::BTreeMap;
use std::convert::Infallible;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use serde_json::{Value, json};
use trunkline_client::{Options, Wire, WireError};

use super::ledger::{Ledger, Place};
use crate::harness::PATIENCE;

/// Before one who was sent away or refused tries again.
const PAUSE: Duration = Duration::from_millis(20);
/// From one message of a publisher to the next.
const PACE: Duration = Duration::from_millis(5);
/// What all of them share.
#[derive(Clone)]
pub(super) struct Company {
    pub(super) ledger: Arc<Mutex<Ledger>>,
    pub(super) rooms: Arc<Vec<String>>,
    /// Users who are away, and whom publishers write to.
    pub(super) absent: Arc<Vec<String>>,
    pub(super) is_over: Arc<AtomicBool>,
}

impl Company {
    fn with<T>(&self, tell: impl FnOnce(&mut Ledger) -> T) -> T {
        tell(&mut self.ledger.lock().unwrap())
    }

    fn is_over(&self) -> bool {
        self.is_over.load(Ordering::Relaxed)
    }
}

/// A connection that was welcomed.
async fn connect(options: &Options) -> Result<Wire, WireError> {
    loop {
        if let Ok(mut wire) = Wire::connect(options).await {
            let welcome = wire.next_json().await?;
            assert_eq!(welcome["type"], "welcome");
            return Ok(wire);
        }
        tokio::time::sleep(PAUSE).await;
    }
}

/// The answer to a request; what comes before it is passed over.
async fn ask(wire: &mut Wire, request: &Value) -> Result<Value, WireError> {
    wire.send_json(request).await?;
    loop {
        let object = wire.next_json().await?;
        if object["id"] == request["id"] {
            return Ok(object);
        }
    }
}

pub(super) fn place(object: &Value) -> Place {
    (object["epoch"].as_str().unwrap().to_owned(), object["offset"].as_u64().unwrap())
}

/// Publishes to the rooms in turn and writes to those who are away, until it is over.
pub(super) async fn publish(company: Company, options: Options, name: String) {
    let mut numbers = 0..;
    let mut wire = None;
    while !company.is_over() {
        let number: usize = numbers.next().unwrap();
        let payload = format!("{name}-{number}");
        let room = &company.rooms[number % company.rooms.len()];
        let user = &company.absent[number % company.absent.len()];
        let request = if number % 5 == 4 {
            json!({"type": "send", "id": number, "to": user, "event": "e", "data": payload, "key": payload})
        } else {
            json!({"type": "publish", "id": number, "room": room, "event": "e", "data": payload, "key": payload})
        };
        let ok = until_granted(&company, &options, &mut wire, &request).await;
        match ok["status"].as_str() {
            None => company.with(|it| it.acknowledge(room, &payload, place(&ok))),
            Some("queued" | "delivered") => company.with(|it| it.keep(user, &payload)),
            Some(status) => panic!("{payload} is {status}"),
        }
        tokio::time::sleep(PACE).await;
    }
}

/// Asks again, over one connection after the other, until the answer is `ok`.
async fn until_granted(
    company: &Company,
    options: &Options,
    wire: &mut Option<Wire>,
    request: &Value,
) -> Value {
    loop {
        if wire.is_none() {
            *wire = join_all(company, options).await.ok();
        }
        let Some(connected) = wire else {
            tokio::time::sleep(PAUSE).await;
            continue;
        };
        let answer = tokio::time::timeout(PATIENCE, ask(connected, request)).await;
        match answer.unwrap_or_else(|_| panic!("nothing becomes of {request}")) {
            Ok(ok) if ok["type"] == "ok" => return ok,
            Ok(error) => {
                assert_eq!(error["code"], "unavailable", "{request}");
                tokio::time::sleep(PAUSE).await;
            }
            Err(error) => {
                company.with(|it| it.returns.push(format!("{request}: {error}")));
                *wire = None;
            }
        }
    }
}

async fn join_all(company: &Company, options: &Options) -> Result<Wire, WireError> {
    let mut wire = connect(options).await?;
    for room in company.rooms.iter() {
        let join = json!({"type": "join", "id": 0, "room": room});
        while ask(&mut wire, &join).await?["type"] != "ok" {
            tokio::time::sleep(PAUSE).await;
        }
    }
    Ok(wire)
}

/// Reads all rooms, coming back to where it was, until it is aborted.
pub(super) async fn read(company: Company, options: Options, number: usize) {
    let mut places: BTreeMap<String, Place> = BTreeMap::new();
    loop {
        let Err(error) = read_on(&company, &options, number, &mut places).await;
        company.with(|it| it.returns.push(format!("reader {number}: {error}")));
    }
}

async fn read_on(
    company: &Company,
    options: &Options,
    number: usize,
    places: &mut BTreeMap<String, Place>,
) -> Result<Infallible, WireError> {
    let mut wire = connect(options).await?;
    let mut joining: BTreeMap<u64, String> = (1..).zip(company.rooms.iter().cloned()).collect();
    for (id, room) in &joining {
        wire.send_json(&join(*id, room, places)).await?;
    }
    loop {
        let object = wire.next_json().await?;
        let id = object["id"].as_u64().unwrap_or(0);
        match object["type"].as_str().unwrap() {
            "message" => {
                let room = object["room"].as_str().unwrap();
                let payload = object["data"].as_str().unwrap();
                company.with(|it| it.see(number, room, place(&object), payload));
                places.insert(room.to_owned(), place(&object));
            }
            "ok" => {
                let room = joining.remove(&id).expect("the answer to a join");
                assert_ne!(object["recovered"], false, "{object}");
                // A room of which nothing was seen is entered at its newest message.
                places.entry(room).or_insert_with(|| place(&object));
            }
            "error" => {
                assert_eq!(object["code"], "unavailable");
                tokio::time::sleep(PAUSE).await;
                wire.send_json(&join(id, &joining[&id], places)).await?;
            }
            "joined" | "left" => {}
            _ => panic!("reader {number} does not want {object}"),
        }
    }
}

fn join(id: u64, room: &str, places: &BTreeMap<String, Place>) -> Value {
    let mut join = json!({"type": "join", "id": id, "room": room});
    if let Some((epoch, offset)) = places.get(room) {
        join["after"] = json!({"epoch": epoch, "offset": offset});
    }
    join
}

/// All that a room has, by pages.
pub(super) async fn history(options: &Options, room: &str) -> Vec<(Place, String)> {
    let mut wire = connect(options).await.expect("a welcome");
    let ok = ask(&mut wire, &json!({"type": "join", "id": 0, "room": room})).await;
    assert_eq!(ok.expect("an answer")["type"], "ok");
    let mut all: Vec<(Place, String)> = Vec::new();
    loop {
        let after = all.last().map_or(0, |((_, offset), _)| *offset);
        let page = json!({"type": "history", "id": 1, "room": room, "after": after, "limit": 1000});
        let page = ask(&mut wire, &page).await.expect("an answer");
        let messages = page["messages"].as_array().unwrap_or_else(|| panic!("{page}"));
        if messages.is_empty() {
            return all;
        }
        let entry = |it: &Value| (place(it), it["data"].as_str().unwrap().to_owned());
        all.extend(messages.iter().map(entry));
    }
}

/// What waits for a user who comes: everything before the answer to a ping.
pub(super) async fn inbox(options: &Options) -> Vec<String> {
    let mut wire = connect(options).await.expect("a welcome");
    wire.send_json(&json!({"type": "ping", "id": 1})).await.expect("a ping");
    let mut handed = Vec::new();
    loop {
        let object = wire.next_json().await.expect("an answer");
        match object["type"].as_str().unwrap() {
            "private" => handed.push(object["data"].as_str().unwrap().to_owned()),
            "ok" => return handed,
            _ => panic!("nobody waits for {object}"),
        }
    }
}

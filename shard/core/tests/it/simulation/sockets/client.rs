//! A Socket.IO client, and what it may see.

use std::collections::{BTreeMap, VecDeque};

use serde_json::Value;

use crate::harness::ClientId;

/// What is attached to an event, if anything is.
pub(super) const ATTACHMENT: &str = "#";

/// One client through all its connections.
#[derive(Default)]
pub(super) struct Client {
    pub(super) user: &'static str,
    pub(super) connection: Option<ClientId>,
    /// What it was sent and has not read.
    pub(super) unread: VecDeque<String>,
    /// Of what it was sent, an answer to its poll that is on its way.
    pub(super) answer: VecDeque<String>,
    /// An event that is nothing to it before it has its attachment.
    pub(super) incomplete: Option<String>,
    pub(super) pid: Option<String>,
    pub(super) stamp: Option<String>,
    pub(super) welcomed: bool,
    /// The newest message that it has had of each room, and of its inbox under no name.
    pub(super) heard: BTreeMap<String, (String, u64)>,
    /// Rooms that it has left, and with what request it has asked for them again. What it hears
    /// of them until that is answered may be from before.
    pub(super) leaving: BTreeMap<String, Option<u64>>,
    /// What it has asked by this connection, and whether to join a room: each is answered once.
    pub(super) asked: BTreeMap<u64, bool>,
}

/// How often what was seen.
#[derive(Debug, Default)]
pub(in crate::simulation) struct Tally {
    pub(super) recovered: u64,
    pub(super) began_anew: u64,
    pub(super) messages: u64,
    pub(super) gaps: u64,
    pub(super) answers: u64,
    pub(super) held: u64,
    pub(super) found: u64,
}

impl Client {
    /// Reads one packet.
    pub(super) fn read(&mut self, packet: &str, tally: &mut Tally) {
        if packet == ATTACHMENT
            && let Some(event) = self.incomplete.take()
        {
            return self.hears(&event, tally);
        }
        let Some(kind) = packet.get(..2) else { return };
        match kind {
            "40" => self.is_welcomed(packet, tally),
            "42" => self.hears(packet, tally),
            "45" => self.incomplete = Some(packet.to_owned()),
            "43" => self.is_answered(packet, tally),
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
    fn is_answered(&mut self, packet: &str, tally: &mut Tally) {
        let (request, answer) = packet[2..].split_at(packet.find('[').unwrap() - 2);
        let answer: Value = serde_json::from_str(answer).unwrap();
        let answer = &answer[0];
        tally.answers += 1;
        let asked = request.parse().ok().and_then(|request| self.asked.remove(&request));
        let joins = asked.unwrap_or_else(|| panic!("{} is answered again: {packet}", self.user));
        if !joins {
            return;
        }
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

    pub(super) fn rejoin(&mut self, room: &str, request: u64) {
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

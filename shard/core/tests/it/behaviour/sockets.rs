//! People with a Socket.IO client, as their packets are.

use serde_json::Value;
use trunkline_config::ShardKey;
use trunkline_core::Dialect;

use super::town::{Town, seconds};
use crate::harness::{ClientId, Guest};

impl Town {
    /// A Socket.IO client connects, placed by a user's name, and says nothing yet.
    pub(super) fn plug_in(&mut self, user: &str) -> ClientId {
        self.plug_in_as(user, &ShardKey::User(user), |_| {})
    }

    /// The same, placed by another key, or with other rights than usual.
    pub(super) fn plug_in_as(
        &mut self,
        user: &str,
        key: &ShardKey<'_>,
        change: impl FnOnce(&mut Guest),
    ) -> ClientId {
        let guest = self.guest(user, key, |guest| {
            guest.dialect = Dialect::SocketIo;
            change(guest);
        });
        self.enter(0, guest)
    }

    /// A Socket.IO client connects to `/`; its welcome is taken.
    pub(super) fn socket(&mut self, user: &str) -> ClientId {
        let client = self.plug_in(user);
        self.packet(client, "0");
        assert!(self.packets(client)[0].starts_with("40{"), "it is welcomed");
        client
    }

    /// A client comes back with a private ID and the last stamp that it has, if it has one.
    pub(super) fn come_back(
        &mut self,
        user: &str,
        key: &ShardKey<'_>,
        pid: &str,
        stamp: &str,
    ) -> ClientId {
        let client = self.plug_in_as(user, key, |_| {});
        let offset =
            if stamp.is_empty() { String::new() } else { format!(",\"offset\":\"{stamp}\"") };
        self.packet(client, &format!("0{{\"pid\":\"{pid}\"{offset}}}"));
        client
    }

    /// Sends a packet, and lets happen what then happens at once.
    pub(super) fn packet(&mut self, client: ClientId, packet: &str) {
        self.world.say(client, packet);
        self.wait(std::time::Duration::ZERO);
    }

    /// Emits an event and gives its acknowledgement's only argument.
    pub(super) fn emit(&mut self, client: ClientId, arguments: &str) -> Value {
        self.packet(client, &format!("27{arguments}"));
        let heard = self.packets(client);
        let answer = heard.iter().find_map(|packet| packet.strip_prefix("437"));
        let answer: Vec<Value> = serde_json::from_str(answer.expect("it is answered")).unwrap();
        // What else has come is still to be heard.
        self.hear_again(client, heard.iter().filter(|it| !it.starts_with("437")));
        answer.into_iter().next().expect("one argument")
    }

    /// All packets and attachments that a client has been sent since it was asked last.
    pub(super) fn packets(&mut self, client: ClientId) -> Vec<String> {
        let text = |value: Value| value.as_str().expect("a packet").to_owned();
        self.hears(client).into_iter().map(text).collect()
    }

    /// The names and first arguments of the events among them: `message hi`.
    pub(super) fn events(&mut self, client: ClientId) -> Vec<String> {
        let event = |packet: &String| {
            let array = &packet[packet.find('[')?..];
            let values: Vec<Value> = serde_json::from_str(array).ok()?;
            packet.starts_with("42").then(|| match values.get(1) {
                Some(Value::String(text)) => format!("{} {text}", values[0].as_str().unwrap()),
                Some(other) => format!("{} {other}", values[0].as_str().unwrap()),
                None => values[0].as_str().unwrap().to_owned(),
            })
        };
        self.packets(client).iter().filter_map(event).collect()
    }
}

/// A field of the object in a CONNECT: `sid`, `pid`.
pub(super) fn welcome(packet: &str, field: &str) -> String {
    let object: Value =
        serde_json::from_str(&packet[packet.find('{').expect("an object")..]).expect("a welcome");
    object[field].as_str().expect("the field").to_owned()
}

/// The stamp at the end of an event.
pub(super) fn stamp(packet: &str) -> String {
    let values: Vec<Value> =
        serde_json::from_str(&packet[packet.find('[').expect("an array")..]).expect("an event");
    values.last().and_then(Value::as_str).expect("a stamp").to_owned()
}

#[test]
fn a_packet_that_names_one_attachment_many_times_is_a_mistake() {
    let mut town = Town::new();
    let alice = town.socket("alice");
    town.emit(alice, "[\"join\",\"lobby\"]");
    let place = "{\"_placeholder\":true,\"num\":0}";
    town.world.say(alice, &format!("51-[\"message\",\"lobby\",{place},{place}]"));
    town.world.attach(alice, b"bytes");
    town.wait(seconds(0));
    assert!(town.closed_with(alice).is_some());
}

#[test]
fn clients_that_come_and_go_wake_no_shard_up_one_by_one_afterwards() {
    let mut town = Town::new();
    let mut visits = |count: u64| {
        for number in 0..count {
            let client = town.socket(&format!("user-{}", number % 40));
            town.wait(seconds(1) / 10);
            town.leave(client);
        }
        town.world.ticks
    };
    // Until those who came first could not be recovered any more.
    let before = visits(1500);
    let during = visits(300) - before;
    // Once a second at each shard, in place of once and again for each client.
    assert!(during <= 30 * 3 + 10, "{during} ticks");
}

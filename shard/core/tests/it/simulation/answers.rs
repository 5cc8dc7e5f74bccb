//! Judges the answers to what clients have asked.

use std::collections::BTreeMap;

use serde_json::Value;

use super::client::What;
use super::hearing::{Listener, Place, place};
use super::judge::{Judge, room_topic, text};
use crate::harness::{ClientId, World, core_of};

impl Judge {
    pub(super) fn answer(&mut self, world: &World, id: ClientId, part: &Value) {
        if part["type"] == "error" && part["id"].is_null() {
            return self.count("error without a number");
        }
        let (client, truth) = self.client(id);
        let what = client.answered(part);
        if part["type"] == "error" {
            client.may_fail(&what, text(part, "code"));
            return self.count(if part["code"] == "unavailable" { "unavailable" } else { "error" });
        }
        match what {
            What::Join { .. } => panic!("a join's ok comes in a frame of its own: {part}"),
            What::Leave { room } => {
                client.rooms.remove(&room);
                self.count("left");
            }
            What::Publish { room, payload, ephemeral } => {
                if !ephemeral {
                    let (epoch, offset) = place(part);
                    truth.acknowledged(&payload, &room_topic(&room), &epoch, offset);
                    self.count("published");
                }
            }
            What::Send { payload, user, ephemeral } => {
                self.sent(&payload, user.as_deref(), ephemeral, text(part, "status"));
            }
            What::History { room, after, before, limit } => {
                let topic = room_topic(&room);
                let listener = Listener { truth, topic: &topic, session: &client.session };
                history(listener, part, (after, before, limit));
                self.count("history");
            }
            What::Presence { room, first } => self.presence(world, id, &room, first, part),
            What::Ping => {}
        }
    }

    fn sent(&mut self, payload: &str, user: Option<&str>, ephemeral: bool, status: &str) {
        // A repeated key is answered with what became of the first.
        let said = self.truth.said(payload).clone();
        let kept = self.truth.place(payload).is_some();
        match status {
            "delivered" => {
                assert!(said.passed > 0 || said.key.is_some(), "nobody was handed {payload}");
                self.count("delivered");
            }
            "queued" => {
                assert!(user.is_some() && !ephemeral, "{payload} may not be queued");
                assert!(kept || said.key.is_some(), "{payload} is queued and not kept");
                self.count("queued");
            }
            "offline" => {
                assert!(!kept, "{payload} is kept, and its sender was told otherwise");
                self.count("offline");
            }
            other => panic!("{payload} is {other}"),
        }
    }

    fn presence(&mut self, world: &World, id: ClientId, room: &str, first: bool, part: &Value) {
        let users = part["users"].as_array().expect("a list of users");
        let count = |it: &Value| (text(it, "user").to_owned(), it["connections"].as_u64());
        let listed: Vec<_> = users.iter().map(count).collect();
        assert!(listed.is_sorted() && listed.iter().all(|(_, count)| *count >= Some(1)), "{part}");
        let listed: BTreeMap<String, u64> =
            listed.into_iter().map(|(user, count)| (user, count.unwrap_or_default())).collect();
        assert_eq!(listed.len(), users.len(), "each user is listed once: {part}");
        let owner = core_of(world, &room_topic(room));
        // An owner that has died doesn't know whom it has lost, nor announces who comes back.
        let sure = part["sure"] == true || !self.moves;
        let known = first
            && sure
            && !self.outages.has_crashed(owner)
            && world.plan.settings.announce_up_to > users.len() + 20;
        if let (true, Some(client)) = (known, self.clients.get_mut(&id))
            && let Some(hearing) = client.rooms.get_mut(room)
            && self.outages.is_whole_since(client.home, owner, hearing.since)
        {
            hearing.presence(&listed);
        }
        self.page = Some((listed, part["sure"] == true));
        self.count("presence");
    }
}

fn history(
    listener: Listener<'_>,
    part: &Value,
    (after, before, limit): (Option<u64>, Option<u64>, usize),
) {
    let messages = part["messages"].as_array().expect("a list of messages");
    assert!(messages.len() <= limit, "{part} is more than {limit}");
    let places: Vec<Place> = messages.iter().map(|message| listener.reads(message)).collect();
    for pair in places.windows(2) {
        assert_eq!((&pair[0].0, pair[0].1 + 1), (&pair[1].0, pair[1].1), "in order: {part}");
    }
    for (epoch, offset) in places {
        assert_eq!(part["epoch"], epoch.as_str());
        assert!(after.is_none_or(|after| after < offset), "{part} is after {after:?}");
        assert!(before.is_none_or(|before| offset < before), "{part} is before {before:?}");
    }
}

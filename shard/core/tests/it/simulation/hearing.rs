//! What one connection hears of one room: in order, with no gap and no repeat.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use serde_json::Value;
use trunkline_core::Topic;

use super::truth::Truth;

/// A place in a room's history.
pub(super) type Place = (String, u64);

/// A connection in a room it has joined.
#[derive(Debug)]
pub(super) struct Hearing {
    /// Everything up to here has been heard.
    pub(super) place: Place,
    /// When the join was answered.
    pub(super) since: Duration,
    /// Who is there, as far as `presence` and what was announced since tell; `None` while that
    /// can't be known.
    pub(super) users: Option<BTreeSet<String>>,
    /// Ephemeral messages that came.
    ephemeral: BTreeSet<String>,
}

/// What a room's messages are checked against.
#[derive(Clone, Copy)]
pub(super) struct Listener<'a> {
    pub(super) truth: &'a Truth,
    pub(super) topic: &'a Topic,
    /// The connection's own session.
    pub(super) session: &'a str,
}

pub(super) fn place(value: &Value) -> Place {
    let epoch = value["epoch"].as_str().expect("an epoch").to_owned();
    (epoch, value["offset"].as_u64().expect("an offset"))
}

impl Listener<'_> {
    /// Checks that a message says what stands at its place, and gives the place.
    pub(super) fn reads(&self, message: &Value) -> Place {
        let (epoch, offset) = place(message);
        let written = self.truth.at(self.topic, &epoch, offset);
        assert_eq!(message["data"], written.payload.as_str(), "at {epoch}:{offset}");
        assert_eq!(message["from"], written.from.as_str(), "at {epoch}:{offset}");
        assert_eq!(message["time"], written.time_ms, "at {epoch}:{offset}");
        (epoch, offset)
    }

    /// Checks that nothing but what the session is spared lies between two places.
    fn follows(&self, before: &Place, next: u64) {
        let (epoch, offset) = before;
        for skipped in offset + 1..next {
            assert!(
                self.truth.is_spared(self.topic, epoch, skipped, self.session),
                "{epoch}:{skipped} of {} is left out between {offset} and {next}",
                self.topic
            );
        }
    }

    /// Checks a join's frame (what was missed, then `ok`) against the position that was named.
    /// Gives the place from which it is live. `readable` is the oldest place that can be had now.
    pub(super) fn joins(&self, after: Option<&Place>, parts: &[Value], readable: &Place) -> Place {
        let (ok, missed) = parts.split_last().expect("a join's frame has an ok");
        let at = place(ok);
        let gap = missed.first().filter(|part| part["type"] == "gap").map(place);
        let missed = if gap.is_some() { &missed[1..] } else { missed };
        let Some(after) = after else {
            assert!(missed.is_empty() && gap.is_none() && ok.get("recovered").is_none());
            return at;
        };
        assert_eq!(ok["recovered"], gap.is_none(), "{ok} after {after:?} with {gap:?}");
        let mut heard = match gap {
            Some(gap) => {
                self.needs_gap(after, &gap, readable);
                gap
            }
            None => after.clone(),
        };
        assert_eq!(heard.0, at.0, "a join goes on in the history that it names");
        for message in missed {
            assert_eq!(message["type"], "message");
            let next = self.reads(message);
            assert_eq!(next, (heard.0, heard.1 + 1), "what was missed comes in order");
            heard = next;
        }
        assert_eq!(heard, at, "what was missed reaches up to ok");
        at
    }

    /// Checks that what a gap leaves out really can't be had.
    fn needs_gap(&self, after: &Place, gap: &Place, readable: &Place) {
        let lost = after.0 != gap.0 || after.1 > self.truth.last(self.topic, &gap.0);
        let (epoch, first) = readable;
        assert!(
            lost || gap.0 != *epoch || after.1 + 1 < *first,
            "a gap from {after:?} to {gap:?} of {}, which is readable from {first}",
            self.topic
        );
        assert!(lost || gap.1 > after.1, "a gap goes on: {after:?}, {gap:?}");
    }
}

impl Hearing {
    pub(super) fn new(place: Place, since: Duration) -> Self {
        Self { place, since, users: None, ephemeral: BTreeSet::new() }
    }

    /// A join of a room that it is in already: nothing may have been lost before, unless it has
    /// asked to leave since, which ends what it hears at once.
    /// `goes_on` if its connection was attached again, since when it may not have heard all; it is
    /// the oldest place that can be had.
    pub(super) fn joins_again(
        &mut self,
        listener: Listener<'_>,
        parts: &[Value],
        leaving: bool,
        goes_on: Option<&Place>,
    ) {
        let (ok, missed) = parts.split_last().expect("a join's frame has an ok");
        let at = place(ok);
        if let (Some(readable), false) = (goes_on, leaving) {
            for part in missed {
                match part["type"].as_str() {
                    // Only that what the client has named makes no sense.
                    Some("gap") if self.has_all_before(listener, &place(part)) => {}
                    Some("gap") => self.gap(listener, part, readable),
                    _ => self.message(listener, part),
                }
            }
            assert_eq!(at.0, self.place.0, "a member knows the room's history");
            listener.follows(&self.place, at.1 + 1);
            self.place = at;
            return;
        }
        if leaving {
            // Nor has it heard who came and went meanwhile.
            self.users = None;
        } else {
            assert!(parts.iter().all(|part| part["type"] != "message"), "a member missed nothing");
            assert_eq!(at.0, self.place.0, "a member knows the room's history");
            listener.follows(&self.place, at.1 + 1);
        }
        assert!(at.0 != self.place.0 || at.1 >= self.place.1, "a room doesn't go back");
        self.place = at;
    }

    /// A message came live. Gives what it says.
    pub(super) fn message(&mut self, listener: Listener<'_>, message: &Value) {
        let next = listener.reads(message);
        assert_eq!(next.0, self.place.0, "another history comes after a gap");
        assert!(next.1 > self.place.1, "{next:?} is repeated after {:?}", self.place);
        listener.follows(&self.place, next.1);
        let spared = listener.truth.is_spared(listener.topic, &next.0, next.1, listener.session);
        assert!(!spared, "{message} was not to be echoed");
        self.place = next;
    }

    /// What was missed behind a broken link can't be had.
    pub(super) fn gap(&mut self, listener: Listener<'_>, gap: &Value, readable: &Place) {
        let at = place(gap);
        listener.needs_gap(&self.place, &at, readable);
        self.place = at;
    }

    /// `forgotten` if its owner may not know any more that it came.
    /// Whether nothing up to a place is left for it to hear.
    fn has_all_before(&self, listener: Listener<'_>, at: &Place) -> bool {
        let Listener { truth, topic, session } = listener;
        let spared = |offset| truth.is_spared(topic, &at.0, offset, session);
        at.0 == self.place.0 && at.1 >= self.place.1 && (self.place.1 + 1..=at.1).all(spared)
    }

    pub(super) fn ephemeral(&mut self, payload: &str, forgotten: bool) {
        let once = self.ephemeral.insert(payload.to_owned());
        assert!(once || forgotten, "{payload} comes once");
    }

    /// A user is said to have come or gone.
    pub(super) fn announced(&mut self, user: &str, came: bool) {
        let Some(users) = &mut self.users else { return };
        let changed = if came { users.insert(user.to_owned()) } else { users.remove(user) };
        assert!(changed, "{user} came ({came}) twice; there are {users:?}");
    }

    /// What `presence` says, asked right after the join.
    pub(super) fn presence(&mut self, users: &BTreeMap<String, u64>) {
        self.users = Some(users.keys().cloned().collect());
    }
}

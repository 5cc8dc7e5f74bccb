//! One connection as its client knows it: what it has asked, what it hears, what it was told.

use std::collections::BTreeMap;
use std::time::Duration;

use serde_json::Value;

use super::hearing::{Hearing, Place};
use super::outages::Outages;

/// A request that waits for its answer.
#[derive(Debug)]
pub(super) struct Asked {
    pub(super) at: Duration,
    pub(super) sequence: u64,
    pub(super) what: What,
}

/// What was asked.
#[derive(Clone, Debug)]
pub(super) enum What {
    Join { room: String, after: Option<Place> },
    Leave { room: String },
    Publish { room: String, payload: String, ephemeral: bool },
    Send { payload: String, user: Option<String>, ephemeral: bool },
    History { room: String, after: Option<u64>, before: Option<u64>, limit: usize },
    Presence { room: String, first: bool },
    Ping,
}

/// One connection.
#[derive(Debug)]
pub(super) struct Client {
    pub(super) session: String,
    pub(super) user: String,
    /// The shard that carries it.
    pub(super) home: usize,
    /// Which of the script's people it is.
    pub(super) person: usize,
    pub(super) welcomed: bool,
    pub(super) asked: BTreeMap<u64, Asked>,
    ids: u64,
    /// Messages that it has sent, and those of them that are settled.
    pub(super) sent: u64,
    pub(super) settled: u64,
    pub(super) rooms: BTreeMap<String, Hearing>,
    /// The newest place it has heard of each room, also after it left.
    pub(super) places: BTreeMap<String, Place>,
    /// The newest private message that it has had.
    pub(super) inbox: Option<Place>,
    /// The private messages that it has had, and whether they were kept.
    private: BTreeMap<String, bool>,
    /// Messages up to this one may have been sent again by its router.
    pub(super) again: u64,
    /// They came to its shard together with the word that it is attached.
    pub(super) at_once: bool,
    /// Since when its router keeps it without a trunk.
    held_since: Option<Duration>,
    /// When it was kept like this last.
    away: Option<(Duration, Duration)>,
    /// It was away for so long that its home may have let go of it.
    pub(super) began_anew: bool,
}

impl Client {
    pub(super) fn new(session: String, user: String, home: usize, person: usize) -> Self {
        Self {
            session,
            user,
            home,
            person,
            welcomed: false,
            asked: BTreeMap::new(),
            ids: 0,
            sent: 0,
            settled: 0,
            rooms: BTreeMap::new(),
            places: BTreeMap::new(),
            inbox: None,
            private: BTreeMap::new(),
            again: 0,
            at_once: false,
            held_since: None,
            away: None,
            began_anew: false,
        }
    }

    /// A number for the next request.
    pub(super) fn next_id(&mut self) -> u64 {
        self.ids += 1;
        self.ids
    }

    /// Takes out the request that is answered. Each is answered once.
    pub(super) fn answered(&mut self, answer: &Value) -> What {
        let id = answer["id"].as_u64().unwrap_or_else(|| panic!("{answer} answers nothing"));
        let asked = self.asked.remove(&id);
        asked.unwrap_or_else(|| panic!("{answer} answers nothing that waits")).what
    }

    /// Everything up to a message is settled: no request before it waits.
    pub(super) fn acknowledged(&mut self, sequence: u64) {
        assert!(self.settled < sequence && sequence <= self.sent, "{sequence} is settled");
        self.settled = sequence;
        for (id, asked) in &self.asked {
            assert!(asked.sequence > sequence, "{sequence} is settled and {id} waits: {asked:?}");
        }
    }

    /// Its trunk is broken. What is announced meanwhile doesn't reach it.
    pub(super) fn held(&mut self, now: Duration, outages: &Outages) {
        // Who was attached for too short a time for everybody to know was not.
        let before = self.away.filter(|(_, until)| outages.is_recent(*until, now));
        self.held_since = Some(before.map_or(now, |(since, _)| since));
        for hearing in self.rooms.values_mut() {
            hearing.users = None;
        }
        for asked in self.asked.values_mut() {
            if let What::Presence { first, .. } = &mut asked.what {
                *first = false;
            }
        }
    }

    /// It is attached again, and what it waits for is asked anew. Whether it was away for as long
    /// as the grace.
    pub(super) fn attached(&mut self, now: Duration, grace: Duration, at_once: bool) -> bool {
        self.again = self.sent;
        self.at_once = at_once;
        for asked in self.asked.values_mut() {
            asked.at = now;
        }
        let Some(since) = self.held_since.take() else { return false };
        self.away = Some((since, now));
        self.began_anew |= now - since > grace * 3 / 4;
        now - since > grace
    }

    pub(super) fn is_held(&self) -> bool {
        self.held_since.is_some()
    }

    /// Whether others may have been told that it has left, for it was away for too long.
    pub(super) fn was_away(&self, now: Duration, outages: &Outages) -> bool {
        let held = self.held_since.is_some_and(|since| outages.is_long(since, now));
        let away = |(since, until): (Duration, Duration)| {
            outages.is_long(since, until) && outages.is_recent(until, now)
        };
        held || self.away.is_some_and(away)
    }

    /// Whether it has asked to leave a room and wasn't answered.
    pub(super) fn is_leaving(&self, room: &str) -> bool {
        let leaves = |asked: &Asked| matches!(&asked.what, What::Leave { room: it } if it == room);
        self.asked.values().any(leaves)
    }

    /// Checks that an error may be the answer.
    pub(super) fn may_fail(&self, what: &What, code: &str) {
        let right = match (code, what) {
            ("unavailable", What::Ping | What::Leave { .. }) => false,
            ("unavailable", _) => true,
            ("bad_request", What::Join { .. }) => true,
            ("not_joined", What::Leave { room } | What::Publish { room, .. })
            | ("not_joined", What::History { room, .. }) => {
                !self.rooms.contains_key(room) || self.is_leaving(room)
            }
            _ => false,
        };
        assert!(right, "{what:?} is answered with {code}");
    }

    /// A private message that is kept: in order, and once on a connection.
    /// `forgotten` if nobody may know any more that it came, unless it is kept in a store that is
    /// `durable`.
    pub(super) fn private(
        &mut self,
        payload: &str,
        at: Option<Place>,
        forgotten: bool,
        (durable, moves): (bool, bool),
    ) {
        let before = self.private.insert(payload.to_owned(), at.is_some());
        // What was not kept is not known where its inbox has gone.
        let once = before.is_none_or(|kept| (forgotten || (moves && !kept)) && !(kept && durable));
        assert!(once, "{payload} comes once");
        if let Some(at) = at {
            if let Some(before) = &self.inbox
                && before.0 == at.0
                && (durable || !forgotten)
            {
                assert!(before.1 < at.1, "{at:?} of the inbox comes after {before:?}");
            }
            self.inbox = Some(at);
        }
    }

    /// Whether it has had a private message on this connection.
    pub(super) fn had(&self, payload: &str) -> bool {
        self.private.contains_key(payload)
    }

    /// Whether it has had any.
    pub(super) fn had_any(&self) -> bool {
        !self.private.is_empty()
    }
}

//! One of the people: what they want, have asked and have heard.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::time::Duration;

use rand::rngs::StdRng;

use crate::hearing::{Hearing, Standing};
use crate::plan::person_name;
use crate::truth::Place;

/// Something that is said to a room or a user.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Message {
    pub(crate) payload: String,
    pub(crate) to: Destination,
    pub(crate) keyed: bool,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Destination {
    Room(String),
    User(String),
}

/// What was asked.
#[derive(Clone, Debug)]
pub(crate) enum What {
    Join(String),
    Leave(String),
    Say(Message),
    /// Ephemeral: nobody minds what becomes of it.
    Whisper,
    Presence(String),
    Ping,
}

#[derive(Clone, Debug)]
pub(crate) struct Asked {
    pub(crate) at: Duration,
    pub(crate) what: What,
}

/// How somebody is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Mode {
    Well,
    /// Reads nothing.
    Deaf,
    /// Has no network.
    Away,
}

/// What may end a connection that nobody has closed. There is no other reason.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Excuses {
    /// Its router has ended since it was made: sockets are all that a router owns.
    pub(crate) router_ended: bool,
    /// The person has read nothing for a while, and what waits for them is bounded.
    pub(crate) was_deaf: bool,
    /// The person's own network was gone.
    pub(crate) was_away: bool,
}

impl Excuses {
    pub(crate) fn are_any(self) -> bool {
        let Self { router_ended, was_deaf, was_away } = self;
        router_ended || was_deaf || was_away
    }
}

#[derive(Debug)]
pub(crate) struct Individual {
    pub(crate) number: usize,
    pub(crate) user: String,
    pub(crate) placed_by: Option<String>,
    pub(crate) dice: StdRng,
    pub(crate) mode: Mode,
    /// Where they connect next, or are.
    pub(crate) router: usize,
    pub(crate) connected: bool,
    pub(crate) excuses: Excuses,
    ids: u64,
    said: u64,
    pub(crate) asked: BTreeMap<u64, Asked>,
    pub(crate) rooms: BTreeMap<String, Hearing>,
    /// Rooms that they want to be in, and how far they had heard those that they were in.
    pub(crate) wants: BTreeSet<String>,
    pub(crate) places: BTreeMap<String, Place>,
    pub(crate) inbox: Option<Place>,
    /// What they have to say again, as nobody has said that it was taken.
    pub(crate) again: VecDeque<Message>,
    /// A connection has ended before it had any private message: what was on its way to it can't
    /// be asked for again, for there is no place to name.
    pub(crate) may_have_lost: bool,
}

impl Individual {
    pub(crate) fn new(
        number: usize,
        user: String,
        placed_by: Option<String>,
        router: usize,
        dice: StdRng,
    ) -> Self {
        Self {
            number,
            user,
            placed_by,
            dice,
            mode: Mode::Well,
            router,
            connected: false,
            excuses: Excuses::default(),
            ids: 0,
            said: 0,
            asked: BTreeMap::new(),
            rooms: BTreeMap::new(),
            wants: BTreeSet::new(),
            places: BTreeMap::new(),
            inbox: None,
            again: VecDeque::new(),
            may_have_lost: false,
        }
    }

    pub(crate) fn name(&self) -> String {
        person_name(self.number)
    }

    /// A payload that nobody else has.
    pub(crate) fn payload(&mut self) -> String {
        self.said += 1;
        format!("{}.{}", self.number, self.said)
    }

    /// Takes note of a request; gives its number.
    pub(crate) fn ask(&mut self, what: What, at: Duration) -> u64 {
        self.ids += 1;
        self.asked.insert(self.ids, Asked { at, what });
        self.ids
    }

    /// The connection begins.
    pub(crate) fn begins(&mut self) {
        self.connected = true;
        self.excuses = Excuses {
            // It may have been asked to end since it was dialled.
            router_ended: self.excuses.router_ended,
            was_deaf: self.mode == Mode::Deaf,
            was_away: self.mode == Mode::Away,
        };
    }

    /// The connection has ended; what was under way may have been done or not.
    pub(crate) fn ends(&mut self) {
        self.connected = false;
        self.may_have_lost |= self.inbox.is_none();
        for (room, hearing) in std::mem::take(&mut self.rooms) {
            if let Some(place) = hearing.place {
                self.places.insert(room, place);
            }
        }
        for (_, Asked { what, .. }) in std::mem::take(&mut self.asked) {
            if let What::Say(message) = what
                && message.keyed
            {
                self.again.push_back(message);
            }
        }
    }

    pub(crate) fn is_joined(&self, room: &str) -> bool {
        self.rooms.get(room).is_some_and(|it| it.standing == Standing::Joined)
    }

    /// Whether all that they wanted is done.
    pub(crate) fn is_settled(&self) -> bool {
        let joined = self.wants.iter().all(|room| self.is_joined(room));
        // Who is there is asked again and again.
        let asks = |it: &Asked| matches!(it.what, What::Presence(_));
        self.connected && self.asked.values().all(asks) && self.again.is_empty() && joined
    }
}

//! What has really happened: what was said, and what the stores have taken.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;
use std::hash::{DefaultHasher, Hash, Hasher};

use trunkline_core::{Namespace, RoomId, Topic, UserId};

use crate::clock;
use crate::model::{Kept, ModelLog};

/// A place in a topic's history: its epoch and offset.
pub(crate) type Place = (String, u64);

/// Something that a client has said. Its payload names it.
#[derive(Debug)]
pub(crate) struct Said {
    pub(crate) topic: Topic,
    /// Said again until it is answered, with an idempotency key.
    pub(crate) keyed: bool,
    /// Where the stores have it.
    pub(crate) kept: Vec<Place>,
    /// How often it was told to its sender that it was taken.
    pub(crate) acknowledged: u32,
    /// People who have it.
    pub(crate) heard: BTreeSet<usize>,
}

/// All topics, and all that was said.
#[derive(Debug)]
pub(crate) struct Truth {
    durable: bool,
    /// Topics may begin anew, as who had them has forgotten them.
    pub(crate) forgetful: bool,
    histories: BTreeMap<(Topic, String), Vec<String>>,
    newest: BTreeMap<Topic, String>,
    pub(crate) said: BTreeMap<String, Said>,
    wrong: Option<String>,
    digest: DefaultHasher,
    /// What has happened, if it is wanted as text.
    lines: Option<Vec<String>>,
}

pub(crate) fn room_topic(room: &str) -> Topic {
    let namespace = Namespace::parse("/").expect("a namespace");
    Topic::Room(namespace, RoomId::parse(room).expect("a room"))
}

pub(crate) fn inbox_topic(user: &str) -> Topic {
    Topic::Inbox(UserId::parse(user).expect("a user"))
}

impl Truth {
    pub(crate) fn new(durable: bool, as_text: bool) -> Self {
        Self {
            durable,
            forgetful: false,
            histories: BTreeMap::new(),
            newest: BTreeMap::new(),
            said: BTreeMap::new(),
            wrong: None,
            digest: DefaultHasher::new(),
            lines: as_text.then(Vec::new),
        }
    }

    /// Something has happened.
    pub(crate) fn note(&mut self, who: &str, what: &str) {
        let mut line = String::new();
        let _ = write!(line, "{:>6} {who} {what}", clock::now_ms() - clock::BEGINNING_MS);
        line.hash(&mut self.digest);
        if let Some(lines) = &mut self.lines {
            lines.push(line);
        }
    }

    /// Something is as it may not be. The first such thing is what counts.
    pub(crate) fn wrong(&mut self, what: String) {
        self.note("WRONG", &what);
        self.wrong.get_or_insert(what);
    }

    pub(crate) fn verdict(&self) -> Option<&str> {
        self.wrong.as_deref()
    }

    pub(crate) fn digest(&self) -> u64 {
        self.digest.finish()
    }

    pub(crate) fn lines(&mut self) -> Vec<String> {
        self.lines.take().unwrap_or_default()
    }

    /// A client says something for the first time.
    pub(crate) fn say(&mut self, payload: &str, topic: Topic, keyed: bool) {
        let said = Said { topic, keyed, kept: Vec::new(), acknowledged: 0, heard: BTreeSet::new() };
        self.said.insert(payload.to_owned(), said);
    }

    /// A store has taken a record.
    pub(crate) fn keep(&mut self, shard: usize, kept: &Kept) {
        let Kept { topic, epoch, record } = kept;
        let payload = record.body.arguments.json().trim_matches('"').to_owned();
        let place = (epoch.to_string(), record.offset);
        self.note("store", &format!("{shard} keeps {payload} at {place:?} of {topic}"));
        // Whichever shard has it, a topic has one history as long as nobody forgets.
        let known = self.newest.get(topic).filter(|known| **known != place.0);
        if let (Some(known), false) = (known, self.forgetful) {
            let problem = format!("{payload} is kept at {place:?} of {topic}, which is {known}");
            self.wrong(problem);
        }
        let history = self.histories.entry((topic.clone(), place.0.clone())).or_default();
        if history.len() as u64 + 1 != record.offset {
            let length = history.len();
            return self
                .wrong(format!("{payload} is kept at {place:?} of {topic}, after {length}"));
        }
        history.push(payload.clone());
        self.newest.insert(topic.clone(), place.0.clone());
        let durable = self.durable;
        let problem = match self.said.get_mut(&payload) {
            None => Some(format!("nobody said {payload}, and it is kept at {place:?}")),
            Some(said) => {
                let twice = said.kept.iter().any(|(epoch, _)| durable || *epoch == place.0);
                let astray = said.topic != *topic;
                said.kept.push(place);
                (twice || astray).then(|| format!("{payload} is kept: {said:?}, in {topic}"))
            }
        };
        if let Some(problem) = problem {
            self.wrong(problem);
        }
    }

    /// What was kept there is gone: how far anybody has heard it says nothing any more.
    pub(crate) fn forget(&mut self, gone: &ModelLog) {
        for (topic, epoch, _) in gone.standings() {
            if self.newest.get(topic).is_some_and(|newest| *newest == epoch.to_string()) {
                self.newest.remove(topic);
            }
        }
    }

    /// Checks that a message says what stands at its place.
    pub(crate) fn reads(&self, topic: &Topic, place: &Place, payload: &str) -> Result<(), String> {
        let (epoch, offset) = place;
        let history = self.histories.get(&(topic.clone(), epoch.clone()));
        let index = usize::try_from(*offset).unwrap_or(0).wrapping_sub(1);
        match history.and_then(|history| history.get(index)) {
            Some(written) if written == payload => Ok(()),
            other => Err(format!("{payload} at {place:?} of {topic}, where {other:?} stands")),
        }
    }

    /// The newest place of a topic; none if nothing was ever kept.
    pub(crate) fn last(&self, topic: &Topic) -> Option<Place> {
        let epoch = self.newest.get(topic)?;
        let history = self.histories.get(&(topic.clone(), epoch.clone()))?;
        Some((epoch.clone(), history.len() as u64))
    }

    /// The payloads of a topic's newest history, in order.
    pub(crate) fn history(&self, topic: &Topic) -> &[String] {
        let epoch = self.newest.get(topic);
        let history = epoch.and_then(|it| self.histories.get(&(topic.clone(), it.clone())));
        history.map_or(&[], Vec::as_slice)
    }
}

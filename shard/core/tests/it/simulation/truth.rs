//! What has really happened: what the stores have taken, and what clients have said.

use std::collections::BTreeMap;
use std::time::Duration;

use trunkline_core::Topic;

use crate::harness::Kept;

/// A message that has its place.
#[derive(Clone, Debug)]
pub(super) struct Written {
    pub(super) payload: String,
    pub(super) from: String,
    /// The sending session, as text.
    pub(super) session: String,
    pub(super) echo: bool,
    pub(super) time_ms: u64,
}

/// What a client has said: a publish, or a private message. Its payload names it.
#[derive(Clone, Debug)]
pub(super) struct Said {
    /// The wall clock when it was said.
    pub(super) wall_ms: u64,
    pub(super) user: String,
    pub(super) session: String,
    /// A room or an inbox; `None` if it was for one session.
    pub(super) topic: Option<Topic>,
    pub(super) key: Option<String>,
    pub(super) ephemeral: bool,
    pub(super) echo: bool,
    /// How many connections' out-queues it has entered.
    pub(super) passed: u32,
}

/// A key within its scope: topic, epoch, user, key.
type Keyed = (Topic, String, String, String);

/// The histories of all topics, and all that was said.
#[derive(Debug)]
pub(super) struct Truth {
    histories: BTreeMap<(Topic, String), BTreeMap<u64, Written>>,
    said: BTreeMap<String, Said>,
    places: BTreeMap<String, (Topic, String, u64)>,
    keyed: BTreeMap<Keyed, Vec<String>>,
    key_window: Duration,
    names: u64,
}

impl Truth {
    pub(super) fn new(key_window: Duration) -> Self {
        Self {
            histories: BTreeMap::new(),
            said: BTreeMap::new(),
            places: BTreeMap::new(),
            keyed: BTreeMap::new(),
            key_window,
            names: 0,
        }
    }

    /// Takes note of what a client says; gives the payload to say it with.
    pub(super) fn say(&mut self, said: Said) -> String {
        self.names += 1;
        let payload = format!("p{}", self.names);
        self.said.insert(payload.clone(), said);
        payload
    }

    pub(super) fn said(&mut self, payload: &str) -> &mut Said {
        self.said.get_mut(payload).unwrap_or_else(|| panic!("nobody said {payload}"))
    }

    /// A store has taken a record; perhaps one that began anew and doesn't know that it had it.
    pub(super) fn keep(&mut self, kept: &Kept, forgetful: bool) {
        let Kept { topic, epoch, record } = kept;
        let payload = record.body.arguments.json().trim_matches('"').to_owned();
        let said = self.said(&payload).clone();
        assert_eq!(said.topic.as_ref(), Some(topic), "{payload} is kept where it was said");
        let epoch = epoch.to_string();
        let place = (topic.clone(), epoch.clone(), record.offset);
        let before = self.places.insert(payload.clone(), place);
        let another = before.as_ref().is_none_or(|(_, before, _)| forgetful && *before != epoch);
        assert!(another, "{payload} is kept twice: {before:?}");
        if let Some(key) = said.key {
            let keyed = (topic.clone(), epoch.clone(), said.user, key);
            let before = self.keyed.entry(keyed.clone()).or_default();
            for earlier in before.iter() {
                let span = record.time_ms.saturating_sub(self.said[earlier].wall_ms);
                assert!(
                    u128::from(span) >= self.key_window.as_millis(),
                    "{payload} repeats {earlier} by {keyed:?} after {span} ms"
                );
            }
            before.push(payload.clone());
        }
        let written = Written {
            payload,
            from: record.from.to_string(),
            session: record.session.to_string(),
            echo: record.echo,
            time_ms: record.time_ms,
        };
        self.histories.entry((topic.clone(), epoch)).or_default().insert(record.offset, written);
    }

    /// What stands at a place; it is a mistake to ask for a place where nothing stands.
    pub(super) fn at(&self, topic: &Topic, epoch: &str, offset: u64) -> &Written {
        self.history(topic, epoch)
            .and_then(|history| history.get(&offset))
            .unwrap_or_else(|| panic!("nothing is kept at {epoch}:{offset} of {topic}"))
    }

    /// The newest offset of a history, 0 if it has none.
    pub(super) fn last(&self, topic: &Topic, epoch: &str) -> u64 {
        let last = self.history(topic, epoch).and_then(|history| history.last_key_value());
        last.map_or(0, |(offset, _)| *offset)
    }

    pub(super) fn history(&self, topic: &Topic, epoch: &str) -> Option<&BTreeMap<u64, Written>> {
        self.histories.get(&(topic.clone(), epoch.to_owned()))
    }

    /// Checks that a publish was acknowledged with its own place, or that of the same key.
    pub(super) fn acknowledged(&self, payload: &str, topic: &Topic, epoch: &str, offset: u64) {
        let written = self.at(topic, epoch, offset);
        if written.payload == payload {
            return;
        }
        let (mine, first) = (&self.said[payload], &self.said[&written.payload]);
        assert!(
            mine.key.is_some() && mine.key == first.key && mine.user == first.user,
            "{payload} is acknowledged at {epoch}:{offset} of {topic}, where {} stands",
            written.payload
        );
    }

    /// Whether a history has a message at an offset that its sender's own connection is spared.
    pub(super) fn is_spared(&self, topic: &Topic, epoch: &str, offset: u64, session: &str) -> bool {
        let written = self.at(topic, epoch, offset);
        !written.echo && written.session == session
    }

    /// Where a private message or publish stands, if it was kept.
    pub(super) fn place(&self, payload: &str) -> Option<&(Topic, String, u64)> {
        self.places.get(payload)
    }
}

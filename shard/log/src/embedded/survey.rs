//! Looks at everything in the file: every checksum, and whether offsets follow each other.

use std::ops::RangeInclusive;

use redb::{ReadableDatabase, ReadableTable, ReadableTableMetadata};

use super::damage::TopicDamage;
use super::fault::{Fault, contained};
use super::frame::Frames;
use super::scan::Segments;
use super::state::{State, decode_publication};
use super::tables::{KEYS, Place, SEGMENTS, TOPICS, topic_of};

/// What is in a file, and what is wrong with it.
#[derive(Debug, Default)]
pub(super) struct Survey {
    pub(super) topics: u64,
    pub(super) records: u64,
    /// What stops the shard.
    pub(super) damages: Vec<TopicDamage>,
    /// Topics whose newest records are damaged, and nothing else: by name.
    pub(super) tails: Vec<(Vec<u8>, State, TopicDamage)>,
    /// Keys that can't be read.
    pub(super) keys: Vec<Place>,
}

/// What of a topic is as it was written.
pub(super) struct Examined {
    /// Offsets with no gap, oldest first.
    pub(super) runs: Vec<RangeInclusive<u64>>,
    bytes: u64,
    segments: u64,
}

/// Looks at everything.
pub(super) fn survey(database: &redb::Database) -> Result<Survey, Fault> {
    let transaction = database.begin_read()?;
    let (topics, segments) = (transaction.open_table(TOPICS)?, transaction.open_table(SEGMENTS)?);
    let keys = transaction.open_table(KEYS)?;
    let mut survey = Survey::default();
    let (mut seen_segments, mut seen_keys) = (0, 0);
    for entry in topics.iter()? {
        let (name, sealed) = entry?;
        let name = name.value();
        survey.topics += 1;
        let Some(state) = State::decode(name, sealed.value()) else {
            survey.damages.push(unknown(&display(name), "where it stands can't be read"));
            continue;
        };
        survey.records += state.count();
        match contained(|| examine(&segments, &state)) {
            Ok(examined) => {
                seen_segments += examined.segments;
                survey.judge(name, state.clone(), &examined);
            }
            Err(fault) if !fault.calls_for_verification() => return Err(fault),
            Err(fault) => {
                let damage = TopicDamage {
                    should_be: state.first..=state.last,
                    ..unknown(&display(name), &fault.to_string())
                };
                survey.damages.push(damage);
            }
        }
        if state.keys > 0 {
            for entry in keys.range((state.id, 0)..=(state.id, u64::MAX))? {
                let (place, sealed) = entry?;
                seen_keys += 1;
                if decode_publication(place.value(), sealed.value()).is_none() {
                    survey.keys.push(place.value());
                }
            }
        }
    }
    let strays = segments.len()?.abs_diff(seen_segments);
    if strays > 0 && survey.damages.is_empty() {
        let what = format!("{strays} segments of records belong to no topic");
        survey.damages.push(unknown("no topic", &what));
    }
    if keys.len()? != seen_keys && survey.damages.is_empty() {
        survey.damages.push(unknown("no topic", "keys belong to no topic"));
    }
    Ok(survey)
}

/// Looks at the records of a topic.
pub(super) fn examine(segments: &impl Segments, state: &State) -> Result<Examined, Fault> {
    let mut examined = Examined { runs: Vec::new(), bytes: 0, segments: 0 };
    let mut end = End { last: 0, unbroken: false };
    for entry in segments.range((state.id, 0)..=(state.id, u64::MAX))? {
        let (place, segment) = entry?;
        examined.segments += 1;
        examined.see(state, &mut end, place.value().1, segment.value());
    }
    examined.see(state, &mut end, state.segment, &state.tail);
    Ok(examined)
}

/// Where a topic's intact records end, as far as it was looked at.
struct End {
    last: u64,
    /// Whether the next one may go on there.
    unbroken: bool,
}

impl Examined {
    fn see(&mut self, state: &State, end: &mut End, start: u64, segment: &[u8]) {
        for (nth, frame) in Frames::of(state.id, segment).enumerate() {
            let fits = |offset: u64| {
                offset > end.last && (nth > 0 || offset == start) && offset <= state.last
            };
            let Some(frame) = frame.ok().filter(|frame| fits(frame.offset)) else {
                end.unbroken = false;
                continue;
            };
            end.last = frame.offset;
            if frame.offset < state.first {
                continue;
            }
            self.bytes += frame.size;
            match self.runs.last_mut() {
                Some(run) if end.unbroken && run.end() + 1 == frame.offset => {
                    *run = *run.start()..=frame.offset;
                }
                _ => self.runs.push(frame.offset..=frame.offset),
            }
            end.unbroken = true;
        }
    }
}

impl Survey {
    fn judge(&mut self, name: &[u8], state: State, examined: &Examined) {
        let should_be = state.first..=state.last;
        let whole = match &examined.runs[..] {
            [] => state.count() == 0,
            [run] => *run == should_be,
            _ => false,
        };
        if whole && examined.bytes == state.bytes {
            return;
        }
        let kept = examined.runs.last().cloned();
        let new_epoch = kept.as_ref().is_none_or(|kept| *kept.end() != state.last);
        let lost = TopicDamage {
            topic: display(name),
            what: String::new(),
            should_be: should_be.clone(),
            kept: kept.clone(),
            new_epoch: new_epoch && state.count() > 0,
        };
        let end = kept.as_ref().map_or(state.first, |kept| kept.end() + 1);
        let from_first = kept.is_none_or(|kept| *kept.start() == state.first);
        let tail = examined.runs.len() <= 1 && from_first && new_epoch && end >= state.segment;
        if tail && state.count() > 0 && state.segment > 0 {
            let what = format!("the last {} records are damaged", state.last + 1 - end);
            self.tails.push((name.to_vec(), state, TopicDamage { what, ..lost }));
        } else {
            let what = if whole {
                "what it takes isn't what is written of it".to_owned()
            } else {
                format!("damaged between {} and {}", should_be.start(), should_be.end())
            };
            self.damages.push(TopicDamage { what, ..lost });
        }
    }

    /// Whether there is nothing to be done.
    pub(super) fn is_clean(&self) -> bool {
        self.damages.is_empty() && self.tails.is_empty() && self.keys.is_empty()
    }
}

fn unknown(topic: &str, what: &str) -> TopicDamage {
    #[expect(clippy::reversed_empty_ranges, reason = "it isn't known which")]
    let should_be = 1..=0;
    let (topic, what) = (topic.to_owned(), what.to_owned());
    TopicDamage { topic, what, should_be, kept: None, new_epoch: true }
}

/// A topic's name for people.
pub(super) fn display(name: &[u8]) -> String {
    match topic_of(name) {
        Some(trunkline_core::Topic::Room(namespace, room)) => {
            format!("room {room} of namespace {namespace}")
        }
        Some(topic) => topic.to_string(),
        None => format!("a topic called {:?}", String::from_utf8_lossy(name)),
    }
}

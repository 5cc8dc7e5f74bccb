//! What a topic may look like, by what was submitted and what was answered.

use std::collections::BTreeMap;

use trunkline_core::{Epoch, Held, Opened, Publication, Record};

/// How many records of a topic are kept.
pub(crate) const KEPT: u64 = 30;
/// For how long.
pub(crate) const AGE_MS: u64 = 60_000;
/// For how long keys are remembered.
pub(crate) const WINDOW_MS: u64 = 20_000;

/// One topic.
#[derive(Default)]
pub(crate) struct Model {
    /// The history, as soon as it is known.
    epoch: Option<Epoch>,
    /// Up to here everything was acknowledged.
    acknowledged: u64,
    /// The end of an append of which nothing is known.
    unknown: Option<u64>,
    /// All that was ever submitted, by epoch and offset: an append that came to nothing may have
    /// given its offsets to another.
    submitted: BTreeMap<(Epoch, u64), Vec<Record>>,
    handed: u64,
    marked: u64,
    /// When the last append was made that is known to be kept, and the last of all. That it was
    /// opened since may be lost in a crash.
    used_ms: u64,
    submitted_ms: u64,
    /// Where the history begins that was imported.
    floor: u64,
    /// A history of which it isn't known whether it has taken the topic's place.
    imported: Option<Imported>,
    /// The topic was given away, by this process of the store.
    removed: Option<u64>,
}

/// What another store held.
struct Imported {
    epoch: Epoch,
    first: u64,
    last: u64,
    handed: u64,
    wall_ms: u64,
}

impl Model {
    /// All of `records` were published, and those from the place of `held` on are still held.
    pub(crate) fn import(&mut self, held: &Held, records: &[Record], wall_ms: u64) {
        let Held { epoch, first, last, handed, .. } = held;
        for record in records {
            let place = (epoch.clone(), record.offset);
            self.submitted.entry(place).or_default().push(record.clone());
        }
        let (epoch, first, last, handed) = (epoch.clone(), *first, *last, *handed);
        self.imported = Some(Imported { epoch, first, last, handed, wall_ms });
    }

    pub(crate) fn acknowledge_import(&mut self) {
        let Some(imported) = self.imported.take() else { return };
        let Imported { epoch, first, last, handed, wall_ms } = imported;
        (self.epoch, self.acknowledged, self.unknown) = (Some(epoch), last, None);
        (self.handed, self.marked, self.floor) = (handed, handed, first);
        (self.used_ms, self.submitted_ms, self.removed) = (wall_ms, wall_ms, None);
    }

    pub(crate) fn remove(&mut self, process: u64) {
        self.removed = Some(process);
    }

    pub(crate) fn submit(&mut self, epoch: &Epoch, records: &[Record], wall_ms: u64) {
        self.submitted_ms = wall_ms;
        self.unknown = records.last().map(|record| record.offset);
        for record in records {
            let place = (epoch.clone(), record.offset);
            self.submitted.entry(place).or_default().push(record.clone());
        }
    }

    pub(crate) fn acknowledge(&mut self, epoch: &Epoch) {
        self.epoch = Some(epoch.clone());
        if let Some(end) = self.unknown.take() {
            (self.acknowledged, self.used_ms) = (end, self.submitted_ms);
        }
    }

    pub(crate) fn mark(&mut self, handed: u64) {
        self.marked = self.marked.max(handed);
    }

    pub(crate) fn acknowledged(&self) -> u64 {
        self.acknowledged
    }

    /// The topic was opened, after whatever has happened, by a process of the store.
    pub(crate) fn opened(&mut self, opened: &Opened, process: u64, wall_ms: u64) {
        if self.imported.as_ref().is_some_and(|imported| imported.epoch == opened.epoch) {
            self.acknowledge_import();
        }
        self.imported = None;
        let removed = self.removed.take();
        // A process that goes on does what it was asked to, if not at once.
        if removed == Some(process) {
            assert_ne!(self.epoch.as_ref(), Some(&opened.epoch), "what was given away is there");
        }
        let may_be_forgotten = removed.is_some() || wall_ms.saturating_sub(self.used_ms) > AGE_MS;
        match &self.epoch {
            Some(epoch) if *epoch == opened.epoch => {}
            Some(epoch) if !may_be_forgotten && self.acknowledged > 0 => {
                panic!("{epoch} has become {}", opened.epoch);
            }
            _ => {
                let begun = self.epoch.replace(opened.epoch.clone()).is_none();
                (self.acknowledged, self.handed, self.floor) = (0, 0, 0);
                if !begun {
                    (self.unknown, self.marked) = (None, 0);
                }
            }
        }
        if self.unknown == Some(opened.last) {
            self.used_ms = self.submitted_ms;
        }
        let may_be = [Some(self.acknowledged), self.unknown.take()];
        assert!(may_be.contains(&Some(opened.last)), "{} is none of {may_be:?}", opened.last);
        self.acknowledged = opened.last;
        // Of a topic that was forgotten, for all it held had gone, and was written to after that,
        // only where it stands is known: what has gone need not be known as handed over.
        let handed = opened.handed.max(opened.first - 1);
        assert!(handed >= self.handed, "{handed} of {} are handed over", self.handed);
        assert!(opened.handed <= self.marked, "{} are more than {}", opened.handed, self.marked);
        self.handed = opened.handed;
        self.publications(&opened.publications, wall_ms);
    }

    /// Everyone who published with a key within the window is remembered.
    fn publications(&self, found: &[Publication], wall_ms: u64) {
        let (Some(epoch), since_ms) = (&self.epoch, wall_ms - WINDOW_MS) else { return };
        assert!(found.is_sorted_by_key(|publication| publication.offset), "{found:?}");
        assert!(found.iter().all(|publication| publication.time_ms >= since_ms), "{found:?}");
        for publication in found {
            let candidates = &self.submitted[&(epoch.clone(), publication.offset)];
            assert!(candidates.iter().any(|it| Publication::of(it) == *publication));
        }
        for offset in 1..=self.acknowledged {
            let Some(candidates) = self.submitted.get(&(epoch.clone(), offset)) else { continue };
            if candidates.iter().all(|it| it.key.is_some() && it.time_ms >= since_ms) {
                assert!(found.iter().any(|it| it.offset == offset), "{offset} is forgotten");
            }
        }
    }

    /// All of the topic's records, after it was opened.
    pub(crate) fn read(&self, opened: &Opened, records: &[Record], wall_ms: u64) {
        self.are_submitted(&opened.epoch, records);
        assert_eq!(records.first().map_or(opened.last + 1, |it| it.offset), opened.first);
        assert_eq!(records.last().map_or(opened.last, |it| it.offset), opened.last);
        let bytes: usize =
            records.iter().filter(|it| it.offset > opened.handed).map(Record::size).sum();
        assert_eq!(bytes, opened.waiting_bytes);
        // What is within the bounds is there.
        let oldest = (self.acknowledged.saturating_sub(KEPT) + 1).max(self.floor);
        for offset in oldest..opened.first {
            let candidates = &self.submitted[&(opened.epoch.clone(), offset)];
            let aged = candidates.iter().any(|it| it.time_ms + AGE_MS < wall_ms);
            assert!(aged, "{offset} is gone before its time");
        }
        assert!(opened.first >= oldest, "{} is beyond the bounds", opened.first);
    }

    /// Records are what was submitted, without a gap: in this history, or in one whose damaged tail
    /// was cut so that another began with what was left.
    pub(crate) fn are_submitted_somewhere(&self, epoch: &Epoch, records: &[Record]) {
        for pair in records.windows(2) {
            assert_eq!(pair[0].offset + 1, pair[1].offset);
        }
        for record in records {
            let here = self.submitted.get(&(epoch.clone(), record.offset));
            let elsewhere = || {
                let mut others = self.submitted.iter().filter(|it| it.0.1 == record.offset);
                others.any(|(_, candidates)| candidates.contains(record))
            };
            assert!(here.map_or_else(elsewhere, |here| here.contains(record)), "{record:?}");
        }
    }

    /// Records are what was submitted, without a gap.
    fn are_submitted(&self, epoch: &Epoch, records: &[Record]) {
        for pair in records.windows(2) {
            assert_eq!(pair[0].offset + 1, pair[1].offset);
        }
        for record in records {
            let candidates = self.submitted.get(&(epoch.clone(), record.offset));
            assert!(candidates.is_some_and(|candidates| candidates.contains(record)), "{record:?}");
        }
    }
}

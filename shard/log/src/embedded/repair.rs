//! Saves what can be read of a damaged file, into a new one.
//!
//! The damaged file is never changed: what is intact is copied, and the two change names at the
//! end. So a repair can be looked at beforehand, broken off, and taken back.

use std::ops::RangeInclusive;
use std::path::{Path, PathBuf};

use bytes::Bytes;
use rand::SeedableRng;
use rand::rngs::StdRng;
use redb::backends::FileBackend;
use redb::{Database, ReadTransaction, ReadableDatabase};

use super::damage::TopicDamage;
use super::database::builder;
use super::error::RepairError;
use super::fault::{Fault, contained};
use super::frame::Frames;
use super::opening::{begin_write, note, sync_folder, value, write_meta};
use super::overlay::Overlay;
use super::state::{State, decode_publication};
use super::survey::{Survey, examine, survey};
use super::tables::{KEYS, META, NAME, NEXT_ID, NOTE, SEGMENTS, TOPICS, seal};
use crate::epoch::new_epoch;

/// How many topics are copied in one transaction.
const TOPICS_AT_ONCE: usize = 1_000;

/// What a repair found, and what it did.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RepairReport {
    /// Whose store it is.
    pub name: String,
    /// How many topics there are.
    pub topics: u64,
    /// How many records there should be.
    pub records: u64,
    /// What is damaged, and what of it can be kept.
    pub damages: Vec<TopicDamage>,
    /// How many idempotency keys are damaged: a repeat of their messages counts as new.
    pub keys: u64,
    /// What the database says of pages that are damaged, though no record in them may be.
    pub pages: Option<String>,
    /// Where the damaged file is now, if it was repaired.
    pub set_aside: Option<PathBuf>,
}

impl RepairReport {
    /// Whether there is nothing to repair.
    #[must_use]
    pub fn is_clean(&self) -> bool {
        self.damages.is_empty() && self.keys == 0 && self.pages.is_none()
    }

    /// How many records are lost.
    #[must_use]
    pub fn lost(&self) -> u64 {
        self.damages.iter().map(TopicDamage::lost).sum()
    }
}

/// Looks at a file that no process uses, and says what is damaged and what would be lost. With
/// `apply`, and if there is damage, what is intact is copied to a new file that takes this one's
/// place, and this one is set aside as `….damaged`.
///
/// Of each topic the newest records that follow each other are kept: a history has no gap. If the
/// newest of all is among them the topic's epoch stays, and clients recover what is there.
///
/// # Errors
/// [`RepairError`]: the file is in use, can't be read at all, or its successor can't be written.
pub fn repair(path: &Path, apply: bool) -> Result<RepairReport, RepairError> {
    let (pages, hopeless) = match look(path, true) {
        Ok(database) => (None, Ok(database)),
        Err(Trouble::Fault(fault)) => (Some(fault.to_string()), look(path, false)),
        Err(trouble) => (None, Err(trouble)),
    };
    let database = hopeless.map_err(|trouble| trouble.explain(path))?;
    let wrong = |fault: Fault| Trouble::Fault(fault).explain(path);
    let surveyed = contained(|| survey(&database)).map_err(wrong)?;
    let name = contained(|| name_of(&database)).map_err(wrong)?;
    let mut report = report(name, &surveyed, pages);
    if apply && !report.is_clean() {
        report.set_aside = Some(replace(path, &database, &report)?);
    }
    let _ = contained(|| {
        drop(database);
        Ok(())
    });
    Ok(report)
}

/// What keeps a file from being looked at.
enum Trouble {
    File(std::io::Error),
    InUse,
    Fault(Fault),
}

impl Trouble {
    fn explain(self, path: &Path) -> RepairError {
        let path = path.to_owned();
        match self {
            Trouble::File(source) => RepairError::File { path, source },
            Trouble::InUse => RepairError::InUse { path },
            Trouble::Fault(fault) => RepairError::Hopeless { path, reason: fault.to_string() },
        }
    }
}

/// Opens a file in such a way that it isn't changed.
fn look(path: &Path, check: bool) -> Result<Database, Trouble> {
    let file = std::fs::OpenOptions::new().read(true).write(true).open(path);
    let file = file.map_err(Trouble::File)?;
    let backend = contained(|| Ok(FileBackend::new(file)?)).map_err(Trouble::sorted)?;
    let overlay = Overlay::new(backend).map_err(Trouble::File)?;
    contained(|| Ok(builder(check).create_with_backend(overlay)?)).map_err(Trouble::sorted)
}

impl Trouble {
    fn sorted(fault: Fault) -> Self {
        match &fault {
            Fault::Database(error) if matches!(**error, redb::Error::DatabaseAlreadyOpen) => {
                Trouble::InUse
            }
            _ => Trouble::Fault(fault),
        }
    }
}

fn name_of(database: &Database) -> Result<String, Fault> {
    let meta = database.begin_read()?.open_table(META)?;
    Ok(String::from_utf8_lossy(&value(&meta, NAME)?).into_owned())
}

fn report(name: String, surveyed: &Survey, pages: Option<String>) -> RepairReport {
    let tails = surveyed.tails.iter().map(|(_, _, damage)| damage);
    RepairReport {
        name,
        topics: surveyed.topics,
        records: surveyed.records,
        damages: tails.chain(&surveyed.damages).cloned().collect(),
        keys: surveyed.keys.len() as u64,
        pages,
        set_aside: None,
    }
}

/// Copies what is intact, and puts the copy in the file's place. Gives where the file is then.
fn replace(
    path: &Path,
    database: &Database,
    report: &RepairReport,
) -> Result<PathBuf, RepairError> {
    let (copy, aside) = (beside(path, "repaired"), beside(path, "damaged"));
    let written = contained(|| {
        let _ = std::fs::remove_file(&copy);
        let new = builder(false).create(&copy)?;
        copy_intact(database, &new, &report.name)?;
        Ok(())
    });
    let failed = |reason| RepairError::Write { path: copy.clone(), reason };
    written.map_err(|fault| failed(fault.to_string()))?;
    let renamed = same_rights(path, &copy)
        .and_then(|()| std::fs::rename(path, &aside))
        .and_then(|()| std::fs::rename(&copy, path))
        .and_then(|()| sync_folder(path));
    renamed.map_err(|source| failed(source.to_string()))?;
    Ok(aside)
}

fn same_rights(path: &Path, copy: &Path) -> std::io::Result<()> {
    std::fs::set_permissions(copy, std::fs::metadata(path)?.permissions())
}

/// A name that nothing has yet, unless it is that of a copy.
fn beside(path: &Path, what: &str) -> PathBuf {
    let named = |suffix: &str| {
        let mut name = path.as_os_str().to_owned();
        name.push(suffix);
        PathBuf::from(name)
    };
    let first = named(&format!(".{what}"));
    let later = (2..).map(|number| named(&format!(".{what}-{number}")));
    std::iter::once(first).chain(later).find(|path| !path.exists()).unwrap_or_default()
}

fn copy_intact(old: &Database, new: &Database, name: &str) -> Result<(), Fault> {
    // Offsets that come again must not be taken for those that are lost.
    let mut entropy = StdRng::from_os_rng();
    let epoch = new_epoch(&mut entropy);
    let transaction = old.begin_read()?;
    let topics = transaction.open_table(TOPICS)?;
    // An empty one says that there was one.
    let noted = contained(|| note(&transaction.open_table(META)?)).unwrap_or(Some(Bytes::new()));
    let mut after: Vec<u8> = Vec::new();
    let mut next_id = 1;
    loop {
        let writing = begin_write(new)?;
        let mut copied = 0;
        {
            let mut written = writing.open_table(TOPICS)?;
            writing.open_table(SEGMENTS)?;
            writing.open_table(KEYS)?;
            let above = (std::ops::Bound::Excluded(&after[..]), std::ops::Bound::Unbounded);
            let mut last = None;
            for entry in topics.range::<&[u8]>(above)?.take(TOPICS_AT_ONCE) {
                let (name, sealed) = entry?;
                copied += 1;
                last = Some(name.value().to_vec());
                let Some(state) = State::decode(name.value(), sealed.value()) else { continue };
                next_id = next_id.max(state.id + 1);
                let copied = contained(|| copy_topic(&transaction, &writing, &state, &mut entropy));
                if let Ok(state) = copied {
                    let sealed = state.encode(name.value());
                    written.insert(name.value(), sealed.as_slice())?;
                }
            }
            after = last.unwrap_or_default();
            let mut meta = writing.open_table(META)?;
            // In which epochs topics begin that have gone isn't copied: all begin in another.
            write_meta(&mut meta, name, epoch.as_str())?;
            let sealed = seal(NEXT_ID.as_bytes(), &next_id.to_le_bytes());
            meta.insert(NEXT_ID, sealed.as_slice())?;
            if let Some(noted) = &noted {
                meta.insert(NOTE, seal(NOTE.as_bytes(), noted).as_slice())?;
            }
        }
        writing.commit()?;
        if copied < TOPICS_AT_ONCE {
            return Ok(());
        }
    }
}

/// Copies the newest records of a topic that follow each other. Gives where it stands then.
fn copy_topic(
    old: &ReadTransaction,
    new: &redb::WriteTransaction,
    state: &State,
    entropy: &mut StdRng,
) -> Result<State, Fault> {
    let segments = old.open_table(SEGMENTS)?;
    let examined = examine(&segments, state)?;
    let mut copy = kept(state, examined.runs.last(), entropy);
    let mut written = new.open_table(SEGMENTS)?;
    if copy.count() > 0 {
        copy.first_time_ms = 0;
        for entry in segments.range((state.id, 0)..=(state.id, u64::MAX))? {
            let (_, segment) = entry?;
            if let Some((start, bytes)) = intact(&mut copy, segment.value()) {
                written.insert((copy.id, start), bytes.as_slice())?;
            }
        }
        if let Some((start, bytes)) = intact(&mut copy, &state.tail) {
            (copy.segment, copy.tail) = (start, bytes);
        }
    }
    let mut keys = new.open_table(KEYS)?;
    for entry in old.open_table(KEYS)?.range((state.id, 0)..=(state.id, u64::MAX))? {
        let (place, sealed) = entry?;
        if decode_publication(place.value(), sealed.value()).is_some() {
            keys.insert(place.value(), sealed.value())?;
            copy.keys += 1;
        }
    }
    Ok(copy)
}

/// Where a topic stands of which this is kept, before it is copied.
fn kept(state: &State, run: Option<&RangeInclusive<u64>>, entropy: &mut StdRng) -> State {
    let tail = Vec::new();
    let mut copy = State { bytes: 0, keys: 0, segment: 0, tail, ..state.clone() };
    match run {
        Some(run) => (copy.first, copy.last) = (*run.start(), *run.end()),
        None => copy.first = copy.last + 1,
    }
    if run.is_some_and(|run| *run.end() != state.last) || (run.is_none() && state.count() > 0) {
        copy.epoch = new_epoch(entropy);
        copy.handed = copy.handed.min(copy.last);
    }
    copy
}

/// The records of a segment that are kept, and the offset of the first; they count in `copy`.
fn intact(copy: &mut State, segment: &[u8]) -> Option<(u64, Vec<u8>)> {
    let (mut bytes, mut start) = (Vec::new(), None);
    let mut frames = Frames::of(copy.id, segment);
    loop {
        let before = segment.len() - frames.left();
        let Some(frame) = frames.next() else { break };
        let Some(frame) = frame.ok().filter(|it| (copy.first..=copy.last).contains(&it.offset))
        else {
            continue;
        };
        if copy.bytes == 0 {
            copy.first_time_ms = frame.time_ms;
        }
        copy.bytes += frame.size;
        start = start.or(Some(frame.offset));
        bytes.extend_from_slice(&segment[before..segment.len() - frames.left()]);
    }
    start.map(|start| (start, bytes))
}

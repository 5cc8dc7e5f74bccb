//! Opens the file: makes it if need be, verifies it, cuts damaged tails.

use std::fs::OpenOptions;
use std::io::ErrorKind;
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;

use bytes::Bytes;
use rand::rngs::StdRng;
use redb::backends::FileBackend;
use redb::{ReadableDatabase, ReadableTable, ReadableTableMetadata, WriteTransaction};

use super::database::{Database, builder};
use super::error::OpenError;
use super::fault::{Fault, contained};
use super::frame::Frames;
use super::state::State;
use super::survey::{Survey, survey};
use super::tables::{
    EPOCH, FORMAT, FORMAT_VERSION, GONE, KEYS, META, NAME, NOTE, SEGMENTS, TOPICS, seal, unseal,
};
use crate::epoch::new_epoch;

/// Opens and verifies the store of `name`. If it fails the database is closed.
pub(super) fn open(
    database: &Database,
    path: &Path,
    name: &str,
    entropy: &mut StdRng,
) -> Result<(), OpenError> {
    let result = open_verified(database, path, name, entropy);
    if result.is_err() {
        database.close();
    }
    result
}

/// What the shard had noted when the store was opened.
pub(super) fn noted(database: &Database, path: &Path) -> Result<Option<Bytes>, OpenError> {
    let noted = database.with(|database| note(&database.begin_read()?.open_table(META)?));
    noted.map_err(|fault| explain(path, fault))
}

/// How many topics the store had when it was opened.
pub(super) fn topics(database: &Database, path: &Path) -> Result<u64, OpenError> {
    let topics = database.with(|database| Ok(database.begin_read()?.open_table(TOPICS)?.len()?));
    topics.map_err(|fault| explain(path, fault))
}

fn open_verified(
    database: &Database,
    path: &Path,
    name: &str,
    entropy: &mut StdRng,
) -> Result<(), OpenError> {
    let wrong = |fault| explain(path, fault);
    // redb refuses the whole file for one wrong bit. Then its pages are taken as they are, and
    // every record is looked at.
    let sound = match database.reopen(true) {
        Ok(()) => true,
        Err(fault) if fault.calls_for_verification() => {
            database.reopen(false).map_err(wrong)?;
            false
        }
        Err(fault) => return Err(wrong(fault)),
    };
    database.with(|database| prepare(database, path, name, entropy)).map_err(wrong)??;
    let survey = database.with(survey).map_err(wrong)?;
    if !survey.damages.is_empty() {
        return Err(OpenError::Damaged { path: path.to_owned(), damages: survey.damages });
    }
    let clean = survey.is_clean();
    if !clean {
        database.with(|database| cut(database, &survey, entropy)).map_err(wrong)?;
        report(path, &survey);
    }
    // What was cut has been written anew: if that wasn't all, it isn't known what else is wrong.
    if !sound {
        database.reopen(true).map_err(wrong)?;
    }
    Ok(())
}

/// Makes an empty store. It takes its name when it is there as a whole, since nobody can open half
/// a database.
pub(super) fn make(path: &Path, name: &str, entropy: &mut StdRng) -> Result<(), OpenError> {
    let wrong = |source| OpenError::File { path: path.to_owned(), source };
    let mut half = path.as_os_str().to_owned();
    half.push(".new");
    let mut options = OpenOptions::new();
    options.read(true).write(true).create(true).truncate(true).mode(0o600);
    let file = options.open(&half).map_err(wrong)?;
    let made = contained(|| {
        let database = builder(false).create_with_backend(FileBackend::new(file)?)?;
        prepare(&database, path, name, entropy)
    });
    made.map_err(|fault| explain(path, fault))??;
    std::fs::rename(&half, path).map_err(wrong)?;
    sync_folder(path).map_err(wrong)
}

/// Makes a change of names outlive a crash.
pub(super) fn sync_folder(path: &Path) -> std::io::Result<()> {
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty());
    std::fs::File::open(folder.unwrap_or(Path::new(".")))?.sync_all()
}

fn explain(path: &Path, fault: Fault) -> OpenError {
    let path = path.to_owned();
    match fault {
        Fault::Database(error) => match *error {
            redb::Error::DatabaseAlreadyOpen => OpenError::InUse { path },
            redb::Error::Io(source) if !is_content(&source) => OpenError::File { path, source },
            error => OpenError::Unreadable { path, reason: error.to_string() },
        },
        fault => OpenError::Unreadable { path, reason: fault.to_string() },
    }
}

/// Whether an error is about what is in the file: it is none of ours, or shorter than it was.
fn is_content(error: &std::io::Error) -> bool {
    matches!(error.kind(), ErrorKind::InvalidData | ErrorKind::UnexpectedEof)
}

/// Begins a write transaction of which a crash needs no long repair.
pub(super) fn begin_write(database: &redb::Database) -> Result<WriteTransaction, Fault> {
    let mut transaction = database.begin_write()?;
    transaction.set_quick_repair(true);
    Ok(transaction)
}

/// Makes the tables of a new file, and checks whose an old one is.
fn prepare(
    database: &redb::Database,
    path: &Path,
    name: &str,
    entropy: &mut StdRng,
) -> Result<Result<(), OpenError>, Fault> {
    let transaction = begin_write(database)?;
    {
        let mut meta = transaction.open_table(META)?;
        let fresh = meta.is_empty_table()?;
        if !fresh {
            let path = path.to_owned();
            let format = value(&meta, FORMAT)?;
            let found = format.as_slice().try_into().map_or(0, u32::from_le_bytes);
            if found != FORMAT_VERSION {
                return Ok(Err(OpenError::Format { path, found, known: FORMAT_VERSION }));
            }
            let found = String::from_utf8_lossy(&value(&meta, NAME)?).into_owned();
            if found != name {
                let expected = name.to_owned();
                return Ok(Err(OpenError::Foreign { path, found, expected }));
            }
            value(&meta, EPOCH)?;
            note(&meta)?;
            return Ok(Ok(()));
        }
        write_meta(&mut meta, name, new_epoch(entropy).as_str())?;
        transaction.open_table(TOPICS)?;
        transaction.open_table(SEGMENTS)?;
        transaction.open_table(KEYS)?;
        transaction.open_table(GONE)?;
    }
    transaction.commit()?;
    Ok(Ok(()))
}

/// Writes what a file says of itself.
pub(super) fn write_meta(
    meta: &mut redb::Table<'_, &'static str, &'static [u8]>,
    name: &str,
    epoch: &str,
) -> Result<(), Fault> {
    let format = FORMAT_VERSION.to_le_bytes();
    for (key, value) in [(FORMAT, &format[..]), (NAME, name.as_bytes()), (EPOCH, epoch.as_bytes())]
    {
        meta.insert(key, seal(key.as_bytes(), value).as_slice())?;
    }
    Ok(())
}

/// What a file says of itself under a key.
pub(super) fn value(
    meta: &impl ReadableTable<&'static str, &'static [u8]>,
    key: &str,
) -> Result<Vec<u8>, Fault> {
    let sealed = meta.get(key)?.ok_or_else(|| Fault::meta(key))?;
    unseal(key.as_bytes(), sealed.value()).map(<[u8]>::to_vec).ok_or_else(|| Fault::meta(key))
}

/// What the shard has noted.
pub(super) fn note(
    meta: &impl ReadableTable<&'static str, &'static [u8]>,
) -> Result<Option<Bytes>, Fault> {
    let Some(sealed) = meta.get(NOTE)? else { return Ok(None) };
    let note = unseal(NOTE.as_bytes(), sealed.value()).ok_or_else(|| Fault::meta(NOTE))?;
    Ok(Some(Bytes::copy_from_slice(note)))
}

/// Whether a table has nothing in it.
trait IsEmptyTable {
    fn is_empty_table(&self) -> Result<bool, Fault>;
}

impl<T: ReadableTable<&'static str, &'static [u8]>> IsEmptyTable for T {
    fn is_empty_table(&self) -> Result<bool, Fault> {
        Ok(self.first()?.is_none())
    }
}

/// Cuts the damaged tails, and keys that can't be read.
fn cut(database: &redb::Database, survey: &Survey, entropy: &mut StdRng) -> Result<(), Fault> {
    let transaction = begin_write(database)?;
    {
        let mut topics = transaction.open_table(TOPICS)?;
        let segments = transaction.open_table(SEGMENTS)?;
        let mut keys = transaction.open_table(KEYS)?;
        for (name, state, damage) in &survey.tails {
            let mut state = state.clone();
            let end = damage.kept.as_ref().map_or(state.first - 1, |kept| *kept.end());
            state.tail.truncate(intact(&state, end));
            if state.tail.is_empty() {
                state.segment = 0;
            }
            state.last = end;
            state.handed = state.handed.min(end);
            state.bytes = bytes(&segments, &state)?;
            // Offsets come again with other records: who has seen the lost ones begins anew.
            state.epoch = new_epoch(entropy);
            topics.insert(name.as_slice(), state.encode(name).as_slice())?;
        }
        for place in &survey.keys {
            keys.remove(*place)?;
        }
    }
    transaction.commit()?;
    Ok(())
}

/// How much of a topic's newest records is intact, up to `end`.
fn intact(state: &State, end: u64) -> usize {
    let mut frames = Frames::of(state.id, &state.tail);
    let mut length = 0;
    while let Some(Ok(frame)) = frames.next() {
        if frame.offset > end {
            break;
        }
        length = state.tail.len() - frames.left();
    }
    length
}

fn bytes(segments: &impl super::scan::Segments, state: &State) -> Result<u64, Fault> {
    let mut bytes = 0;
    super::scan::forward(segments, state, state.first, |frame| {
        bytes += frame.size;
        Ok(std::ops::ControlFlow::Continue(()))
    })?;
    Ok(bytes)
}

fn report(path: &Path, survey: &Survey) {
    for (_, _, damage) in &survey.tails {
        tracing::error!(
            path = %path.display(),
            topic = %damage.topic,
            lost = damage.lost(),
            "the newest records of a topic were damaged and are lost; it begins a new epoch"
        );
    }
    if !survey.keys.is_empty() {
        tracing::error!(
            path = %path.display(),
            lost = survey.keys.len(),
            "idempotency keys were damaged and are forgotten: a repeat of their messages counts as new"
        );
    }
}

//! A file that is looked at and never changed: what redb writes as it opens stays in memory.

use std::collections::BTreeMap;
use std::ops::Bound;
use std::sync::{Mutex, MutexGuard, PoisonError};

use redb::backends::FileBackend;
use redb::{BackendError, StorageBackend};

/// What is written is kept in blocks of this many bytes.
const BLOCK: u64 = 4_096;

/// A file beneath what has been written since.
#[derive(Debug)]
pub(super) struct Overlay {
    file: FileBackend,
    written: Mutex<Written>,
}

#[derive(Debug)]
struct Written {
    len: u64,
    /// As far as the file counts: it has been shortened since, or ends here.
    file_len: u64,
    blocks: BTreeMap<u64, Vec<u8>>,
}

impl Overlay {
    pub(super) fn new(file: FileBackend) -> std::io::Result<Self> {
        let len = file.len()?;
        let written = Written { len, file_len: len, blocks: BTreeMap::new() };
        Ok(Self { file, written: Mutex::new(written) })
    }

    fn written(&self) -> MutexGuard<'_, Written> {
        self.written.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// What a block has, if it hasn't been written.
    fn below(&self, written: &Written, number: u64) -> std::io::Result<Vec<u8>> {
        let mut block = vec![0; usize::try_from(BLOCK).unwrap_or_default()];
        let start = number * BLOCK;
        let there = written.file_len.saturating_sub(start).min(BLOCK);
        let there = usize::try_from(there).unwrap_or_default();
        if there > 0 {
            self.file.read(start, &mut block[..there])?;
        }
        Ok(block)
    }
}

/// The blocks that a range touches: number, start in the block, start in the range, length.
fn blocks(offset: u64, length: usize) -> impl Iterator<Item = (u64, usize, usize, usize)> {
    let mut done = 0;
    std::iter::from_fn(move || {
        if done == length {
            return None;
        }
        let at = offset + done as u64;
        let within = usize::try_from(at % BLOCK).unwrap_or_default();
        let block = usize::try_from(BLOCK).unwrap_or_default();
        let count = (block - within).min(length - done);
        let place = (at / BLOCK, within, done, count);
        done += count;
        Some(place)
    })
}

impl StorageBackend for Overlay {
    fn len(&self) -> std::io::Result<u64> {
        Ok(self.written().len)
    }

    fn read(&self, offset: u64, out: &mut [u8]) -> std::io::Result<()> {
        let written = self.written();
        if offset + out.len() as u64 > written.len {
            return Err(std::io::ErrorKind::UnexpectedEof.into());
        }
        for (number, within, at, count) in blocks(offset, out.len()) {
            let below;
            let block = match written.blocks.get(&number) {
                Some(block) => block,
                None => {
                    below = self.below(&written, number)?;
                    &below
                }
            };
            out[at..at + count].copy_from_slice(&block[within..within + count]);
        }
        Ok(())
    }

    fn set_len(&self, len: u64) -> std::io::Result<()> {
        let mut written = self.written();
        written.len = len;
        written.file_len = written.file_len.min(len);
        written.blocks.retain(|number, _| number * BLOCK < len);
        Ok(())
    }

    fn sync_data(&self) -> std::io::Result<()> {
        Ok(())
    }

    fn write(&self, offset: u64, data: &[u8]) -> std::io::Result<()> {
        let mut written = self.written();
        for (number, within, at, count) in blocks(offset, data.len()) {
            let mut block = match written.blocks.remove(&number) {
                Some(block) => block,
                None => self.below(&written, number)?,
            };
            block[within..within + count].copy_from_slice(&data[at..at + count]);
            written.blocks.insert(number, block);
        }
        Ok(())
    }

    fn close(&self) -> std::io::Result<()> {
        self.file.close()
    }

    fn try_lock_range(&self, start: Bound<u64>, end: Bound<u64>) -> Result<bool, BackendError> {
        self.file.try_lock_range(start, end)
    }

    fn try_lock_shared_range(
        &self,
        start: Bound<u64>,
        end: Bound<u64>,
    ) -> Result<bool, BackendError> {
        self.file.try_lock_shared_range(start, end)
    }

    fn lock_range(&self, start: Bound<u64>, end: Bound<u64>) -> Result<(), BackendError> {
        self.file.lock_range(start, end)
    }

    fn lock_shared_range(&self, start: Bound<u64>, end: Bound<u64>) -> Result<(), BackendError> {
        self.file.lock_shared_range(start, end)
    }

    fn unlock_range(&self, start: Bound<u64>, end: Bound<u64>) -> Result<(), BackendError> {
        self.file.unlock_range(start, end)
    }

    fn query_lock_range(&self, start: Bound<u64>, end: Bound<u64>) -> Result<bool, BackendError> {
        self.file.query_lock_range(start, end)
    }
}

//! Walks over a topic's segments, whichever transaction they are read in.

use std::ops::ControlFlow;

use redb::ReadableTable;

use super::fault::Fault;
use super::frame::{Frame, Frames};
use super::tables::Place;

/// The segments as a transaction sees them.
pub(super) trait Segments: ReadableTable<Place, &'static [u8]> {}

impl<T: ReadableTable<Place, &'static [u8]>> Segments for T {}

/// Shows the records of a topic from an offset on, oldest first, until it is told to stop.
pub(super) fn forward(
    segments: &impl Segments,
    id: u64,
    from: u64,
    mut see: impl FnMut(&Frame<'_>) -> Result<ControlFlow<()>, Fault>,
) -> Result<(), Fault> {
    let start = match segments.range((id, 0)..=(id, from))?.next_back() {
        Some(entry) => entry?.0.value().1,
        None => from,
    };
    for entry in segments.range((id, start)..=(id, u64::MAX))? {
        let (place, segment) = entry?;
        for frame in Frames::of(id, segment.value()) {
            let frame = frame.map_err(|_| Fault::segment(place.value()))?;
            if frame.offset >= from && see(&frame)?.is_break() {
                return Ok(());
            }
        }
    }
    Ok(())
}

/// The offset from which a topic's records are as late as `time_ms`, but not before `first`. Found
/// from the newest segment backwards, as it is mostly near.
pub(super) fn first_since(
    segments: &impl Segments,
    id: u64,
    first: u64,
    last: u64,
    time_ms: u64,
) -> Result<u64, Fault> {
    let mut since = last + 1;
    for entry in segments.range((id, 0)..=(id, u64::MAX))?.rev() {
        let (place, segment) = entry?;
        let mut earlier = false;
        let mut earliest = None;
        for frame in Frames::of(id, segment.value()) {
            let frame = frame.map_err(|_| Fault::segment(place.value()))?;
            if frame.offset < first || frame.time_ms < time_ms {
                earlier = true;
            } else {
                earliest = earliest.or(Some(frame.offset));
            }
        }
        since = earliest.unwrap_or(since);
        if earlier || place.value().1 <= first {
            break;
        }
    }
    Ok(since)
}

//! Walks over a topic's segments, whichever transaction they are read in.

use std::ops::ControlFlow;

use redb::ReadableTable;

use super::fault::Fault;
use super::frame::{Frame, Frames};
use super::state::State;
use super::tables::Place;

/// The segments, or the keys, as a transaction sees them.
pub(super) trait Segments: ReadableTable<Place, &'static [u8]> {}

impl<T: ReadableTable<Place, &'static [u8]>> Segments for T {}

/// Shows the records of a topic from an offset on, oldest first, until it is told to stop.
pub(super) fn forward(
    segments: &impl Segments,
    state: &State,
    from: u64,
    mut see: impl FnMut(&Frame<'_>) -> Result<ControlFlow<()>, Fault>,
) -> Result<(), Fault> {
    let id = state.id;
    if state.segment == 0 || from < state.segment {
        let flow = forward_in_segments(segments, id, from, &mut see)?;
        if flow.is_break() {
            return Ok(());
        }
    }
    for frame in Frames::of(id, &state.tail) {
        let frame = frame.map_err(|_| Fault::segment((id, state.segment)))?;
        if frame.offset >= from && see(&frame)?.is_break() {
            return Ok(());
        }
    }
    Ok(())
}

fn forward_in_segments(
    segments: &impl Segments,
    id: u64,
    from: u64,
    see: &mut impl FnMut(&Frame<'_>) -> Result<ControlFlow<()>, Fault>,
) -> Result<ControlFlow<()>, Fault> {
    let start = match segments.range((id, 0)..=(id, from))?.next_back() {
        Some(entry) => entry?.0.value().1,
        None => from,
    };
    for entry in segments.range((id, start)..=(id, u64::MAX))? {
        let (place, segment) = entry?;
        for frame in Frames::of(id, segment.value()) {
            let frame = frame.map_err(|_| Fault::segment(place.value()))?;
            if frame.offset >= from && see(&frame)?.is_break() {
                return Ok(ControlFlow::Break(()));
            }
        }
    }
    Ok(ControlFlow::Continue(()))
}

/// The offset from which a topic's records are as late as `time_ms`. Found from the newest
/// backwards, as it is mostly near.
pub(super) fn first_since(
    segments: &impl Segments,
    state: &State,
    time_ms: u64,
) -> Result<u64, Fault> {
    let (id, mut since) = (state.id, state.last + 1);
    // Whether it is in this segment or after it.
    let mut found_in = |place: Place, segment: &[u8]| {
        let mut earlier = place.1 <= state.first;
        let mut earliest = None;
        for frame in Frames::of(id, segment) {
            let frame = frame.map_err(|_| Fault::segment(place))?;
            if frame.offset < state.first || frame.time_ms < time_ms {
                earlier = true;
            } else {
                earliest = earliest.or(Some(frame.offset));
            }
        }
        since = earliest.unwrap_or(since);
        Ok::<bool, Fault>(earlier)
    };
    if state.segment > 0 && found_in((id, state.segment), &state.tail)? {
        return Ok(since);
    }
    for entry in segments.range((id, 0)..=(id, u64::MAX))?.rev() {
        let (place, segment) = entry?;
        if found_in(place.value(), segment.value())? {
            break;
        }
    }
    Ok(since)
}

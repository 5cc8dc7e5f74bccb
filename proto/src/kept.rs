//! What is kept of a connection so that it can be attached again after its trunk broke, or to
//! another shard: by a router for its sockets, by a shard for clients that poll.
//!
//! There are many connections and most of them are idle, so what they have in common takes little,
//! and the rest is made by the first who needs it. Nothing here is understood: the shard has said
//! it and gets it back.

use std::collections::VecDeque;

use bytes::Bytes;
use prost::Message as _;

use crate::opaque::Opaque;
use crate::trunk::{Attach, SlotPosition};

/// Kept from the Attach on, and empty for who can't be attached again.
#[derive(Debug, Default)]
pub struct Kept {
    /// What each Attach repeats, encoded: as a struct it takes several times as much.
    identity: Box<[u8]>,
    checkpoint: Opaque,
    /// Few, and it is seldom that there is another.
    slots: Box<[Slot]>,
    more: Option<Box<More>>,
}

#[derive(Debug)]
struct Slot {
    number: u32,
    position: Opaque,
}

/// What a connection has only at times.
#[derive(Debug, Default)]
struct More {
    /// Messages that are not settled, each behind the one before.
    unsettled: VecDeque<Unsettled>,
    /// The bytes of their payloads.
    bytes: usize,
    /// Those of the groups that it was in when its trunk broke, until the shard has given a
    /// checkpoint since: the trunk may break again before it is back in any group.
    positions: Vec<Bytes>,
}

/// A message that was passed on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Unsettled {
    /// As it was received.
    pub payload: Bytes,
    /// Whether it is binary.
    pub binary: bool,
    /// Which parts of the answer to it have been queued, the lowest bit for part 0.
    pub answered: u64,
}

impl Kept {
    /// Begins with what the shard was told of the connection.
    #[must_use]
    pub fn begin(attach: &Attach) -> Self {
        Self { identity: identity(attach).encode_to_vec().into(), ..Self::default() }
    }

    /// Takes the newest checkpoint, which says all that those before it did.
    pub fn checkpoint(&mut self, state: &[u8]) {
        if self.identity.is_empty() {
            return;
        }
        self.checkpoint.replace(state);
        if let Some(more) = &mut self.more {
            more.positions = Vec::new();
            self.tidy();
        }
    }

    /// Whether it can be attached again.
    #[must_use]
    pub fn has_checkpoint(&self) -> bool {
        !self.checkpoint.is_empty()
    }

    /// The client has had what a slot carries, up to here; an empty position ends the slot.
    pub fn has_had(&mut self, SlotPosition { slot, position }: &SlotPosition) {
        if self.identity.is_empty() {
            return;
        }
        let known = self.slots.iter_mut().find(|known| known.number == *slot);
        match known {
            Some(known) if !position.is_empty() => return known.position.replace(position),
            None if position.is_empty() => return,
            _ => {}
        }
        let others = std::mem::take(&mut self.slots).into_iter();
        let mut slots: Vec<Slot> = others.filter(|other| other.number != *slot).collect();
        if !position.is_empty() {
            slots.push(Slot { number: *slot, position: Opaque::new(position) });
        }
        self.slots = slots.into();
    }

    /// Keeps a message that was passed on.
    pub fn keep(&mut self, payload: Bytes, binary: bool) {
        self.keep_again(Unsettled { payload, binary, answered: 0 });
    }

    /// Keeps a message that was kept elsewhere.
    pub fn keep_again(&mut self, message: Unsettled) {
        if self.identity.is_empty() {
            return;
        }
        let more = self.more.get_or_insert_default();
        more.bytes += message.payload.len();
        more.unsettled.push_back(message);
    }

    /// So many of the oldest messages are settled.
    pub fn settle(&mut self, count: u64) {
        let Some(more) = &mut self.more else { return };
        for _ in 0..count {
            let Some(settled) = more.unsettled.pop_front() else { break };
            more.bytes -= settled.payload.len();
        }
        self.tidy();
    }

    /// The message so many behind the last settled one, counted from 0, has a part of its answer.
    pub fn answered(&mut self, index: u64, part: u32) {
        if let Some(more) = &mut self.more
            && let Ok(index) = usize::try_from(index)
            && let Some(message) = more.unsettled.get_mut(index)
        {
            message.answered |= 1u64.checked_shl(part).unwrap_or(0);
        }
    }

    /// The message so many behind the last settled one, counted from 0.
    #[must_use]
    pub fn unsettled(&self, index: u64) -> Option<&Unsettled> {
        self.more.as_ref()?.unsettled.get(usize::try_from(index).ok()?)
    }

    /// What the payloads of the unsettled messages take.
    #[must_use]
    pub fn bytes(&self) -> usize {
        self.more.as_ref().map_or(0, |more| more.bytes)
    }

    /// Takes the positions of the groups that the connection was in when its trunk broke. If one
    /// was there before, what is newer stands behind it.
    pub fn hold(&mut self, positions: Vec<Bytes>) {
        if positions.is_empty() {
            return;
        }
        let kept = &mut self.more.get_or_insert_default().positions;
        kept.retain(|kept| !positions.contains(kept));
        kept.extend(positions);
    }

    /// The Attach that takes the session up where it was, but for the connection's number and what
    /// is settled.
    #[must_use]
    pub fn attach(&self) -> Option<Attach> {
        let identity = Attach::decode(&*self.identity).ok()?;
        let slot = |s: &Slot| SlotPosition { slot: s.number, position: s.position.to_bytes() };
        let more =
            self.more.as_ref().filter(|_| !trunkline_planted::is("attach without positions"));
        let slots = self.slots.iter().filter(|_| !trunkline_planted::is("attach without slots"));
        Some(Attach {
            checkpoint: self.checkpoint.to_bytes(),
            positions: more.map(|more| more.positions.clone()).unwrap_or_default(),
            slots: slots.map(slot).collect(),
            ..identity
        })
    }

    /// Gives back what nothing is left in.
    fn tidy(&mut self) {
        self.more.take_if(|more| more.unsettled.is_empty() && more.positions.is_empty());
    }
}

/// What is the same each time that a session is attached. One that has come by an upgrade no
/// longer does.
fn identity(attach: &Attach) -> Attach {
    let attach = attach.clone();
    Attach {
        session: attach.session,
        dialect: attach.dialect,
        namespace: attach.namespace,
        user: attach.user,
        expires_ms: attach.expires_ms,
        rights: attach.rights,
        authenticated: attach.authenticated,
        guest: attach.guest,
        connection: 0,
        inbox_after: None,
        checkpoint: Bytes::new(),
        upgrade: false,
        positions: Vec::new(),
        slots: Vec::new(),
        settled: 0,
        attachment: 0,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::trunk::{Dialect, Position, Right, Rights};

    fn attach() -> Attach {
        let right = Right { pattern: "a*".to_owned(), join: true, publish: false, history: true };
        Attach {
            connection: 5,
            session: Bytes::from_static(&[7; 24]),
            dialect: Dialect::Native.into(),
            namespace: "/n".to_owned(),
            user: "alice".to_owned(),
            expires_ms: 99,
            rights: Some(Rights { rights: vec![right] }),
            inbox_after: Some(Position { epoch: "e".to_owned(), offset: 3 }),
            authenticated: true,
            guest: true,
            ..Attach::default()
        }
    }

    fn position(slot: u32, position: &'static str) -> SlotPosition {
        SlotPosition { slot, position: Bytes::from_static(position.as_bytes()) }
    }

    #[test]
    fn who_speaks_is_repeated_and_what_has_changed_since_is_not() {
        let kept = Kept::begin(&Attach { upgrade: true, ..attach() });
        let expected = Attach { connection: 0, inbox_after: None, ..attach() };
        assert_eq!(kept.attach(), Some(expected));
    }

    #[test]
    fn the_newest_checkpoint_counts_and_an_empty_one_clears_it() {
        let mut kept = Kept::begin(&attach());
        assert!(!kept.has_checkpoint());
        kept.checkpoint(b"one");
        kept.checkpoint(b"longer");
        assert_eq!(kept.attach().expect("kept").checkpoint, "longer");
        kept.checkpoint(b"");
        assert!(!kept.has_checkpoint());
    }

    #[test]
    fn each_slot_has_its_newest_position_until_it_ends() {
        let mut kept = Kept::begin(&attach());
        for newer in [position(1, "a"), position(9, "b"), position(1, "c"), position(4, "")] {
            kept.has_had(&newer);
        }
        let slots = |kept: &Kept| kept.attach().expect("kept").slots;
        assert_eq!(slots(&kept), [position(1, "c"), position(9, "b")]);
        kept.has_had(&position(1, ""));
        assert_eq!(slots(&kept), [position(9, "b")]);
    }

    #[test]
    fn what_is_settled_is_dropped_at_once_with_its_memory() {
        let mut kept = Kept::begin(&attach());
        let payload = Bytes::from(vec![b'x'; 100]);
        for _ in 0..3 {
            kept.keep(payload.clone(), false);
        }
        assert_eq!(kept.bytes(), 300);
        // It was not copied.
        assert_eq!(kept.unsettled(2).expect("kept").payload.as_ptr(), payload.as_ptr());
        kept.settle(2);
        assert_eq!(kept.bytes(), 100);
        kept.settle(1);
        assert!(kept.more.is_none() && payload.is_unique());
    }

    #[test]
    fn the_parts_of_an_answer_are_known_until_its_message_is_settled() {
        let mut kept = Kept::begin(&attach());
        for _ in 0..3 {
            kept.keep(Bytes::from_static(b"x"), true);
        }
        kept.answered(1, 0);
        kept.answered(1, 63);
        kept.answered(2, 64);
        kept.answered(7, 0);
        let answered = |kept: &Kept, index| kept.unsettled(index).map(|message| message.answered);
        assert_eq!([0, 1, 2].map(|index| answered(&kept, index)), [0, 1 | 1 << 63, 0].map(Some));
        kept.settle(1);
        assert_eq!(
            [0, 1, 2].map(|index| answered(&kept, index)),
            [Some(1 | 1 << 63), Some(0), None]
        );
    }

    #[test]
    fn positions_are_returned_until_a_checkpoint_speaks_for_them() {
        let mut kept = Kept::begin(&attach());
        let [one, two, three] = ["1", "2", "3"].map(|text| Bytes::from_static(text.as_bytes()));
        kept.hold(vec![one.clone(), two.clone()]);
        kept.hold(Vec::new());
        assert_eq!(kept.attach().expect("kept").positions, [one.clone(), two.clone()]);
        kept.hold(vec![three.clone(), one.clone()]);
        assert_eq!(kept.attach().expect("kept").positions, [two, three, one]);
        kept.checkpoint(b"new");
        assert!(kept.attach().expect("kept").positions.is_empty() && kept.more.is_none());
    }

    #[test]
    fn nothing_is_kept_for_who_can_not_be_attached_again() {
        let mut kept = Kept::default();
        kept.checkpoint(b"state");
        kept.has_had(&position(1, "a"));
        kept.keep(Bytes::from_static(b"x"), false);
        assert!(!kept.has_checkpoint() && kept.slots.is_empty() && kept.more.is_none());
    }

    #[test]
    fn an_idle_connection_grows_by_little() {
        // Beside the checkpoint and its address; a user's name and what a heap adds come on top.
        let identity = Kept::begin(&Attach { rights: None, ..attach() }).identity.len();
        assert!(size_of::<Kept>() - size_of::<Opaque>() + identity <= 100);
    }
}

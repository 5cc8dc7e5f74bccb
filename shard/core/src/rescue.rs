//! What routers keep of clients that poll, so that they can recover when their shard has died.
//!
//! A client that polls has no socket that a router could hold for it. But all that it is given passes
//! by a router, and so its shard deposits with that one what it would take to go on: before each
//! answer, as it will be with it, and whenever else it has changed. Whether the last answer has
//! reached the client its next poll tells, or, if that never comes, the stamp that the client
//! gives back to the shard by which it recovers.

use std::collections::VecDeque;

use bytes::Bytes;

use crate::GroupId;
use crate::home::Stamp;
use crate::output::SlotPosition;

/// Something that has become known of a client with what it was given. All but the numbers is
/// opaque to everybody but the core.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Given {
    /// Its state ([`crate::Output::Checkpoint`]).
    Checkpoint(Bytes),
    /// What another shard has given it of a group's topic.
    Elsewhere {
        /// Up to where.
        place: Bytes,
        /// Whether it was given the message there.
        heard: bool,
    },
    /// What it has had of a group's topic.
    Group {
        /// The group.
        group: GroupId,
        /// Up to where.
        place: Bytes,
        /// Whether it was given the message there; else it has entered there, or was left out.
        heard: bool,
    },
    /// It is in a group no more.
    Left(GroupId),
    /// What it has had of a stream that is sent to it by number.
    Slot(SlotPosition),
}

impl Given {
    /// Notes the newest, in place of what that makes obsolete.
    pub fn fold(self, list: &mut Vec<Self>) {
        let is_obsolete = |it: &Self| match (&self, it) {
            (Self::Checkpoint(_), Self::Checkpoint(_)) => true,
            (Self::Group { group, .. } | Self::Left(group), Self::Group { group: it, .. }) => {
                group == it
            }
            (Self::Slot(slot), Self::Slot(it)) => slot.slot == it.slot,
            _ => false,
        };
        list.retain(|it| !is_obsolete(it));
        if !matches!(self, Self::Left(_)) {
            list.push(self);
        }
    }

    /// As another shard has it. That a room was left shows there by the state.
    fn moved(&self) -> Option<Self> {
        match self.clone() {
            Self::Group { group: _, place, heard } => Some(Self::Elsewhere { place, heard }),
            Self::Left(_) => None,
            other => Some(other),
        }
    }
}

/// A client that polls, as a shard has deposited it with a router.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Rescue {
    /// Which of the client's it is: the newest counts.
    pub nth: u64,
    /// Up to which of the client's messages everything was settled.
    pub settled: u64,
    /// What it was given for certain.
    pub before: Vec<Given>,
    /// What it was given with the last answer, each as it came.
    pub sent: Vec<Given>,
    /// The shard's newest stamp at the time: what the client has heard beyond was given later.
    pub upto: Option<Stamp>,
    /// The last answer has ended in the midst of messages that are noted together: who has heard any
    /// beyond those that are noted can't be gone on with.
    pub torn: bool,
}

impl Rescue {
    /// Whether there is anything to deposit.
    #[must_use]
    pub fn is_something(&self) -> bool {
        self.upto.is_some()
    }
}

/// Notes that may wait or be in doubt; who has more begins anew after its shard's death.
const NOTES: usize = 16 * 1024;

/// A [`Ledger`] on its way, counted from what is queued first.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct MovedLedger {
    /// Parts that are queued.
    pub queued: u64,
    /// Frames of more than one part: the first, 0 if that is in an answer, and the last.
    pub frames: Vec<(u64, u64)>,
    /// What holds once so many parts are in answers.
    pub waiting: Vec<(u64, Given)>,
    /// What it was given for certain.
    pub before: Vec<Given>,
    /// What it was given with the last answer.
    pub sent: Vec<Given>,
    /// Whether it isn't known that it has had the last answer.
    pub in_doubt: bool,
    /// Too much was to be noted.
    pub is_lost: bool,
    /// How often it was deposited.
    pub deposits: u64,
}

/// Keeps account of what a client that polls was given: its answers take what is queued for it part by
/// part, and what is noted with a part holds once that is in an answer.
#[derive(Debug, Default)]
pub struct Ledger {
    /// Parts that were queued, and those of them that are in answers.
    queued: u64,
    given: u64,
    /// Frames of more than one part that are not in answers yet: the first part and the last.
    frames: VecDeque<(u64, u64)>,
    /// What holds once so many parts are in answers.
    waiting: VecDeque<(u64, Given)>,
    /// The newest state; what is queued in the same turn comes before it.
    checkpoint: Option<Bytes>,
    before: Vec<Given>,
    sent: Vec<Given>,
    /// There is an answer of which it isn't known whether the client has had it.
    in_doubt: bool,
    /// Too much was to be noted.
    is_lost: bool,
    /// How often it was deposited.
    deposits: u64,
    has_news: bool,
}

impl Ledger {
    /// Goes on with that of a client that comes from another shard.
    #[must_use]
    pub fn of_moved(moved: MovedLedger) -> Self {
        let MovedLedger { queued, frames, waiting, before, sent, in_doubt, is_lost, deposits } =
            moved;
        let (frames, waiting) = (frames.into(), waiting.into());
        let mut ledger =
            Self { queued, frames, waiting, before, sent, in_doubt, is_lost, ..Self::default() };
        (ledger.deposits, ledger.has_news) = (deposits, true);
        ledger
    }

    /// As it goes to another shard, which has other groups.
    #[must_use]
    pub fn moved(&self) -> MovedLedger {
        let moved = |list: &[Given]| list.iter().filter_map(Given::moved).collect();
        let since = |nth: u64| nth.saturating_sub(self.given);
        let waiting = self.waiting.iter();
        MovedLedger {
            queued: since(self.queued),
            frames: self.frames.iter().map(|(first, last)| (since(*first), since(*last))).collect(),
            waiting: waiting.filter_map(|(upto, it)| Some((since(*upto), it.moved()?))).collect(),
            before: moved(&self.before),
            sent: moved(&self.sent),
            in_doubt: self.in_doubt,
            is_lost: self.is_lost,
            deposits: self.deposits,
        }
    }

    /// A frame of so many parts was queued.
    pub fn queue(&mut self, parts: usize) {
        let before = self.queued;
        self.queued += parts as u64;
        if parts > 1 {
            self.frames.push_back((before + 1, self.queued));
        }
    }

    /// Something holds once all that is queued is in answers.
    pub fn note(&mut self, given: Given) {
        if self.is_lost {
            return;
        }
        if self.queued > self.given || !self.waiting.is_empty() {
            self.waiting.push_back((self.queued, given));
        } else {
            self.hold(given);
        }
        self.is_lost |= self.waiting.len() + self.sent.len() > NOTES;
        if self.is_lost {
            (self.before, self.sent, self.waiting) = Default::default();
            self.has_news = true;
        }
    }

    /// There is a newer state. It holds once all is in answers that is queued in this turn.
    pub fn checkpoint(&mut self, state: &Bytes) {
        self.checkpoint = Some(state.clone());
    }

    /// Nothing more is queued in this turn.
    pub fn end_turn(&mut self) {
        if let Some(state) = self.checkpoint.take() {
            self.note(Given::Checkpoint(state));
        }
    }

    /// The next part is in an answer.
    pub fn give(&mut self) {
        self.in_doubt = true;
        self.given += 1;
        self.frames.pop_front_if(|(_, last)| *last <= self.given);
        while let Some((_, given)) = self.waiting.pop_front_if(|(upto, _)| *upto <= self.given) {
            self.hold(given);
        }
    }

    /// The client polls: it has had the last answer.
    pub fn poll(&mut self) {
        self.in_doubt = false;
        for given in std::mem::take(&mut self.sent) {
            given.fold(&mut self.before);
        }
    }

    /// What to deposit, if there is news since the last time; nothing in it if there must be no deposit
    /// any more. `upto` is the shard's newest stamp.
    pub fn deposit(&mut self, upto: Stamp, settled: u64) -> Option<Rescue> {
        let is_known = |list: &[Given]| list.iter().any(|it| matches!(it, Given::Checkpoint(_)));
        if !std::mem::take(&mut self.has_news) {
            return None;
        }
        if self.is_lost {
            return Some(Rescue::default());
        }
        if !is_known(&self.before) && !is_known(&self.sent) {
            return None;
        }
        self.deposits += 1;
        let begun = |(first, _): &(u64, u64)| *first <= self.given;
        Some(Rescue {
            nth: self.deposits,
            settled,
            before: self.before.clone(),
            sent: self.sent.clone(),
            upto: Some(upto),
            torn: self.frames.front().is_some_and(begun),
        })
    }

    /// It is deposited elsewhere from now on, or again.
    pub fn deposit_again(&mut self) {
        self.has_news = true;
    }

    fn hold(&mut self, given: Given) {
        self.has_news = true;
        if self.in_doubt {
            self.sent.push(given);
        } else {
            given.fold(&mut self.before);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn bytes(text: &'static str) -> Bytes {
        Bytes::from_static(text.as_bytes())
    }

    fn group(group: u64, place: &'static str) -> Given {
        Given::Group { group: GroupId(group), place: bytes(place), heard: true }
    }

    fn slot(slot: u32, position: &'static str) -> Given {
        Given::Slot(SlotPosition { slot, position: bytes(position) })
    }

    #[test]
    fn the_newest_of_each_kind_counts_and_stands_last() {
        let [old, new] = ["old", "new"].map(bytes).map(Given::Checkpoint);
        let mut list = Vec::new();
        for given in [old, group(1, "a"), slot(4, "b"), group(2, "c"), group(1, "d")] {
            given.fold(&mut list);
        }
        for given in [new.clone(), slot(4, "e"), Given::Left(GroupId(2))] {
            given.fold(&mut list);
        }
        assert_eq!(list, [group(1, "d"), new, slot(4, "e")]);
    }

    const HERE: Stamp = Stamp { stream: 7, number: 9 };

    fn state(text: &'static str) -> Given {
        Given::Checkpoint(bytes(text))
    }

    #[test]
    fn what_is_noted_with_a_part_holds_when_an_answer_has_it_and_is_certain_with_the_next_poll() {
        let mut ledger = Ledger::default();
        assert_eq!(ledger.deposit(HERE, 0), None, "there is no state");
        ledger.checkpoint(&bytes("state"));
        ledger.queue(1);
        ledger.note(group(1, "a"));
        ledger.end_turn();
        assert_eq!(ledger.deposit(HERE, 0), None, "it is not given");
        ledger.poll();
        ledger.give();
        let sent = vec![group(1, "a"), state("state")];
        let rescue = Rescue { nth: 1, sent: sent.clone(), upto: Some(HERE), ..Rescue::default() };
        assert_eq!(ledger.deposit(HERE, 0), Some(rescue));
        assert_eq!(ledger.deposit(HERE, 0), None, "that is no news");
        ledger.poll();
        ledger.note(group(1, "b"));
        let before = vec![state("state"), group(1, "b")];
        let rescue = Rescue { nth: 2, settled: 3, before, upto: Some(HERE), ..Rescue::default() };
        assert_eq!(ledger.deposit(HERE, 3), Some(rescue));
    }

    #[test]
    fn an_answer_that_ends_in_the_midst_of_a_frame_says_so() {
        let mut ledger = Ledger::default();
        ledger.note(state("state"));
        ledger.queue(1);
        ledger.queue(3);
        ledger.note(group(1, "a"));
        let torn = |ledger: &mut Ledger| {
            ledger.give();
            ledger.deposit_again();
            ledger.deposit(HERE, 0).map(|it| (it.torn, it.sent.len()))
        };
        let seen = [(); 4].map(|()| torn(&mut ledger));
        assert_eq!(seen, [(false, 0), (true, 0), (true, 0), (false, 1)].map(Some));
    }

    #[test]
    fn it_goes_on_at_another_shard_where_it_was() {
        let mut ledger = Ledger::default();
        ledger.note(state("state"));
        ledger.note(group(1, "a"));
        for parts in [1, 2, 1] {
            ledger.queue(parts);
            ledger.note(slot(parts.try_into().unwrap(), "b"));
        }
        ledger.give();
        ledger.give();
        let mut there = Ledger::of_moved(ledger.moved());
        for ledger in [&mut ledger, &mut there] {
            ledger.deposit_again();
        }
        let elsewhere = Given::Elsewhere { place: bytes("a"), heard: true };
        let here = ledger.deposit(HERE, 0).unwrap();
        let before = vec![state("state"), elsewhere];
        assert_eq!(there.deposit(HERE, 0), Some(Rescue { before, ..here }));
        for ledger in [&mut ledger, &mut there] {
            ledger.give();
            ledger.note(state("new"));
            ledger.give();
        }
        assert_eq!(there.deposit(HERE, 0).unwrap().sent, ledger.deposit(HERE, 0).unwrap().sent);
    }

    #[test]
    fn who_has_too_much_to_note_is_not_deposited_any_more() {
        let mut ledger = Ledger::default();
        ledger.note(state("state"));
        assert!(ledger.deposit(HERE, 0).is_some_and(|it| it.is_something()));
        ledger.queue(1);
        (0..=NOTES as u64).for_each(|it| ledger.note(group(it, "a")));
        assert!(ledger.deposit(HERE, 0).is_some_and(|it| !it.is_something()));
        ledger.give();
        ledger.note(state("state"));
        assert_eq!(ledger.deposit(HERE, 0), None);
    }
}

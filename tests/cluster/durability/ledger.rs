//! Who was told what, and whether all of it fits together in the end.

use std::collections::{BTreeMap, BTreeSet};

/// A message's place: epoch and offset.
pub(super) type Place = (String, u64);

/// What publishers were told, and what readers have seen, in the order in which they saw it.
#[derive(Debug, Default)]
pub(super) struct Ledger {
    /// By room and payload.
    acknowledged: BTreeMap<(String, String), Place>,
    /// By reader and room.
    read: BTreeMap<(usize, String), Vec<(Place, String)>>,
    /// Private messages that were answered `queued` or `delivered`: recipient and payload.
    kept: BTreeSet<(String, String)>,
    /// Who had to come back, and why.
    pub(super) returns: Vec<String>,
}

impl Ledger {
    pub(super) fn acknowledge(&mut self, room: &str, payload: &str, place: Place) {
        let before = self.acknowledged.insert((room.to_owned(), payload.to_owned()), place);
        assert_eq!(before, None, "a publisher goes on after its answer");
    }

    pub(super) fn keep(&mut self, user: &str, payload: &str) {
        self.kept.insert((user.to_owned(), payload.to_owned()));
    }

    pub(super) fn see(&mut self, reader: usize, room: &str, place: Place, payload: &str) {
        let seen = self.read.entry((reader, room.to_owned())).or_default();
        if let Some((last, _)) = seen.last() {
            assert_eq!(last.0, place.0, "{room} goes on in the same history");
            assert_eq!(last.1 + 1, place.1, "reader {reader} of {room} sees every place once");
        }
        seen.push((place, payload.to_owned()));
    }

    /// Messages that were acknowledged, private ones too.
    pub(super) fn acknowledgements(&self) -> usize {
        self.acknowledged.len() + self.kept.len()
    }

    /// Whether each reader has seen all that was acknowledged of its rooms.
    pub(super) fn is_complete(&self, readers: usize, rooms: &[String]) -> bool {
        let newest = |room: &String| {
            let of_room = self.acknowledged.iter().filter(|((of, _), _)| of == room);
            of_room.map(|(_, place)| place.1).max().unwrap_or(0)
        };
        rooms.iter().all(|room| {
            let newest = newest(room);
            (0..readers).all(|reader| {
                let seen = self.read.get(&(reader, room.clone())).and_then(|seen| seen.last());
                seen.map_or(0, |(place, _)| place.1) >= newest
            })
        })
    }

    /// Checks rooms: `histories` is what each has in the end.
    pub(super) fn check(&self, histories: &BTreeMap<String, Vec<(Place, String)>>) {
        for ((room, payload), place) in &self.acknowledged {
            let kept = histories[room].iter().find(|(at, _)| at == place);
            let kept =
                kept.unwrap_or_else(|| panic!("{payload}, acknowledged at {place:?}, is lost"));
            assert_eq!(kept.1, *payload, "what stands at {place:?} of {room}");
        }
        for (room, history) in histories {
            let payloads: BTreeSet<&String> = history.iter().map(|(_, payload)| payload).collect();
            assert_eq!(payloads.len(), history.len(), "each message is in {room} once");
            for pair in history.windows(2) {
                let ((before, _), (next, _)) = (&pair[0], &pair[1]);
                assert_eq!((&before.0, before.1 + 1), (&next.0, next.1), "{room} has no gap");
            }
        }
        for ((reader, room), seen) in &self.read {
            let history = &histories[room];
            let begin = history.iter().position(|(place, _)| *place == seen[0].0).unwrap();
            assert_eq!(seen[..], history[begin..begin + seen.len()], "reader {reader} of {room}");
        }
    }

    /// Checks what an absent user was handed on coming: all that was kept for it, once.
    pub(super) fn check_inbox(&self, user: &str, handed: &[String]) {
        let once: BTreeSet<&String> = handed.iter().collect();
        assert_eq!(once.len(), handed.len(), "{user} is handed each message once");
        let kept = self.kept.iter().filter(|(to, _)| to == user).map(|(_, payload)| payload);
        let lost: Vec<&String> = kept.filter(|payload| !once.contains(payload)).collect();
        assert!(lost.is_empty(), "{lost:?}, kept for {user}, are lost of {}", handed.len());
    }
}

//! Whether all have got the same messages in the same order, and each sender's in the order in
//! which it said them.

use std::collections::{BTreeMap, HashMap};

use crate::history::{Client, Got, History, To};

/// Calls `wrong` with who noticed and when it was to be said, for each message that is out of order.
pub(super) fn judge<'a>(history: &'a History, mut wrong: impl FnMut(&'a Client, u64)) {
    let mut rooms: BTreeMap<usize, Vec<(&Client, Vec<usize>)>> = BTreeMap::new();
    for client in &history.clients {
        let is_of_room = |got: &&Got| matches!(to(history, got), Some(To::Room(_)));
        let room = firsts(client.got.iter().filter(is_of_room));
        rooms.entry(client.room).or_default().push((client, room));
        let is_private = |got: &&Got| matches!(to(history, got), Some(To::User(_)));
        let inbox = firsts(client.got.iter().filter(is_private));
        by_sender(history, &inbox, |said| wrong(client, said));
    }
    for members in rooms.into_values() {
        // Who has got most: the others must have got what they have in the same order.
        let Some((witness, model)) = members.iter().rev().max_by_key(|(_, got)| got.len()) else {
            continue;
        };
        by_sender(history, model, |said| wrong(witness, said));
        let places: HashMap<usize, usize> = model.iter().copied().zip(0..).collect();
        for (client, got) in &members {
            let mut last = 0;
            for number in got {
                let Some(&place) = places.get(number) else { continue };
                if place < last {
                    wrong(client, history.messages[*number].intended);
                }
                last = last.max(place);
            }
        }
    }
}

fn to(history: &History, got: &Got) -> Option<To> {
    history.messages.get(got.number).map(|message| message.to)
}

/// Each message where it first came.
fn firsts<'a>(got: impl Iterator<Item = &'a Got>) -> Vec<usize> {
    let mut seen = std::collections::HashSet::new();
    got.map(|got| got.number).filter(|number| seen.insert(*number)).collect()
}

/// One sender's messages keep their order, but for those that were refused in between and said
/// again.
fn by_sender(history: &History, got: &[usize], mut wrong: impl FnMut(u64)) {
    let mut newest: HashMap<usize, usize> = HashMap::new();
    for &number in got {
        let message = &history.messages[number];
        if message.refused > 0 {
            continue;
        }
        let newest = newest.entry(message.from).or_default();
        if number < *newest {
            wrong(message.intended);
        }
        *newest = number.max(*newest);
    }
}

//! Each way of breaking the promise, once, and what may be noticed.

use super::*;
use crate::history::{Announced, Break, Got, Span};

const MS: u64 = 1000;
const STORES: [Store; 3] = [Store::Memory, Store::Embedded, Store::JetStream];

/// Three clients in a room, the last of which speaks Socket.IO, and one outside. Client 0 says ten
/// messages to the room, 1 writes one to 3; all is as it should be. The shard is killed half-way.
fn whole() -> History {
    let speeches = [Speech::Native, Speech::Native, Speech::SocketIo, Speech::Native];
    let rooms = [0, 0, 0, 1];
    let clients = speeches.into_iter().zip(rooms);
    let mut history = History {
        clients: clients.map(|(speech, room)| Client::new(speech, room)).collect(),
        spans: vec![Span { kind: Kind::Quiet, from: 0 }, Span { kind: Kind::Kill, from: 500 * MS }],
        ..History::default()
    };
    for number in 0..11 {
        let intended = number as u64 * 100 * MS;
        let (from, to) = if number < 10 { (0, To::Room(0)) } else { (1, To::User(3)) };
        let message = Message { granted: 1, ..Message::new(from, to, intended) };
        for (index, client) in history.clients.iter_mut().enumerate() {
            if is_for(&message, index, client) {
                client.got.push(Got { number, at: intended + (index as u64 + 1) * MS });
            }
        }
        history.messages.push(message);
    }
    history
}

fn gone(from: u64, until: u64, recovered: bool) -> Break {
    Break { from, until: Some(until), recovered }
}

/// Whether nobody has noticed anything but a pause, and refusals that it could try again.
fn is_nothing(noticed: &Noticed) -> bool {
    noticed.lost + noticed.disconnects + noticed.came_back + noticed.announced == 0
        && noticed.is_sound()
}

/// What all have noticed of the kill. Nothing may have been noticed of the time before.
fn noticed(history: &History) -> Noticed {
    let rows = judge(history);
    assert!(is_nothing(&rows[&Kind::Quiet].all()), "{rows:?}");
    rows[&Kind::Kill].all()
}

#[test]
fn a_whole_history_is_as_promised() {
    let rows = judge(&whole());
    for row in rows.values() {
        assert_eq!(row.times, 1);
        assert!(is_nothing(&row.all()), "{rows:?}");
    }
    // Clients 0 to 2 got what was said in both; 3 only what was written to it.
    assert_eq!(rows[&Kind::Quiet].native.pauses, [MS, 2 * MS]);
    assert_eq!(rows[&Kind::Quiet].socketio.pauses, [3 * MS]);
    assert_eq!(rows[&Kind::Kill].native.pauses, [MS, 2 * MS, 4 * MS]);
}

#[test]
fn a_message_that_one_did_not_get_is_lost() {
    let mut history = whole();
    history.clients[2].got.remove(7);
    let all = noticed(&history);
    assert_eq!((all.lost, all.repeated, all.out_of_order), (1, 0, 0));
    let row = &judge(&history)[&Kind::Kill];
    assert_eq!(row.socketio.lost, 1);
    // What is in memory alone goes with a process that is killed.
    let kept = STORES.map(|store| row.is_kept(Kind::Kill, store));
    assert_eq!(kept, [true, false, false]);
    assert!(!row.is_kept(Kind::Restart, Store::Memory));
}

#[test]
fn a_private_message_that_did_not_come_is_lost() {
    let mut history = whole();
    history.clients[3].got.clear();
    assert_eq!(noticed(&history).lost, 1);
}

#[test]
fn what_was_never_acknowledged_may_come_or_not() {
    let mut history = whole();
    history.clients[2].got.remove(7);
    history.messages[7].granted = 0;
    history.messages[7].abandoned = true;
    assert!(is_nothing(&noticed(&history)));
}

#[test]
fn a_message_that_one_got_twice_is_repeated() {
    let mut history = whole();
    let again = Got { number: 7, at: 2000 * MS };
    history.clients[1].got.push(again);
    let all = noticed(&history);
    assert_eq!((all.lost, all.repeated, all.out_of_order), (0, 1, 0));
}

#[test]
fn two_messages_that_one_got_the_other_way_round_are_out_of_order() {
    for client in 0..3 {
        let mut history = whole();
        history.clients[client].got.swap(7, 8);
        let all = noticed(&history);
        assert_eq!((all.lost, all.repeated), (0, 0));
        assert!(all.out_of_order > 0, "of {client}: {all:?}");
    }
}

#[test]
fn two_messages_that_nobody_got_in_their_senders_order_are_out_of_order() {
    let mut history = whole();
    for client in &mut history.clients[..3] {
        client.got.swap(7, 8);
    }
    assert_eq!(noticed(&history).out_of_order, 1);
    // One that was refused first and said again comes later than the next.
    history.messages[7].refused = 1;
    let all = noticed(&history);
    assert!(is_nothing(&all));
    assert_eq!(all.unavailable, 1);
}

#[test]
fn private_messages_keep_their_senders_order() {
    let mut history = whole();
    history.messages.push(Message { granted: 1, ..Message::new(1, To::User(3), 1100 * MS) });
    history.clients[3].got.insert(0, Got { number: 11, at: 1101 * MS });
    assert_eq!(noticed(&history).out_of_order, 1);
}

#[test]
fn a_request_without_an_answer_is_lost() {
    let mut history = whole();
    history.messages[7].granted = 0;
    assert_eq!(noticed(&history).lost, 1);
}

#[test]
fn a_request_that_is_answered_twice_is_repeated() {
    let mut history = whole();
    history.messages[7].granted = 2;
    assert_eq!(noticed(&history).repeated, 1);
}

#[test]
fn a_connection_that_ends_is_counted_and_not_what_it_missed() {
    let mut history = whole();
    let client = &mut history.clients[1];
    client.got.remove(7);
    client.breaks.push(gone(701 * MS, 790 * MS, false));
    let all = noticed(&history);
    assert_eq!((all.disconnects, all.lost), (1, 0));
    assert!(!judge(&history)[&Kind::Kill].is_kept(Kind::Kill, Store::Memory));
    // Back is back.
    history.clients[1].got.remove(8);
    history.clients[1].breaks[0].from = 0;
    history.clients[1].breaks[0].until = Some(1);
    assert_eq!(judge(&history)[&Kind::Kill].all().lost, 2);
}

/// The history in which the client that speaks Socket.IO polls, and was cut off.
fn cut_off(recovered: bool) -> History {
    let mut history = whole();
    let client = &mut history.clients[2];
    client.speech = Speech::Polling;
    client.breaks.push(gone(701 * MS, 790 * MS, recovered));
    history
}

#[test]
fn who_polls_may_come_back_to_its_session_after_a_crash_and_only_then() {
    let history = cut_off(true);
    let all = noticed(&history);
    assert_eq!((all.disconnects, all.came_back, all.lost), (0, 1, 0));
    let row = &judge(&history)[&Kind::Kill];
    assert_eq!(row.polling.came_back, 1);
    for store in STORES {
        for kind in [Kind::Kill, Kind::Dead, Kind::Partition] {
            assert!(row.is_kept(kind, store), "{kind:?}");
        }
        for kind in [Kind::Quiet, Kind::Restart, Kind::Drain, Kind::Add, Kind::Remove] {
            assert!(!row.is_kept(kind, store), "{kind:?}");
        }
    }
}

#[test]
fn who_has_come_back_to_its_session_must_have_missed_nothing() {
    let mut history = cut_off(true);
    history.clients[2].got.remove(7);
    let all = noticed(&history);
    assert_eq!((all.disconnects, all.came_back, all.lost), (0, 1, 1));
    assert!(!judge(&history)[&Kind::Kill].is_kept(Kind::Kill, Store::Embedded));
}

#[test]
fn who_polls_and_has_begun_anew_is_disconnected_as_it_may_be_where_a_crash_forgets() {
    let mut history = cut_off(false);
    history.clients[2].got.remove(7);
    let all = noticed(&history);
    assert_eq!((all.disconnects, all.came_back, all.lost), (1, 0, 0));
    let row = &judge(&history)[&Kind::Kill];
    let kept = STORES.map(|store| row.is_kept(Kind::Kill, store));
    assert_eq!(kept, [true, false, false]);
    for kind in [Kind::Dead, Kind::Partition, Kind::Restart, Kind::Drain] {
        assert!(!row.is_kept(kind, Store::Memory), "{kind:?}");
    }
}

#[test]
fn others_may_be_told_that_who_has_begun_anew_has_gone_and_come_and_of_nobody_else() {
    // At which times others are told of whom, and how often that is wrong.
    let wrong = |user, breaks: usize, told: &[(u64, bool)]| {
        let mut history = cut_off(false);
        history.clients[2].breaks = vec![gone(701 * MS, 790 * MS, false); breaks];
        let said = told.iter().map(|&(at, is_here)| Announced { at: at * MS, user, is_here });
        history.clients[0].announced.extend(said);
        let row = &judge(&history)[&Kind::Kill];
        let announced = row.all().announced;
        assert_eq!(row.is_kept(Kind::Kill, Store::Memory), announced == 0);
        announced
    };
    assert_eq!(wrong(2, 1, &[(690, false), (800, true)]), 0);
    assert_eq!(wrong(2, 1, &[(690, false), (800, true), (900, false)]), 1);
    assert_eq!(wrong(2, 2, &[(690, false), (800, true), (900, false)]), 0);
    assert_eq!(wrong(2, 0, &[(690, false), (800, true)]), 2);
    assert_eq!(wrong(1, 1, &[(800, false)]), 1);
    assert_eq!(wrong(usize::MAX, 1, &[(800, false)]), 1);
}

#[test]
fn a_socket_that_ended_is_a_disconnect_though_its_client_has_recovered() {
    let mut history = cut_off(true);
    history.clients[2].speech = Speech::SocketIo;
    let all = noticed(&history);
    assert_eq!((all.disconnects, all.came_back), (1, 0));
    let row = &judge(&history)[&Kind::Kill];
    assert!(STORES.iter().all(|store| !row.is_kept(Kind::Kill, *store)));
}

#[test]
fn what_is_announced_told_or_meant_for_others_is_counted() {
    let mut history = whole();
    let said = [100 * MS, 600 * MS].map(|at| Announced { at, user: 1, is_here: true });
    history.clients[0].announced.extend(said);
    assert_eq!(noticed(&history).announced, 1);
    let mut history = whole();
    history.clients[0].errors.push(600 * MS);
    assert_eq!(noticed(&history).errors, 1);
    for number in [10, 99] {
        let mut history = whole();
        history.clients[0].got.push(Got { number, at: 1200 * MS });
        let all = noticed(&history);
        assert_eq!(all.errors, 1);
        assert!(!judge(&history)[&Kind::Kill].is_kept(Kind::Kill, Store::Memory));
    }
}

#[test]
fn a_pause_counts_to_the_disruption_in_which_the_message_was_said_or_just_after() {
    // Said at 900 ms, and not there a second later.
    for (from, kind, other) in
        [(1900 * MS + 1, Kind::Kill, Kind::Restart), (1900 * MS, Kind::Restart, Kind::Kill)]
    {
        let mut history = whole();
        history.clients[2].got.last_mut().expect("it got something").at = 3900 * MS;
        history.spans.push(Span { kind: Kind::Restart, from });
        let rows = judge(&history);
        assert_eq!(rows[&kind].all().pause_ms(1.0), Some(3000.0));
        assert_ne!(rows[&other].all().pause_ms(1.0), Some(3000.0));
    }
}

#[test]
fn before_the_first_disruption_only_pauses_do_not_count() {
    let mut history = whole();
    history.spans[0].from = 150 * MS;
    history.clients[0].got[0].at += 5000 * MS;
    history.clients[0].got.remove(1);
    let rows = judge(&history);
    assert_eq!(rows[&Kind::Quiet].all().pause_ms(1.0), Some(3.0));
    assert_eq!(rows.values().map(|row| row.all().lost).sum::<u64>(), 1);
}

#[test]
fn a_pause_is_told_by_quantiles() {
    let pauses = (1..=200).rev().map(|ms| ms * MS).collect();
    let noticed = Noticed { pauses, ..Noticed::default() };
    let told = [0.5, 0.99, 1.0].map(|quantile| noticed.pause_ms(quantile));
    assert_eq!(told, [Some(100.0), Some(198.0), Some(200.0)]);
    assert_eq!(Noticed::default().pause_ms(1.0), None);
}

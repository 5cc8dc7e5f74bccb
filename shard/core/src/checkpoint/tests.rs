use super::*;
use crate::home::Stamp;
use crate::name::UserId;
use crate::position::Epoch;
use crate::rights::{Rights, RoomRight};
use crate::topic::Topic;
use proptest::prelude::*;

fn position(offset: u64) -> Position {
    Position { epoch: Epoch::new("9k2f"), offset }
}

fn room(name: &str) -> RoomId {
    RoomId::parse(name).unwrap()
}

fn identity() -> Identity {
    let right =
        RoomRight { pattern: "team-*".to_owned(), join: true, publish: false, history: true };
    Identity {
        user: UserId::parse("alice").unwrap(),
        expires_ms: Some(1_790_000_000_000),
        rights: Rights(Some(vec![right])),
    }
}

fn session() -> KeptSession {
    KeptSession {
        namespace: Namespace::parse("/game").unwrap(),
        identity: identity(),
        authenticated: true,
        inbox_after: Some(position(7)),
        rooms: vec![KeptRoom { room: room("lobby"), position: position(300), entry: 2 }],
        departures: vec![(room("attic"), 41)],
        entries: 3,
    }
}

fn line() -> KeptLine {
    let socket = KeptSocket {
        session: SessionId([1; 24]),
        private_id: SessionId([2; 24]),
        recoveries: 3,
        origin: 17,
        connect: 3,
        nth: 2,
        actions: vec![r#"{"do":"join","room":"hall"}"#.to_owned()],
        came_with: Some(Stamp { stream: 7, number: u64::MAX }),
        ended: Some(9),
    };
    let (identity, sockets) = (identity(), vec![(socket, session())]);
    let (authenticated, guest, attached_before) = (true, false, 6);
    KeptLine { identity, authenticated, guest, connects: 2, origin: 5, attached_before, sockets }
}

#[test]
fn a_checkpoint_is_read_as_it_was_written() {
    let empty = KeptSession {
        identity: Identity { expires_ms: None, rights: Rights(None), ..identity() },
        inbox_after: None,
        rooms: Vec::new(),
        departures: Vec::new(),
        ..session()
    };
    let natives = [session(), empty].map(Checkpoint::Native);
    let bare = KeptLine { sockets: Vec::new(), ..line() };
    let lines = [line(), bare].map(Checkpoint::SocketIo);
    for checkpoint in natives.into_iter().chain(lines) {
        assert_eq!(Checkpoint::decode(&checkpoint.encode()), Some(checkpoint));
    }
}

#[test]
fn a_place_is_read_as_it_was_written() {
    let game = Namespace::parse("/game").unwrap();
    let entry = Some(Entry { sequence: 5, nth: 2 });
    for (topic, entry) in [
        (Topic::Room(game, room("lobby")), entry),
        (Topic::Inbox(UserId::parse("alice").unwrap()), None),
    ] {
        let stamp = entry.map(|_| Stamp { stream: u64::MAX, number: 300 });
        let written = Place::encode(&topic, (&Epoch::new("9k2f"), 58), entry, stamp);
        let place = Place { topic, position: position(58), entry, stamp };
        assert_eq!(Place::decode(&written), Some(place));
    }
}

#[test]
fn what_is_of_another_version_or_too_long_or_too_short_is_not_read() {
    for checkpoint in [Checkpoint::Native(session()), Checkpoint::SocketIo(line())] {
        let mut written = checkpoint.encode().to_vec();
        assert_eq!(Checkpoint::decode(&written[..written.len() - 1]), None);
        written.push(0);
        assert_eq!(Checkpoint::decode(&written), None);
        written.pop();
        written[0] = VERSION + 1;
        assert_eq!(Checkpoint::decode(&written), None);
    }
    assert_eq!(Checkpoint::decode(&[]), None);
}

proptest! {
    #[test]
    fn no_bytes_make_reading_panic(bytes in proptest::collection::vec(any::<u8>(), 0..300)) {
        let bytes = [&[VERSION], bytes.as_slice()].concat();
        let _ = Checkpoint::decode(&bytes);
        let _ = Place::decode(&bytes);
    }
}

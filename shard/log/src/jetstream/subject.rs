//! A subject for each topic.

use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use trunkline_core::Topic;

/// What becomes `%` and two digits: all that separates tokens, stands for any of them, or isn't
/// legal in one. `%` itself is among them, so that no two names come out alike.
const ENCODED: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'_');

/// The subject of a topic in a stream: `<stream>.r.<namespace>.<room>` or `<stream>.i.<user>`.
pub(super) fn subject(stream: &str, topic: &Topic) -> String {
    match topic {
        Topic::Room(namespace, room) => {
            let namespace = utf8_percent_encode(namespace.as_str(), ENCODED);
            let room = utf8_percent_encode(room.as_str(), ENCODED);
            format!("{stream}.r.{namespace}.{room}")
        }
        Topic::Inbox(user) => {
            format!("{stream}.i.{}", utf8_percent_encode(user.as_str(), ENCODED))
        }
    }
}

/// The subject of what is no topic's.
pub(super) fn word(stream: &str) -> String {
    format!("{stream}.w")
}

/// Whether a stream may be called so: its name is a token of subjects.
pub(super) fn is_stream_name(name: &str) -> bool {
    let legal = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'_';
    !name.is_empty() && name.len() <= 64 && name.bytes().all(legal)
}

#[cfg(test)]
mod tests {
    use super::*;
    use trunkline_core::{Namespace, RoomId, UserId};

    fn room(namespace: &str, room: &str) -> String {
        let topic = Topic::Room(Namespace::parse(namespace).unwrap(), RoomId::parse(room).unwrap());
        subject("t", &topic)
    }

    #[test]
    fn plain_names_stay_readable() {
        assert_eq!(room("/chat", "lobby-1_a"), "t.r.%2Fchat.lobby-1_a");
        let inbox = Topic::Inbox(UserId::parse("alice").unwrap());
        assert_eq!(subject("t", &inbox), "t.i.alice");
    }

    #[test]
    fn no_name_is_a_wildcard_or_two_tokens() {
        for name in ["*", ">", "a.b", ".", "a b", "$JS", "é", "%2A"] {
            let subject = room("/", name);
            assert_eq!(subject.split('.').count(), 4, "{subject}");
            assert!(!subject.contains(['*', '>', ' ', '$']), "{subject}");
            assert!(subject.is_ascii(), "{subject}");
        }
    }

    #[test]
    fn different_names_have_different_subjects() {
        let names = ["*", "%2A", "%2a", "%252A", "a.b", "a%2Eb", "A", "a"];
        let mut subjects: Vec<_> = names.iter().map(|name| room("/", name)).collect();
        subjects.sort();
        subjects.dedup();
        assert_eq!(subjects.len(), names.len());
    }

    #[test]
    fn the_longest_names_fit_into_a_line_of_the_protocol() {
        let long = "*".repeat(256);
        // A line may have 4,096 bytes; a reply's subject and numbers go with it.
        assert!(room(&long, &long).len() < 2_000);
    }

    #[test]
    fn a_stream_is_named_by_one_token() {
        assert!(is_stream_name("trunkline") && is_stream_name("Trunk_line-2"));
        for name in ["", "a.b", "a b", "*", ">", "a/b", "é"] {
            assert!(!is_stream_name(name), "{name}");
        }
    }
}

//! Rules as they are written, and what they are read as.

use std::fmt::Write as _;
use std::path::Path;
use std::time::Duration;

use super::super::cluster;
use super::super::source::Source;
use crate::events::*;

/// What a file's rules are, and what is wrong with it, as `LINE: message`.
pub(super) fn read(text: &str) -> (EventRules, Vec<String>) {
    let source = Source::new(Path::new("x.toml"), text.to_owned(), |_| None);
    let file = cluster::read(&source).expect("it is TOML");
    let problems = source.into_problems();
    let problems = problems.iter().map(|p| p.to_string().replacen("x.toml:", "", 1)).collect();
    (file.settings.events, problems)
}

/// The rules of a file in which nothing is wrong.
fn rules(text: &str) -> Vec<EventRule> {
    let (events, problems) = read(text);
    assert!(problems.is_empty(), "{problems:#?}");
    events.own
}

fn action(keys: &str) -> EventAction {
    action_of("e", keys)
}

pub(super) fn action_of(event: &str, keys: &str) -> EventAction {
    rules(&format!("[[event]]\nname = \"{event}\"\n{keys}")).remove(0).action
}

/// The first thing that is said about a rule with these keys, which begin on line 3.
pub(super) fn wrong(keys: &str) -> String {
    wrong_of("e", keys)
}

pub(super) fn wrong_of(event: &str, keys: &str) -> String {
    let (events, problems) = read(&format!("[[event]]\nname = \"{event}\"\n{keys}"));
    assert!(!problems.is_empty(), "{keys} was taken as {events:?}");
    problems.join("\n")
}

fn reference(root: Root, path: &[&str]) -> Reference {
    Reference { root, path: path.iter().map(|field| (*field).to_owned()).collect() }
}

fn refer(root: Root, path: &[&str]) -> Template {
    Template::Reference(reference(root, path))
}

fn text(literal: &str) -> Text {
    Text(vec![Piece::Literal(literal.to_owned())])
}

fn first() -> Text {
    Text::reference(Root::Argument(0))
}

fn plain(args: Args) -> Message {
    Message { emit: None, args, key: None, ephemeral: false, echo: true }
}

#[test]
fn rules_stand_in_the_order_of_the_file_beside_the_default_ones() {
    let (events, _) = read(
        r#"
        [[event]]
        name = "chat message"
        do = "broadcast"
        [[event]]
        name = "send-message"
        namespace = "/game-*"
        ack = false
        do = "private"
        to = "$0.recipientId"
        emit = "receive-message"
        data = { senderId = "$user", message = "$0.message" }
        [[event]]
        name = "typing"
        do = "broadcast"
        ephemeral = true
        echo = false
        key = "${user}-${0.id}"
        "#,
    );
    let recipient = Text(vec![Piece::Reference(reference(Root::Argument(0), &["recipientId"]))]);
    let table = Template::Table(vec![
        ("senderId".to_owned(), refer(Root::User, &[])),
        ("message".to_owned(), refer(Root::Argument(0), &["message"])),
    ]);
    let key = Text(vec![
        Piece::Reference(reference(Root::User, &[])),
        Piece::Literal("-".to_owned()),
        Piece::Reference(reference(Root::Argument(0), &["id"])),
    ]);
    let expected = [
        EventRule {
            name: "chat message".to_owned(),
            namespace: Pattern::any(),
            action: EventAction::Broadcast { message: plain(Args::Rest) },
            ack: None,
        },
        EventRule {
            name: "send-message".to_owned(),
            namespace: Pattern("/game-*".to_owned()),
            action: EventAction::Private {
                to: recipient,
                message: Message {
                    emit: Some("receive-message".to_owned()),
                    ..plain(Args::Listed(vec![table]))
                },
            },
            ack: Some(false),
        },
        EventRule {
            name: "typing".to_owned(),
            namespace: Pattern::any(),
            action: EventAction::Broadcast {
                message: Message {
                    key: Some(key),
                    ephemeral: true,
                    echo: false,
                    ..plain(Args::Rest)
                },
            },
            ack: None,
        },
    ];
    assert_eq!(events.own, expected);
    assert_eq!(events.fallback, EventRules::default().fallback);
}

#[test]
fn every_action_is_read_from_its_keys() {
    let room = first;
    for (keys, expected) in [
        ("do = \"join\"\nroom = \"$0\"", EventAction::Join { room: room() }),
        ("do = \"leave\"\nroom = \"lobby\"", EventAction::Leave { room: text("lobby") }),
        (
            "do = \"publish\"\nroom = \"$0\"",
            EventAction::Publish { room: room(), message: plain(Args::Rest) },
        ),
        (
            "do = \"reply\"",
            EventAction::Reply { emit: None, args: Args::Listed(vec![Template::Arguments]) },
        ),
        (
            "do = \"reply\"\nemit = \"pong\"\nargs = []",
            EventAction::Reply { emit: Some("pong".to_owned()), args: Args::Listed(Vec::new()) },
        ),
        ("do = \"history\"\nroom = \"$0\"", EventAction::History { room: room(), query: None }),
        (
            "do = \"history\"\nroom = \"$0\"\nquery = \"$1\"",
            EventAction::History { room: room(), query: Some(reference(Root::Argument(1), &[])) },
        ),
        ("do = \"presence\"\nroom = \"$0\"", EventAction::Presence { room: room() }),
        (
            "do = \"call\"\nurl = \"http://a/\"\ntimeout = \"2s\"\nretries = 0",
            EventAction::Call {
                url: Some("http://a/".to_owned()),
                timeout: Some(Duration::from_secs(2)),
                retries: Some(0),
            },
        ),
    ] {
        assert_eq!(action(keys), expected, "{keys}");
    }
}

#[test]
fn values_of_every_kind_become_arguments_in_their_order() {
    let EventAction::Broadcast { message } = action(
        r#"do = "broadcast"
        args = ["a-${0.id}", -1, 0xff, 1.5, true, "$args", "", [[]], { z = 1, a.y = "$$", b = {}, a.x = "$1" }]"#,
    ) else {
        panic!("it is a broadcast")
    };
    let piece = Piece::Reference(reference(Root::Argument(0), &["id"]));
    let a = Template::Table(vec![
        ("y".to_owned(), Template::Text(text("$"))),
        ("x".to_owned(), refer(Root::Argument(1), &[])),
    ]);
    let expected = vec![
        Template::Text(Text(vec![Piece::Literal("a-".to_owned()), piece])),
        Template::Integer(-1),
        Template::Integer(255),
        Template::Float(1.5),
        Template::Flag(true),
        Template::Arguments,
        Template::Text(Text(Vec::new())),
        Template::List(vec![Template::List(Vec::new())]),
        Template::Table(vec![
            ("z".to_owned(), Template::Integer(1)),
            ("a".to_owned(), a),
            ("b".to_owned(), Template::Table(Vec::new())),
        ]),
    ];
    assert_eq!(message.args, Args::Listed(expected));
}

#[test]
fn data_is_one_argument_or_all_that_came() {
    for (data, expected) in [
        ("[1]", Template::List(vec![Template::Integer(1)])),
        ("\"$args\"", Template::Arguments),
        ("[\"$args\"]", Template::List(vec![Template::Arguments])),
        ("\"$0\"", refer(Root::Argument(0), &[])),
    ] {
        let action = action(&format!("do = \"broadcast\"\ndata = {data}"));
        let message = plain(Args::Listed(vec![expected]));
        assert_eq!(action, EventAction::Broadcast { message }, "{data}");
    }
}

#[test]
fn a_table_of_data_may_have_a_header_of_its_own() {
    let action = action("do = \"broadcast\"\n[event.data]\nuser = \"$user\"\n");
    let table = Template::Table(vec![("user".to_owned(), refer(Root::User, &[]))]);
    let message = plain(Args::Listed(vec![table]));
    assert_eq!(action, EventAction::Broadcast { message });
}

#[test]
fn whoever_connects_may_be_joined_told_and_announced() {
    let auth = Text(vec![Piece::Reference(reference(Root::Auth, &["team"]))]);
    let join = action_of("connect", "do = \"join\"\nroom = \"$auth.team\"");
    assert_eq!(join, EventAction::Join { room: auth });
    for keys in [
        "do = \"publish\"\nroom = \"lobby\"",
        "do = \"broadcast\"\nemit = \"user joined\"",
        "do = \"private\"\nto = \"$user\"",
        "do = \"reply\"\nemit = \"welcome\"",
        "do = \"call\"\nurl = \"http://a\"",
    ] {
        action_of("connect", keys);
    }
}

#[test]
fn whoever_has_gone_is_only_spoken_of() {
    for keys in [
        "do = \"publish\"\nroom = \"lobby\"\ndata = \"$reason\"",
        "do = \"broadcast\"",
        "do = \"private\"\nto = \"admin\"",
        "do = \"call\"\nurl = \"http://a\"",
    ] {
        action_of("disconnect", keys);
    }
    for keys in ["join", "leave", "reply", "history", "presence"] {
        let wrong = wrong_of("disconnect", &format!("do = \"{keys}\""));
        let expected = format!("3: event[0].do is \"{keys}\", which whoever has disconnected");
        assert!(wrong.starts_with(&expected), "{wrong}");
        assert!(wrong.ends_with("write one of publish, broadcast, private, call"), "{wrong}");
    }
}

#[test]
fn a_rule_that_calls_may_leave_the_url_to_the_application() {
    let rule = "[[event]]\nname = \"e\"\ndo = \"call\"";
    let own = rules(&format!("[application]\nurl = \"http://a\"\n{rule}"));
    assert_eq!(own[0].action, EventAction::Call { url: None, timeout: None, retries: None });
    // A wrong URL is one mistake, not two.
    let (_, problems) = read(&format!("[application]\nurl = \"a\"\n{rule}"));
    assert_eq!(problems.len(), 1, "{problems:#?}");
}

#[test]
fn without_default_events_only_the_own_rules_hold() {
    let (events, _) = read("[socketio]\ndefault_events = false");
    assert_eq!(events, EventRules { own: Vec::new(), fallback: Vec::new() });
}

#[test]
fn data_is_as_deep_as_it_may_be_and_no_deeper() {
    let nested = |depth: usize| {
        let mut keys = "do = \"broadcast\"\ndata = ".to_owned();
        let _ = write!(keys, "{}{}", "[".repeat(depth), "]".repeat(depth));
        keys
    };
    action(&nested(16));
    let wrong = wrong(&nested(17));
    assert!(wrong.contains("lies deeper than 16 lists and tables; write"), "{wrong}");
    assert!(wrong.starts_with("4: event[0].data[0]"), "{wrong}");
}

#[test]
fn the_examples_of_the_guide_are_right() {
    let guide = include_str!("../../../../docs/events.md");
    let examples: String = guide
        .lines()
        .filter_map(|line| line.strip_prefix("    "))
        .filter(|line| !line.starts_with('{'))
        .fold(String::new(), |text, line| text + line + "\n")
        .replace("${TRUNKLINE_APPLICATION_SECRET}", "sixteen bytes ..");
    assert_eq!(rules(&examples).len(), 5);
}

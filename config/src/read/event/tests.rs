//! Rules as they are written, and what is said about those that are wrong.

use std::fmt::Write as _;
use std::path::Path;
use std::time::Duration;

use super::super::cluster;
use super::super::source::Source;
use crate::events::*;

/// What a file's rules are, and what is wrong with it, as `LINE: message`.
fn read(text: &str) -> (EventRules, Vec<String>) {
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

fn action_of(event: &str, keys: &str) -> EventAction {
    rules(&format!("[[event]]\nname = \"{event}\"\n{keys}")).remove(0).action
}

/// The first thing that is said about a rule with these keys, which begin on line 3.
fn wrong(keys: &str) -> String {
    wrong_of("e", keys)
}

fn wrong_of(event: &str, keys: &str) -> String {
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
fn rules_of_connections_have_no_arguments_and_no_acknowledgement() {
    for (event, keys, expected) in [
        ("connect", "do = \"leave\"\nroom = \"a\"", "3: event[0].do is \"leave\", which connec"),
        ("connect", "do = \"join\"", "1: event[0].room is missing; write room = \"lobby\""),
        ("connect", "do = \"private\"", "1: event[0].to is missing; write to = \"$user\""),
        ("connect", "do = \"reply\"", "1: event[0].emit is missing; write emit = \"welcome\""),
        (
            "connect",
            "do = \"join\"\nroom = \"$0\"",
            "4: event[0].room refers to $0, which connect does not carry; there are $user,",
        ),
        (
            "disconnect",
            "do = \"broadcast\"\ndata = [\n\"$args\"]",
            "5: event[0].data[0] refers to $args, which disconnect does not carry; there are",
        ),
        ("connect", "do = \"broadcast\"\nack = true", "4: unknown key event[0].ack; "),
    ] {
        let wrong = wrong_of(event, keys);
        assert!(wrong.starts_with(expected), "{wrong}\nfor {expected}");
    }
}

#[test]
fn a_mistake_in_a_rule_says_what_to_write() {
    for (keys, expected) in [
        ("", "1: event[0].do is missing; write do = \"publish\""),
        ("do = \"brodcast\"", "3: event[0].do is \"brodcast\", which is no action; write \"broad"),
        ("do = \"x\"", "3: event[0].do is \"x\", which is no action; write one of join, leave, pu"),
        ("do = 1", "3: event[0].do is an integer; write a string"),
        ("do = \"join\"", "1: event[0].room is missing; write room = \"$0\""),
        ("do = \"private\"", "1: event[0].to is missing; write to = \"$0\""),
        ("do = \"join\"\nroom = \"\"", "4: event[0].room is not an ID: it is empty"),
        ("do = \"join\"\nroom = \"a $0\"", "4: event[0].room is \"a $0\", in which a $ begins no"),
        ("do = \"join\"\nroom = \"$x\"", "4: event[0].room refers to $x, which an event does not"),
        ("do = \"join\"\nroom = \"$args\"", "4: event[0].room refers to $args, which stands for s"),
        (
            "do = \"broadcast\"\nroom = \"a\"",
            "4: unknown key event[0].room; the keys here are name, namespace, do, ack, emit, data,",
        ),
        ("do = \"join\"\nroom = \"a\"\nehco = 1", "5: unknown key event[0].ehco; the keys here a"),
        ("do = \"broadcast\"\nehco = true", "4: unknown key event[0].ehco; write echo"),
        ("do = \"broadcast\"\nemit = \"disconnect\"", "4: event[0].emit is \"disconnect\", which "),
        ("do = \"broadcast\"\nemit = \"\"", "4: event[0].emit has 0 bytes; write a name of 1 to 2"),
        ("do = \"broadcast\"\nkey = \"\"", "4: event[0].key has 0 bytes; write a key of 1 to 128"),
        ("do = \"broadcast\"\nargs = 1", "4: event[0].args is an integer; write a list"),
        (
            "do = \"broadcast\"\ndata = 1\nargs = []",
            "5: event[0].args stands beside data; write all arguments in args",
        ),
        (
            "do = \"broadcast\"\ndata = { a = [\n1979-05-27] }",
            "5: event[0].data.a[0] is a date, which JSON does not have; write it in quotes",
        ),
        ("do = \"broadcast\"\ndata = nan", "4: event[0].data is nan, which JSON does not have; "),
        (
            "do = \"broadcast\"\ndata = { a = \"$args\" }",
            "4: event[0].data.a refers to $args, which stands for several values; write [\"$args",
        ),
        ("do = \"history\"\nroom = \"a\"\nquery = \"all\"", "5: event[0].query is \"all\", which "),
        ("do = \"call\"", "1: this rule calls, but neither it nor [application] has a url; write"),
        ("do = \"call\"\nurl = \"a\"", "4: event[0].url is \"a\", which is not an http or https U"),
        ("do = \"call\"\nurl = \"http://a\"\nretries = 11", "5: event[0].retries is 11; write"),
        ("do = \"call\"\nurl = \"http://a\"\ntimeout = \"1h\"", "5: event[0].timeout is 1h; write"),
        ("do = \"broadcast\"\nnamespace = \"a\"", "4: event[0].namespace is \"a\", which does not"),
        ("do = \"broadcast\"\nack = 1", "4: event[0].ack is an integer; write true or false"),
    ] {
        let wrong = wrong(keys);
        assert!(wrong.starts_with(expected), "{wrong}\nfor {expected}");
    }
}

#[test]
fn an_event_is_one_that_clients_emit_or_their_coming_and_going() {
    for name in ["disconnecting", "connect_error", "newListener", "removeListener"] {
        let wrong = wrong_of(name, "do = \"broadcast\"");
        assert!(wrong.starts_with(&format!("2: event[0].name is \"{name}\", which no")), "{wrong}");
    }
    for name in [String::new(), "x".repeat(257)] {
        let wrong = wrong_of(&name, "do = \"broadcast\"");
        assert!(wrong.starts_with("2: event[0].name has "), "{wrong}");
    }
    action_of(&"x".repeat(256), "do = \"broadcast\"");
    let (_, problems) = read("[[event]]\ndo = \"broadcast\"");
    assert_eq!(problems, ["1: event[0].name is missing; write name = \"chat message\""]);
}

#[test]
fn every_mistake_of_every_rule_is_said_at_once() {
    let (_, problems) = read(
        "[[event]]\nname = 1\ndo = \"join\"\nroom = 2\n[[event]]\nname = \"e\"\ndo = \"x\"\nroom = 1\n\
         [[event]]\nname = \"e\"\ndo = \"broadcast\"\nargs = [\"$x\", nan]",
    );
    let lines: Vec<&str> = problems.iter().map(|p| p.split(':').next().unwrap()).collect();
    assert_eq!(lines, ["2", "4", "7", "12", "12"], "{problems:#?}");
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
fn rules_need_double_brackets() {
    let (_, problems) = read("[event]\nname = \"e\"");
    assert_eq!(problems, ["1: event is not a list of rules; write [[event]] above each rule"]);
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

//! Mistakes in rules, and what is said about them.

use super::tests::{action_of, read, wrong, wrong_of};

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
fn rules_need_double_brackets() {
    let (_, problems) = read("[event]\nname = \"e\"");
    assert_eq!(problems, ["1: event is not a list of rules; write [[event]] above each rule"]);
}

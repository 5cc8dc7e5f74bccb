//! What holds for every text that the readers are given.

use std::fmt::Write as _;
use std::path::Path;

use proptest::prelude::*;

use super::map::Reach;
use super::source::Source;
use super::{cluster, map};

/// Reads `text` as both kinds of file, and checks that every problem lies in it.
fn read_and_check(text: &str) -> Result<(), TestCaseError> {
    let lines = text.lines().count().max(1);
    let path = Path::new("/none/x.toml");
    let as_cluster = Source::new(path, text.to_owned(), |_| None);
    let as_map = Source::new(path, text.to_owned(), |_| None);
    cluster::read(&as_cluster);
    map::read(&as_map, Reach::Loopback);
    for problem in as_cluster.into_problems().iter().chain(as_map.into_problems().iter()) {
        let line = problem.line.unwrap_or(0);
        prop_assert!((1..=lines).contains(&line), "{problem} in {lines} lines");
    }
    Ok(())
}

/// Lines that look like the real thing: known keys over values of every kind.
fn plausible_file() -> impl Strategy<Value = String> {
    let key = prop::sample::select(vec![
        "shard_map",
        "listen",
        "workers",
        "allowed_origins",
        "tls",
        "mode",
        "jwt",
        "secret",
        "message",
        "interval",
        "level",
        "format",
        "version",
        "hash_key",
        "handover",
        "sessions",
        "id",
        "grpc",
        "metrics",
        "weight",
        "shard",
        "router",
        "enabled",
        "path",
        "ping_interval",
        "max_http_buffer_size",
        "namespaces",
        "default_events",
        "recovery",
        "client",
        "url",
        "timeout",
        "retries",
        "kind",
        "servers",
        "user",
        "keys",
        "name",
        "namespace",
        "do",
        "ack",
        "room",
        "to",
        "emit",
        "data",
        "data.a.b",
        "args",
        "key",
        "ephemeral",
        "query",
        "event",
        "a.b",
    ]);
    let value = prop::sample::select(vec![
        "1",
        "-1",
        "0xff",
        "1.5",
        "nan",
        "inf",
        "true",
        "\"\"",
        "\"25s\"",
        "\"é:1\"",
        "\"${A}\"",
        "\"file:\"",
        "[]",
        "[1, \"*\"]",
        "[[]]",
        "{}",
        "{ a = 1 }",
        "{ cert = \"\" }",
        "1979-05-27",
        "\"/a-*/\"",
        "\"connect\"",
        "\"disconnect\"",
        "\"publish\"",
        "\"embedded\"",
        "\"reply\"",
        "\"call\"",
        "\"http://a:1/\"",
        "\"$0.é\"",
        "\"$args\"",
        "\"a${0.b}$$${auth}\"",
        "\"${\"",
        "[{ a = [\"$user\", 1979-05-27] }, nan]",
        "'''\n'''",
        "\"",
        "",
    ]);
    let header = prop::sample::select(vec![
        "[router]",
        "[auth]",
        "[auth.jwt]",
        "[cluster]",
        "[move]",
        "[limits]",
        "[log]",
        "[socketio]",
        "[application]",
        "[api]",
        "[store]",
        "[store.jetstream]",
        "[[event]]",
        "[event]",
        "[event.data]",
        "[[shard]]",
        "[shard]",
        "[",
        "[a]",
    ]);
    let line = prop_oneof![
        5 => (key, value).prop_map(|(key, value)| format!("{key} = {value}")),
        1 => header.prop_map(str::to_owned),
    ];
    prop::collection::vec(line, 0..12).prop_map(|lines| {
        lines.iter().fold(String::new(), |mut text, line| {
            let _ = writeln!(text, "{line}");
            text
        })
    })
}

/// Rules with known keys in any order, so that most of them are read to the end.
fn plausible_rule() -> impl Strategy<Value = String> {
    let event = prop::sample::select(vec!["connect", "disconnect", "chat message"]);
    let action = prop::sample::select(vec![
        "join",
        "leave",
        "publish",
        "broadcast",
        "private",
        "reply",
        "history",
        "presence",
        "call",
    ]);
    let key = prop::sample::select(vec!["room", "to", "emit", "data", "args", "key", "query"]);
    let text = r"([${}. é]|0|user|args|auth|a){0,8}";
    let line = (key, text).prop_map(|(key, text)| format!("{key} = {text:?}"));
    let lines = prop::collection::vec(line, 0..4);
    (event, action, lines).prop_map(|(event, action, lines)| {
        format!("[[event]]\nname = {event:?}\ndo = {action:?}\n{}", lines.join("\n"))
    })
}

proptest! {
    #[test]
    fn no_plausible_rule_makes_the_readers_panic_or_point_outside_it(text in plausible_rule()) {
        read_and_check(&text)?;
    }

    #[test]
    fn no_text_makes_the_readers_panic_or_point_outside_it(text in any::<String>()) {
        read_and_check(&text)?;
    }

    #[test]
    fn no_plausible_file_makes_the_readers_panic_or_point_outside_it(text in plausible_file()) {
        read_and_check(&text)?;
    }
}

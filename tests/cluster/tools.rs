//! `locate`, `spread`, `check` and `repair`: what scripts and people read from them.

use std::path::{Path, PathBuf};
use std::process::Output;
use std::sync::Arc;
use std::time::Duration;

use rand::SeedableRng;
use rand::rngs::StdRng;
use tokio::process::Command;
use trunkline_config::settings::Retention;
use trunkline_core::{
    Arguments, Body, Epoch, LogRequest, Namespace, Position, Record, RoomId, SessionId, Ticket,
    Topic, UserId,
};
use trunkline_log::{EmbeddedLog, LogSettings, TopicLog};

use crate::harness::{Setup, TRUNKLINE, write_files};

async fn run(folder: &Path, arguments: &[&str]) -> Output {
    Command::new(TRUNKLINE).args(arguments).current_dir(folder).output().await.unwrap()
}

/// The standard output of a run that must succeed.
async fn said(folder: &Path, arguments: &[&str]) -> String {
    let output = run(folder, arguments).await;
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap()
}

/// A folder with the files of a cluster that nobody runs.
fn files() -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    write_files(folder.path(), &Setup::new(), 8080, 9080);
    folder
}

#[tokio::test]
async fn locate_prints_one_object_with_its_fields_in_order() {
    let folder = files();
    for (arguments, object) in [
        (&["--user", "alice"][..], USER),
        (&["--room", "lobby"], ROOM),
        (&["--namespace", "/game", "--room", "lobby"], ROOM_OF_GAME),
        (&["--namespace", "game", "--room", "lobby"], ROOM_OF_GAME),
    ] {
        let line = ["locate", "--config", "cluster.toml", "--json"];
        assert_eq!(said(folder.path(), &[&line[..], arguments].concat()).await, object);
    }
}

#[tokio::test]
async fn locate_refuses_what_no_client_can_be_called() {
    let folder = files();
    for arguments in
        [&["--user", "~session"][..], &["--room", ""], &[], &["--user", "a", "--room", "b"]]
    {
        let line = ["locate", "--config", "cluster.toml"];
        let output = run(folder.path(), &[&line[..], arguments].concat()).await;
        assert!(!output.status.success() && !output.stderr.is_empty(), "{arguments:?}");
    }
}

#[tokio::test]
async fn spread_says_how_many_keys_each_shard_has_and_what_another_map_moves() {
    let folder = files();
    let text = std::fs::read_to_string(folder.path().join("shards.toml")).unwrap();
    let fourth = "[[shard]]\nid = \"d\"\ngrpc = \"127.0.0.1:1\"\nmetrics = \"127.0.0.1:2\"\n";
    std::fs::write(folder.path().join("more.toml"), text + fourth).unwrap();
    let line = ["spread", "--config", "cluster.toml", "--keys", "30000", "--against", "more.toml"];
    let table = said(folder.path(), &line).await;
    let keys: Vec<u32> = ["a ", "b ", "c "]
        .iter()
        .map(|id| {
            let row = table.lines().find(|line| line.starts_with(id)).expect(&table);
            row.split_whitespace().nth(1).unwrap().parse().unwrap()
        })
        .collect();
    assert_eq!(keys.iter().sum::<u32>(), 30_000);
    assert!(keys.iter().all(|keys| (9_000..11_000).contains(keys)), "{table}");
    // What moves, moves to the new one.
    let moves: Vec<&str> =
        table.lines().filter_map(|line| line.split_once(" -> ")).map(|(_, to)| &to[..1]).collect();
    assert_eq!(moves, ["d"; 3], "{table}");
}

#[tokio::test]
async fn spread_places_the_keys_of_a_file() {
    let folder = files();
    std::fs::write(folder.path().join("keys"), "alice\nbob\n\ncarol\n").unwrap();
    let line = ["spread", "--config", "cluster.toml", "--file", "keys", "--kind", "user"];
    let table = said(folder.path(), &line).await;
    let row = |line: &str| line.split_whitespace().nth(1)?.parse::<u32>().ok();
    assert_eq!(table.lines().filter_map(row).sum::<u32>(), 3, "{table}");
}

#[tokio::test]
async fn check_is_content_with_good_files_of_either_kind() {
    let folder = files();
    for file in ["cluster.toml", "shards.toml"] {
        assert!(said(folder.path(), &["check", file]).await.starts_with(&format!("{file}: ok, ")));
    }
}

#[tokio::test]
async fn check_names_every_mistake_with_its_file_and_line_and_what_to_write() {
    let folder = files();
    std::fs::write(folder.path().join("cluster.toml"), BAD_CLUSTER).unwrap();
    std::fs::write(folder.path().join("shards.toml"), BAD_MAP).unwrap();
    let output = run(folder.path(), &["check", "cluster.toml"]).await;
    assert_eq!(output.status.code(), Some(1));
    let said = String::from_utf8(output.stdout).unwrap();
    let mistakes = [
        ("cluster.toml:2: ", "router.listn"),
        ("cluster.toml:3: ", "router.workers"),
        ("cluster.toml:5: ", "auth.mode"),
        ("cluster.toml:7: ", "limits.message"),
        ("shards.toml:7: ", "weight"),
        ("shards.toml:9: ", "\"a\""),
        ("shards.toml:12: ", "weight"),
    ];
    for (place, what) in mistakes {
        let line = said.lines().find(|line| line.starts_with(place)).expect(&said);
        assert!(line.contains(what) && (line.contains("write") || line.contains("give")), "{line}");
    }
    assert_eq!(said.lines().count(), mistakes.len(), "{said}");
}

#[tokio::test]
async fn check_says_when_a_file_is_no_toml_or_not_there() {
    let folder = files();
    std::fs::write(folder.path().join("broken.toml"), "[router\n").unwrap();
    for (file, place) in [("broken.toml", "broken.toml:1: "), ("none.toml", "none.toml")] {
        let output = run(folder.path(), &["check", file]).await;
        assert_eq!(output.status.code(), Some(1));
        let said = String::from_utf8(output.stdout).unwrap();
        assert!(said.contains(place), "{said}");
    }
}

/// A store of one room of 20 messages. Gives its file.
fn store(folder: &Path) -> PathBuf {
    let path = folder.join("a.redb");
    let age = Duration::from_secs(3_600);
    let bounds = Retention { messages: 100, bytes: 1 << 20, age };
    let settings = LogSettings { rooms: bounds, inboxes: bounds, window: Duration::from_secs(300) };
    let mut log = EmbeddedLog::open(&path, "a", settings, StdRng::seed_from_u64(1)).unwrap();
    let topic = Topic::Room(Namespace::parse("/").unwrap(), RoomId::parse("lobby").unwrap());
    let record = |offset| Record {
        offset,
        time_ms: 1_790_000_000_000,
        from: UserId::parse("alice").unwrap(),
        session: SessionId([7; 24]),
        sequence: offset,
        key: None,
        echo: true,
        body: Body {
            event: Arc::from("say"),
            arguments: Arguments::new(&format!("\"number {offset:02}\""), 1),
            attachments: Vec::new(),
        },
    };
    let after = Position { epoch: Epoch::new("first"), offset: 0 };
    let records = (1..=20).map(|offset| Arc::new(record(offset))).collect();
    let append = LogRequest::Append { ticket: Ticket(1), topic, after, records };
    log.submit(append, 1_790_000_000_000);
    path
}

#[tokio::test]
async fn repair_says_what_is_damaged_and_what_it_would_lose_and_does_it_when_told_to() {
    let folder = tempfile::tempdir().unwrap();
    let path = store(folder.path());
    let sound = said(folder.path(), &["repair", "a.redb"]).await;
    assert_eq!(sound, "a.redb: the store of a, 1 topic, 20 messages\nnothing is damaged\n");

    let mut bytes = std::fs::read(&path).unwrap();
    let needle = b"number 05";
    let places: Vec<usize> =
        (0..bytes.len()).filter(|at| bytes[*at..].starts_with(needle)).collect();
    places.iter().for_each(|at| bytes[*at] ^= 1);
    std::fs::write(&path, bytes).unwrap();
    let seen = said(folder.path(), &["repair", "a.redb"]).await;
    let line = seen.lines().find(|line| line.starts_with("room lobby")).expect(&seen);
    let words: Vec<&str> = line.split_whitespace().skip(5).collect();
    assert_eq!(words, ["1-20", "6-20", "5", "goes", "on"]);
    assert!(seen.contains("`trunkline repair a.redb --apply`"), "{seen}");

    let done = said(folder.path(), &["repair", "a.redb", "--apply"]).await;
    assert!(done.contains("the damaged file is now a.redb.damaged"), "{done}");
    let sound = said(folder.path(), &["repair", "a.redb"]).await;
    assert_eq!(sound, "a.redb: the store of a, 1 topic, 15 messages\nnothing is damaged\n");
}

#[tokio::test]
async fn repair_refuses_what_is_no_store() {
    let folder = files();
    let output = run(folder.path(), &["repair", "cluster.toml", "--apply"]).await;
    let said = String::from_utf8(output.stderr).unwrap();
    assert!(!output.status.success() && said.contains("nothing can be read"), "{said}");
}

const USER: &str = r#"{"key":"user alice","digest":"3c3ecf23e06e53b1","owner":"c","placement":["c","a","b"]}
"#;
const ROOM: &str = r#"{"key":"room lobby of namespace /","digest":"0485fd111a50e8c6","owner":"c","placement":["c","b","a"]}
"#;
const ROOM_OF_GAME: &str = r#"{"key":"room lobby of namespace /game","digest":"505389a64d09bfdd","owner":"b","placement":["b","a","c"]}
"#;

const BAD_CLUSTER: &str = r#"[router]
listn = "127.0.0.1:0"
workers = -1
[auth]
mode = "jtw"
[limits]
message = "64"
"#;

const BAD_MAP: &str = r#"version = 1
hash_key = "0123456789abcdef0123456789abcdef"
[[shard]]
id = "a"
grpc = "127.0.0.1:7101"
metrics = "127.0.0.1:9101"
weight = 0
[[shard]]
id = "a"
grpc = "127.0.0.1:7102"
metrics = "127.0.0.1:9102"
weight = nan
"#;

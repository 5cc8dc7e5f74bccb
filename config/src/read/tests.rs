//! Mistakes in files, and what is said about them.

use std::path::PathBuf;

use super::*;
use crate::events::Pattern;
use crate::settings::Auth;

const MAP: &str = r#"version = 1
hash_key = "0123456789abcdef0123456789abcdef"
[[shard]]
id = "a"
grpc = "127.0.0.1:7101"
metrics = "127.0.0.1:9101"
"#;

/// A folder with a `cluster.toml` and a `shards.toml`.
struct Files(tempfile::TempDir);

impl Files {
    fn new(cluster: &str, map: &str) -> Self {
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join("cluster.toml"), cluster).unwrap();
        std::fs::write(folder.path().join("shards.toml"), map).unwrap();
        Self(folder)
    }

    fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    fn load(&self) -> Result<Loaded, Problems> {
        load_from(&self.path("cluster.toml"), None, |name| {
            (name == "KEY").then(|| "from the environment".to_owned())
        })
    }

    /// The problems as `FILE:LINE: message`, with the files' bare names.
    fn problems(&self) -> Vec<String> {
        let folder = format!("{}/", self.0.path().display());
        let problems = self.load().unwrap_err();
        problems.iter().map(|problem| problem.to_string().replace(&folder, "")).collect()
    }
}

fn cluster_problems(cluster: &str) -> Vec<String> {
    Files::new(cluster, MAP).problems()
}

fn map_problems(map: &str) -> Vec<String> {
    Files::new("", map).problems()
}

#[test]
fn the_files_that_come_with_trunkline_say_the_defaults_and_what_the_demos_need() {
    let shipped = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut loaded = load(&shipped.join("cluster.toml")).unwrap();
    let defaults = Settings { shard_map: shipped.join("shards.toml"), ..Settings::default() };
    // But for what the demos need, in namespaces that are theirs alone.
    let is_demo = |pattern: &Pattern| pattern.0.starts_with("/demo-");
    assert!(loaded.settings.events.own.drain(..).all(|rule| is_demo(&rule.namespace)));
    loaded.settings.socketio.namespaces.retain(|namespace| !is_demo(namespace));
    assert_eq!(format!("{:?}", loaded.settings), format!("{defaults:?}"));
    // Their Debug leaves these out.
    assert!(loaded.settings.application == defaults.application);
    assert!(loaded.settings.api == defaults.api);
    let ids: Vec<&str> = loaded.map.shards().iter().map(|shard| shard.id.as_str()).collect();
    assert_eq!(ids, ["a", "b", "c"]);
}

#[test]
fn an_empty_file_means_the_defaults_and_the_map_beside_it() {
    let files = Files::new("", MAP);
    let loaded = files.load().unwrap();
    assert_eq!(loaded.settings.shard_map, files.path("shards.toml"));
    assert_eq!(loaded.settings.limits.publish_rate, 500);
}

#[test]
fn the_socket_of_a_handover_is_found_beside_the_file() {
    let files = Files::new("[router]\nhandover = \"router.sock\"", MAP);
    let handover = files.load().unwrap().settings.router.handover;
    assert_eq!(handover, Some(files.path("router.sock")));
}

#[test]
fn every_mistake_of_both_files_is_said_at_once_in_order() {
    let files = Files::new(
        "[router]\nlisen = \"127.0.0.1:1\"\nworkers = -1\n[heartbeat]\ninterval = \"0s\"\n",
        "version = 0\nhash_key = \"12\"\n[[shard]]\nid = \"a b\"\ngrpc = \"x\"\nmetrics = 1\n",
    );
    let problems = files.problems();
    let places: Vec<&str> = problems.iter().map(|p| p.split(": ").next().unwrap()).collect();
    assert_eq!(
        places,
        [
            "cluster.toml:2",
            "cluster.toml:3",
            "cluster.toml:5",
            "shards.toml:1",
            "shards.toml:2",
            "shards.toml:4",
            "shards.toml:5",
            "shards.toml:6",
        ]
    );
}

#[test]
fn a_mistake_in_the_cluster_file_says_what_to_write() {
    for (cluster, expected) in [
        ("[router]\nlisen = \"\"", "2: unknown key router.lisen; write listen"),
        ("zebra = 1", "1: unknown key zebra; the keys here are shard_map, router,"),
        ("router = 1", "1: router is an integer; write a table"),
        ("[router]\nlisten = 8080", "2: router.listen is an integer; write a string, in quotes"),
        (
            "[router]\nlisten = \"localhost:1\"",
            "2: router.listen is \"localhost:1\", which is not IP:PORT; write",
        ),
        (
            "[router]\nlisten = \"127.0.0.1:9080\"",
            "1: router.listen and router.metrics are the same address; give",
        ),
        ("[router]\necho = \"yes\"", "2: router.echo is a string; write true or false"),
        (
            "[router]\nworkers = 1000",
            "2: router.workers is 1000; write a whole number from 0 to 256",
        ),
        (
            "[router]\nworkers = 0xffffffffffffffffffff",
            "2: router.workers is 0xffffffffffffffffffff; write",
        ),
        (
            "[router]\nallowed_origins = [\n\"http://a\",\n\"b\"]",
            "4: router.allowed_origins[1] is \"b\", which is not an origin; write",
        ),
        (
            "[router]\nallowed_origins = [\"*\", \"http://a\"]",
            "2: router.allowed_origins has \"*\" beside other origins; write",
        ),
        (
            "[router]\ntrusted_proxies = [\"10.0.0.0/40\"]",
            "2: router.trusted_proxies[0] is \"10.0.0.0/40\", which is not a network; write",
        ),
        (
            "[router]\nclose_rate = 0",
            "2: router.close_rate is 0; write a whole number from 1 to 10000000",
        ),
        ("[router]\nhandover = \"\"", "2: router.handover is empty; write a path, or leave it out"),
        ("[move]\nsessions = 0", "2: move.sessions is 0; write a whole number from 1 to 10000000"),
        ("[drain]\ntimeout = \"2h\"", "2: drain.timeout is 2h; write \"0ms\" to \"1h\""),
        ("[health]\ninterval = \"1ms\"", "2: health.interval is 1ms; write \"50ms\" to \"1h\""),
        (
            "[health]\ninterval = \"1s\"\ntimeout = \"2s\"",
            "1: health.timeout is less than four times health.interval; give",
        ),
        ("[router]\nhold = \"2h\"", "2: router.hold is 2h; write \"0ms\" to \"1h\""),
        (
            "[router]\ntls = { cert = \"none.pem\" }",
            "2: router.tls.key is missing; write key = \"key.pem\"",
        ),
        ("[auth]\nmode = \"none\"", "2: auth.mode is \"none\"; write \"open\" or \"jwt\""),
        ("[auth]\nmode = \"jwt\"", "2: auth.mode is \"jwt\", but auth.jwt is missing; write jwt ="),
        (
            "[auth]\njwt = { algorithm = \"none\", key = \"k\" }",
            "2: auth.jwt.algorithm is \"none\"; write \"HS256\"",
        ),
        (
            "[auth]\njwt = { algorithm = \"HS256\", key = \"k\" }",
            "1: auth.jwt is set but auth.mode is not; write mode = \"jwt\"",
        ),
        ("shard_map = 1", "1: shard_map is an integer; write a string, in quotes"),
        (
            "[auth]\njwt = { algorithm = \"RS256\", key = \"k\" }",
            "2: auth.jwt.key is not PEM; give an RSA public key",
        ),
        (
            "[auth]\njwt = { algorithm = \"HS256\" }",
            "2: auth.jwt.key is missing; write key = \"${JWT_KEY}\"",
        ),
        (
            "[cluster]\nsecret = \"${NONE}\"",
            "2: cluster.secret takes ${NONE}, which is not set; set",
        ),
        ("[cluster]\nsecret = \"file:none\"", "2: cluster.secret takes the file"),
        (
            "[cluster]\nsecret = \"fifteen bytes..\"",
            "2: cluster.secret has fewer than 16 bytes; write",
        ),
        ("[limits]\nmessage = \"64KB\"", "2: limits.message is not a size; write"),
        ("[limits]\nmessage = \"0B\"", "2: limits.message is 0B; write \"1B\" to \"32MiB\""),
        (
            "[limits]\nrooms_per_session = 0",
            "2: limits.rooms_per_session is 0; write a whole number from 1",
        ),
        ("[heartbeat]\ntimeout = \"20\"", "2: heartbeat.timeout has no unit; write"),
        ("[history]\nage = \"1000d\"", "2: history.age is 1000d; write \"1ms\" to \"365d\""),
        (
            "[presence]\nannounce_up_to = 1.5",
            "2: presence.announce_up_to is a float; write a whole number",
        ),
        (
            "[presence]\nannounce_up_to = -1",
            "2: presence.announce_up_to is -1; write a whole number from 0",
        ),
        ("[log]\nlevel = \"inof\"", "2: log.level is \"inof\", which is not a log filter; write"),
        ("[log]\nformat = \"xml\"", "2: log.format is \"xml\"; write \"text\" or \"json\""),
        ("shard_map = \"none.toml\"", "1: shard_map names none.toml, which can't be read"),
        ("a = 1\nb = \"open", "2: this is not TOML: "),
        ("a = 1\na = 2", "2: this is not TOML: duplicate key"),
    ] {
        let expected = format!("cluster.toml:{expected}");
        let problems = cluster_problems(cluster);
        assert!(problems.iter().any(|p| p.starts_with(&expected)), "{problems:#?}\nfor {expected}");
    }
}

#[test]
fn a_mistake_in_the_map_says_what_to_write() {
    let with = |from: &str, to: &str| MAP.replace(from, to);
    let second = |id: &str, port: u16| {
        format!(
            "{MAP}[[shard]]\nid = \"{id}\"\ngrpc = \"127.0.0.1:{port}\"\nmetrics = \"127.0.0.1:2\""
        )
    };
    for (map, expected) in [
        (String::new(), "1: version is missing; write version = 1"),
        ("version = 1\n".to_owned(), "1: shard is missing; write"),
        ("shard = []".to_owned(), "1: shard is empty; write at least one [[shard]]"),
        (with("version = 1", "version = 0"), "1: version is 0; write a whole number from 1"),
        (with("\"01", "\"0"), "2: hash_key is not 32 hexadecimal digits; write"),
        (with("\"a\"", "\"a/b\""), "4: shard[0].id is \"a/b\", which is not a shard's ID; write"),
        (with("7101", "71010"), "5: shard[0].grpc is \"127.0.0.1:71010\", which is not HOST:PORT"),
        (with("id = \"a\"", ""), "3: shard[0].id is missing; write id = \"a\""),
        (
            with("9101", "7101"),
            "6: shard[0].metrics is \"127.0.0.1:7101\", as shard[0].grpc is; give",
        ),
        (format!("{MAP}weight = 0"), "7: shard[0].weight is 0; write a number from 0.001 to 1000"),
        (format!("{MAP}weight = -1.5"), "7: shard[0].weight is -1.5; write"),
        (format!("{MAP}weight = nan"), "7: shard[0].weight is nan; write"),
        (format!("{MAP}weight = inf"), "7: shard[0].weight is inf; write"),
        (format!("{MAP}weight = 1e999"), "7: shard[0].weight is 1e999; write"),
        (format!("{MAP}wieght = 1.0"), "7: unknown key shard[0].wieght; write weight"),
        (second("a", 1), "8: shard[1].id is \"a\", as shard[0].id is; give"),
        (second("b", 7101), "9: shard[1].grpc is \"127.0.0.1:7101\", as shard[0].grpc is; give"),
    ] {
        let expected = format!("shards.toml:{expected}");
        let problems = map_problems(&map);
        assert!(problems.iter().any(|p| p.starts_with(&expected)), "{problems:#?}\nfor {expected}");
    }
}

#[test]
fn a_map_beyond_loopback_needs_a_secret_or_certificates() {
    let remote = MAP.replace("127.0.0.1:7101", "10.0.0.1:7101");
    let problems = map_problems(&remote);
    assert_eq!(problems.len(), 1, "{problems:#?}");
    assert!(
        problems[0].starts_with("shards.toml:5: shard[0].grpc is 10.0.0.1:7101, beyond loopback")
    );
    let secured = "[cluster]\nsecret = \"sixteen bytes ..\"";
    assert!(Files::new(secured, &remote).load().is_ok());
    let files = Files::new("", &remote);
    assert!(load_map(&files.path("shards.toml")).is_ok());
}

#[test]
fn shards_on_port_0_don_t_share_an_address() {
    let two =
        format!("{MAP}[[shard]]\nid = \"b\"\ngrpc = \"127.0.0.1:0\"\nmetrics = \"127.0.0.1:0\"");
    assert!(Files::new("", &two).load().is_ok());
}

#[test]
fn a_token_s_key_comes_from_where_the_file_says() {
    let cluster = "[auth]\nmode = \"jwt\"\njwt = { algorithm = \"HS256\", key = \"${KEY}\" }";
    match Files::new(cluster, MAP).load().unwrap().settings.auth {
        Auth::Jwt(jwt) => assert_eq!(jwt.key, b"from the environment"),
        Auth::Open => panic!("the mode is jwt"),
    }
}

#[test]
fn a_map_given_by_the_caller_takes_the_place_of_the_file_s() {
    let files = Files::new("shard_map = \"none.toml\"", MAP);
    let loaded = load_with_map(&files.path("cluster.toml"), &files.path("shards.toml")).unwrap();
    assert_eq!(loaded.settings.shard_map, files.path("shards.toml"));
}

#[test]
fn a_file_that_is_not_there_is_a_problem_without_a_line() {
    let problems = load(Path::new("/none/cluster.toml")).unwrap_err();
    let problem = problems.iter().next().unwrap();
    assert_eq!(problem.line, None);
    assert!(problem.to_string().starts_with("/none/cluster.toml: can't be read: "), "{problem}");
}

#[test]
fn a_rendered_map_is_read_as_the_same_map() {
    let text =
        format!("{MAP}weight = 0.1\n[[shard]]\nid = \"b\"\ngrpc = \"[::1]:0\"\nmetrics = \"h:1\"");
    let files = Files::new("", &text);
    let map = load_map(&files.path("shards.toml")).unwrap();
    std::fs::write(files.path("again.toml"), render_map(&map)).unwrap();
    let again = load_map(&files.path("again.toml")).unwrap();
    assert_eq!(again.id(), map.id());
    assert_eq!(again.shards(), map.shards());
}

#[test]
fn a_file_is_known_as_a_map_by_its_keys_even_when_it_is_broken() {
    let files = Files::new("", MAP);
    let either = |name| load_either(&files.path(name));
    assert!(matches!(either("shards.toml"), Ok(Either::Map(_))));
    assert!(matches!(either("cluster.toml"), Ok(Either::Cluster(_))));
    std::fs::write(files.path("broken.toml"), "version = 1\nhash_kay = 1\n").unwrap();
    let problems = either("broken.toml").unwrap_err().to_string();
    assert!(problems.contains("unknown key hash_kay; write hash_key"), "{problems}");
}

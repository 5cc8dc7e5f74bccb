//! What is not granted, and how that is said.

use super::{note, servers, setup};
use crate::harness::{KEY, Server, Setup, get};

#[tokio::test]
async fn only_who_has_a_key_is_served() {
    let cluster = setup().start().await;
    for server in servers(&cluster) {
        for headers in ["", "Authorization: Bearer nope\r\n", "Authorization: Basic Og==\r\n"] {
            let path = "/rooms/lobby/presence";
            let answer = server.ask_with("GET", path, headers, "").await;
            assert_eq!(answer.refused(), (401, "unauthenticated".to_owned()));
            assert_eq!(answer.header("WWW-Authenticate"), Some("Bearer"));
        }
        // What it is, is no secret.
        let description = get(server.port, "/api/v1/openapi.json").await.granted();
        assert_eq!(description["openapi"], "3.1.0");
    }
}

#[tokio::test]
async fn every_configured_key_opens_it() {
    let keys = format!("[api]\nkeys = [\"{KEY}\", \"the next one of them\"]");
    let cluster = Setup::new().section(&keys).start().await;
    let server = Server { port: cluster.port };
    server.get("/rooms/lobby/presence").await.granted();
    let headers = "Authorization: Bearer the next one of them\r\n";
    server.ask_with("GET", "/rooms/lobby/presence", headers, "").await.granted();
}

#[tokio::test]
async fn without_a_key_in_the_settings_there_is_none_to_ask() {
    let cluster = Setup::new().start().await;
    let answer = Server { port: cluster.port }.get("/rooms/lobby/presence").await;
    assert_eq!(answer.refused(), (404, "not_found".to_owned()));
}

/// The status, the code and the methods that would do.
async fn refused(
    server: Server,
    method: &str,
    path: &str,
    body: &str,
) -> (u16, String, Option<String>) {
    let answer = server.ask(method, path, body).await;
    let (status, code) = answer.refused();
    (status, code, answer.header("Allow").map(ToOwned::to_owned))
}

#[tokio::test]
async fn mistakes_are_told_and_change_nothing() {
    let mut cluster = setup().start().await;
    let ids = cluster.ids();
    let path = "/rooms/lobby/messages";
    let huge = note("x".repeat(64 * 1024)).to_string();
    let larger = format!("{{\"event\":\"{}\"}}", "x".repeat(2 * 1024 * 1024));
    let many = format!("{{\"messages\":[{}]}}", vec!["{\"event\":\"e\"}"; 101].join(","));
    for server in servers(&cluster) {
        let plain = |status, code: &str| (status, code.to_owned(), None);
        assert_eq!(refused(server, "GET", "/rooms", "").await, plain(404, "not_found"));
        assert_eq!(
            refused(server, "PUT", path, "").await,
            (405, "method_not_allowed".to_owned(), Some("POST".to_owned()))
        );
        for body in [
            "",
            "[]",
            "{\"event\":",
            "{\"event\":\"\"}",
            "{\"data\":1}",
            "{\"event\":\"e\",\"data\":1,\"args\":[]}",
            "{\"event\":\"e\",\"unknown\":1}",
            "{\"event\":\"connect_error\"}",
            "{\"event\":\"e\",\"ack_timeout\":\"61s\"}",
            "{\"event\":\"e\",\"key\":\"\"}",
            "{\"messages\":{}}",
        ] {
            assert_eq!(
                refused(server, "POST", path, body).await,
                plain(400, "bad_request"),
                "{body:.60}"
            );
        }
        for query in ["?limit=0", "?limit=1001", "?after=x", "?before=-1", "?unknown=1"] {
            let path = format!("/rooms/lobby/history{query}");
            assert_eq!(
                refused(server, "GET", &path, "").await,
                plain(400, "bad_request"),
                "{query}"
            );
        }
        assert_eq!(refused(server, "POST", path, &huge).await, plain(413, "too_large"));
        assert_eq!(refused(server, "POST", path, &larger).await, plain(413, "too_large"));
        assert_eq!(refused(server, "POST", path, &many).await, plain(413, "too_large"));
        let headers = format!("Authorization: Bearer {KEY}\r\nContent-Type: text/plain\r\n");
        let answer = server.ask_with("POST", path, &headers, "{\"event\":\"e\"}").await;
        assert_eq!(answer.refused(), (415, "unsupported_media_type".to_owned()));
        let history = server.get("/rooms/lobby/history").await.granted();
        assert_eq!(history["messages"].as_array().map(Vec::len), Some(0));
    }
    cluster.goes_on_as(&ids).await;
}

#[tokio::test]
async fn while_a_shard_is_gone_what_is_on_it_is_unavailable_and_nothing_else() {
    let mut cluster = setup().start().await;
    let (gone, there) = (cluster.room_on("b"), cluster.room_on("c"));
    let user = cluster.user_on("b", 0);
    cluster.kill_shard("b").await;
    for server in servers(&cluster) {
        for (path, body) in [
            (format!("/rooms/{gone}/messages"), Some(note(1))),
            (format!("/users/{user}/messages"), Some(note(1))),
            (format!("/rooms/{gone}/history"), None),
            (format!("/rooms/{gone}/presence"), None),
        ] {
            let answer = match body {
                Some(body) => server.post(&path, &body).await,
                None => server.get(&path).await,
            };
            assert_eq!(answer.refused(), (503, "unavailable".to_owned()), "{path}");
            assert_eq!(answer.header("Retry-After"), Some("1"));
        }
        server.post(&format!("/rooms/{there}/messages"), &note(1)).await.granted();
    }
    cluster.start_shard("b").await;
    for server in servers(&cluster) {
        let is_back =
            async || server.post(&format!("/rooms/{gone}/messages"), &note(1)).await.status == 200;
        cluster.eventually("its room is served again", is_back).await;
    }
}

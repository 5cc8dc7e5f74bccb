//! Requests that are not, or not yet, WebSockets.

use std::time::Duration;

use trunkline_config::settings::AllowedOrigins;

use crate::harness::{FakeShard, Raw, Stage, request, soon, start};

async fn get(stage: &Stage, path: &str) -> String {
    let mut raw = Raw::connect(stage.address()).await;
    let request = format!("GET {path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n");
    raw.write(request.as_bytes()).await;
    raw.rest().await
}

/// The head that answers an upgrade request.
async fn upgrade(stage: &Stage, path: &str, headers: &str) -> String {
    let mut raw = Raw::connect(stage.address()).await;
    raw.write(request(stage.address(), path, headers).as_bytes()).await;
    raw.head().await
}

#[tokio::test]
async fn the_page_and_health_are_served() {
    let stage = Stage::set().await;
    let page = get(&stage, "/").await;
    assert!(page.starts_with("HTTP/1.1 200 ") && page.contains("content-security-policy"));
    assert!(page.contains("<!doctype html>"), "{page}");
    assert!(get(&stage, "/healthz").await.starts_with("HTTP/1.1 200 "));
    assert!(get(&stage, "/readyz").await.starts_with("HTTP/1.1 200 "));
    assert!(get(&stage, "/nothing").await.starts_with("HTTP/1.1 404 "));
    assert!(get(&stage, "/ws").await.starts_with("HTTP/1.1 400 "));
}

#[tokio::test]
async fn a_router_without_trunks_is_alive_and_not_ready() {
    let shard = FakeShard::start().await;
    let address = shard.stop().await;
    let router = start(&prometheus::Registry::new(), address, |_| {}).await;
    for (path, status) in [("/healthz", "200"), ("/readyz", "503")] {
        let mut raw = Raw::connect(router.local_addr()).await;
        raw.write(format!("GET {path} HTTP/1.1\r\nHost: x\r\n\r\n").as_bytes()).await;
        let head = raw.head().await;
        assert!(head.starts_with(&format!("HTTP/1.1 {status} ")), "{path}: {head}");
    }
}

#[tokio::test]
async fn pages_of_another_origin_get_403() {
    let stage = Stage::set_with(|settings| {
        let listed = vec!["https://app.example".to_owned()];
        settings.router.allowed_origins = AllowedOrigins::Listed(listed);
    })
    .await;
    let evil = upgrade(&stage, "/ws", "Origin: https://evil.example\r\n").await;
    assert!(evil.starts_with("HTTP/1.1 403 "), "{evil}");
    let own = format!("Origin: http://{}\r\n", stage.address());
    for origin in [own.as_str(), "Origin: https://app.example\r\n", ""] {
        let head = upgrade(&stage, "/ws", origin).await;
        assert!(head.starts_with("HTTP/1.1 101 "), "{origin}: {head}");
    }
    assert_eq!(stage.metric("trunkline_handshake_failures_total{why=\"origin\"}"), 1);
}

#[tokio::test]
async fn bad_ids_get_400() {
    let stage = Stage::set().await;
    let long = "x".repeat(257);
    for query in ["room=", "room=%00", "user=~a", "user=%ff", "inbox=5", &format!("room={long}")] {
        let head = upgrade(&stage, &format!("/ws?{query}"), "").await;
        assert!(head.starts_with("HTTP/1.1 400 "), "{query}: {head}");
    }
}

#[tokio::test]
async fn another_websocket_version_gets_426() {
    let stage = Stage::set().await;
    let mut raw = Raw::connect(stage.address()).await;
    let old = request(stage.address(), "/ws", "").replace("Version: 13", "Version: 8");
    raw.write(old.as_bytes()).await;
    let head = raw.head().await;
    assert!(head.starts_with("HTTP/1.1 426 "), "{head}");
    assert!(head.contains("sec-websocket-version: 13"), "{head}");
}

#[tokio::test]
async fn the_subprotocol_is_offered_back() {
    let stage = Stage::set().await;
    let head = upgrade(&stage, "/ws", "Sec-WebSocket-Protocol: trunkline.v1\r\n").await;
    assert!(head.contains("sec-websocket-protocol: trunkline.v1"), "{head}");
}

#[tokio::test]
async fn a_header_of_100_kb_gets_431() {
    let stage = Stage::set().await;
    let mut raw = Raw::connect(stage.address()).await;
    let header = format!("X-Large: {}\r\n", "x".repeat(100_000));
    raw.try_write(request(stage.address(), "/ws", &header).as_bytes()).await;
    let head = raw.head().await;
    // The answer can be overtaken by the reset that the unread rest of the header causes.
    assert!(head.is_empty() || head.starts_with("HTTP/1.1 431 "), "{head}");
}

#[tokio::test]
async fn a_header_just_beyond_the_limit_gets_431() {
    let stage = Stage::set_with(|settings| settings.limits.header = 1024).await;
    let small = upgrade(&stage, "/ws", &format!("X-Fits: {}\r\n", "x".repeat(500))).await;
    assert!(small.starts_with("HTTP/1.1 101 "), "{small}");
    let large = upgrade(&stage, "/ws", &format!("X-Large: {}\r\n", "x".repeat(1000))).await;
    assert!(large.starts_with("HTTP/1.1 431 "), "{large}");
}

#[tokio::test]
async fn a_header_that_does_not_come_in_time_ends_the_connection() {
    let stage =
        Stage::set_with(|settings| settings.limits.header_timeout = Duration::from_millis(200))
            .await;
    let mut silent = Raw::connect(stage.address()).await;
    let mut half = Raw::connect(stage.address()).await;
    half.write(b"GET /ws HTTP/1.1\r\nHost: x\r\n").await;
    let mut dripping = Raw::connect(stage.address()).await;
    dripping.drip(b"GET /ws HTTP/1.1\r\nX-Slow: ", Duration::from_millis(20)).await;
    silent.ended().await;
    half.rest().await;
    assert_eq!(stage.metric("trunkline_connections"), 0);
}

#[tokio::test]
async fn a_full_worker_says_so_and_has_room_again_when_one_leaves() {
    let mut stage = Stage::set_with(|settings| settings.limits.connections_per_worker = 1).await;
    let (first, number) = stage.client("").await;
    let refused = upgrade(&stage, "/ws", "").await;
    assert!(refused.starts_with("HTTP/1.1 503 ") && refused.contains("retry-after"), "{refused}");
    assert!(get(&stage, "/healthz").await.starts_with("HTTP/1.1 200 "));
    first.close().await;
    assert_eq!(stage.trunk.detach().await, number);
    stage.client("").await;
}

#[tokio::test]
async fn sockets_beyond_the_reserve_are_closed_at_once() {
    let stage = Stage::set_with(|settings| settings.limits.connections_per_worker = 1).await;
    let mut held = Vec::new();
    for _ in 0..257 {
        held.push(Raw::connect(stage.address()).await);
    }
    Raw::connect(stage.address()).await.ended().await;
    held.clear();
    // Their places are free again as soon as the router has noticed.
    stage.counts("trunkline_handshake_failures_total{why=\"full\"}", 1).await;
    soon("a free place", async {
        loop {
            let mut raw = Raw::connect(stage.address()).await;
            raw.try_write(b"GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n").await;
            if raw.head().await.starts_with("HTTP/1.1 200 ") {
                break;
            }
        }
    })
    .await;
}

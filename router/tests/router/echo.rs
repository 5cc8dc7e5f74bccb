//! `/echo`, for conformance suites.

use crate::harness::{Raw, Stage, frame};

#[tokio::test]
async fn echo_is_not_there_unless_it_is_asked_for() {
    let stage = Stage::set().await;
    let mut raw = Raw::connect(stage.address()).await;
    raw.write(crate::harness::request(stage.address(), "/echo", "").as_bytes()).await;
    assert!(raw.head().await.starts_with("HTTP/1.1 404 "));
}

#[tokio::test]
async fn echo_returns_each_message_as_it_came() {
    let stage = Stage::set_with(|settings| settings.router.echo = true).await;
    let mut raw = Raw::upgrade(stage.address(), "/echo").await;
    for (first, payload) in [(0x81, b"text".to_vec()), (0x82, vec![0, 255]), (0x81, vec![])] {
        raw.write(&frame(first, &payload)).await;
        assert_eq!(raw.read().await, (first, payload));
    }
}

#[tokio::test]
async fn echo_takes_messages_of_16_mib() {
    let stage = Stage::set_with(|settings| settings.router.echo = true).await;
    let mut raw = Raw::upgrade(stage.address(), "/echo").await;
    let large = vec![b'x'; 16 * 1024 * 1024];
    for _ in 0..2 {
        raw.write(&frame(0x82, &large)).await;
        let (first, payload) = raw.read().await;
        assert!(first == 0x82 && payload == large);
    }
}

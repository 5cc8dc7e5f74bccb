//! The router asks whether clients are still there.

use std::time::Duration;

use crate::harness::{Stage, frame};

async fn quick() -> Stage {
    Stage::set_with(|settings| {
        settings.heartbeat.interval = Duration::from_millis(100);
        settings.heartbeat.timeout = Duration::from_millis(300);
    })
    .await
}

#[tokio::test]
async fn who_is_silent_after_a_ping_is_closed_with_4002() {
    let mut stage = quick().await;
    let (mut raw, number) = stage.raw("").await;
    assert_eq!(raw.read().await, (0x89, vec![]));
    assert_eq!(raw.close_code().await, 4002);
    drop(raw);
    assert_eq!(stage.trunk.detach().await, number);
}

#[tokio::test]
async fn who_answers_or_says_anything_stays() {
    let mut stage = quick().await;
    let (mut pong, _) = stage.raw("").await;
    let (mut text, _) = stage.raw("").await;
    // Three times the timeout.
    for _ in 0..9 {
        assert_eq!(pong.read().await, (0x89, vec![]));
        pong.write(&frame(0x8a, b"")).await;
        assert_eq!(text.read().await, (0x89, vec![]));
        text.write(&frame(0x81, b"not a pong")).await;
    }
    assert_eq!(stage.metric("trunkline_connections"), 2);
}

//! Shards go away and serve again under Socket.IO's own clients, who notice nothing.

use super::{proves, rules, setup, unharmed};
use crate::harness::TRUNKLINE;

async fn nothing_is_noticed(mode: &str) {
    let cluster = setup(rules!("moves")).start().await;
    let config = cluster.config();
    let arguments = [mode, "--trunkline", TRUNKLINE, "--config", &config];
    proves("moves", &arguments, &cluster.http_urls(), 3).await;
    unharmed(cluster).await;
}

#[tokio::test]
async fn clients_that_poll_notice_nothing_when_shards_are_drained() {
    nothing_is_noticed("polling").await;
}

#[tokio::test]
async fn clients_by_websocket_notice_nothing_when_shards_are_drained() {
    nothing_is_noticed("websocket").await;
}

#[tokio::test]
async fn clients_that_change_to_a_websocket_notice_nothing_when_shards_are_drained() {
    nothing_is_noticed("upgrade").await;
}

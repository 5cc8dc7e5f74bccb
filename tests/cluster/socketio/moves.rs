//! Shards go away and serve again under Socket.IO's own clients, who notice nothing.

use super::{proves, rules, setup, unharmed};
use crate::harness::TRUNKLINE;

#[tokio::test]
async fn clients_that_poll_notice_nothing_when_shards_are_drained() {
    let cluster = setup(rules!("moves")).start().await;
    let config = cluster.config();
    let arguments = ["polling", "--trunkline", TRUNKLINE, "--config", &config];
    proves("moves", &arguments, &cluster.http_urls(), 3).await;
    unharmed(cluster).await;
}

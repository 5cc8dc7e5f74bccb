//! Three applications, each with its rules, as users of the library write them.

use super::{proves, rules, setup, unharmed};

#[tokio::test]
async fn a_chat_with_the_server_in_the_middle_works() {
    let cluster = setup(rules!("chat")).start().await;
    proves("chat", &[], &cluster.http_urls(), 7).await;
    unharmed(cluster).await;
}

#[tokio::test]
async fn peers_are_introduced_to_each_other() {
    let cluster = setup(rules!("peer")).start().await;
    proves("peer", &[], &cluster.http_urls(), 9).await;
    unharmed(cluster).await;
}

#[tokio::test]
async fn files_go_from_peer_to_peer_or_through_the_shards() {
    let cluster = setup(rules!("hybrid")).start().await;
    proves("hybrid", &[], &cluster.http_urls(), 6).await;
    unharmed(cluster).await;
}

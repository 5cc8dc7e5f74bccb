//! Shards are killed under Socket.IO's own clients that poll: nobody holds their sessions, and they come
//! back to them all the same.

use super::{install, proves, rules, setup};

#[tokio::test]
async fn clients_that_poll_come_back_to_their_sessions_when_shards_are_killed() {
    install().await;
    let mut cluster = setup(rules!("crash")).start().await;
    let shards: Vec<String> = cluster.shards.keys().cloned().collect();
    let process = |id: &String| format!("{id}={}", cluster.shards[id].id());
    let processes: Vec<String> = shards.iter().map(process).collect();
    let (processes, urls) = (processes.join(","), cluster.http_urls());
    let arguments = ["--shards", processes.as_str()];
    let started_again = async {
        for id in &shards {
            cluster.shards.get_mut(id).expect("a shard").ended().await;
            cluster.start_shard(id).await;
        }
        std::future::pending::<()>().await;
    };
    tokio::select! {
        () = proves("crash", &arguments, &urls, 1) => {}
        () = started_again => {}
    }
}

//! `trunkline chat`, driven through pipes as a script would.

use crate::harness::{Cluster, Process, Setup};

fn chat(cluster: &Cluster, user: &str) -> Process {
    let url = cluster.url();
    let arguments = ["chat", "--url", &url, "--user", user, "--room", "den"];
    Process::start_to_type(&cluster.path(&format!("chat-{user}.log")), &arguments)
}

#[tokio::test]
async fn two_people_talk_in_a_room_and_alone() {
    let cluster = Setup::new().start().await;
    let (name, other) = (cluster.user_on("a", 0), cluster.user_on("b", 0));
    let mut alice = chat(&cluster, &name);
    // Who talks has joined.
    alice.type_line("anybody here?").await;
    alice.line(&format!("{name}: anybody here?")).await;
    let mut bob = chat(&cluster, &other);
    alice.line(&format!("* {other} joined")).await;

    alice.type_line("hello").await;
    bob.line(&format!("{name}: hello")).await;
    bob.type_line("//hello yourself").await;
    alice.line(&format!("{other}: /hello yourself")).await;
    alice.type_line(&format!("/msg {other} between us")).await;
    bob.line(&format!("[private] {name}: between us")).await;

    bob.type_line("/quit").await;
    assert_eq!(bob.ended().await, Some(0));
    alice.line(&format!("* {other} left")).await;
    alice.end_input();
    assert_eq!(alice.ended().await, Some(0));
}

#[tokio::test]
async fn who_is_told_no_ends_with_an_error() {
    let cluster = Setup::new()
        .section("[auth]\nmode = \"jwt\"\njwt = { algorithm = \"HS256\", key = \"0123456789abcdef0123456789abcdef\" }")
        .start()
        .await;
    let mut alice = chat(&cluster, "alice");
    assert_eq!(alice.ended().await, Some(1));
    assert!(alice.errors().contains("4001"), "{}", alice.errors());
}

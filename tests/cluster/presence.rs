//! Who is here: exact, and announced once per user.

use serde_json::json;

use crate::harness::Setup;

#[tokio::test]
async fn a_user_is_announced_with_the_first_connection_and_leaves_with_the_last() {
    let cluster = Setup::new().start().await;
    let room = cluster.room_on("a");
    let mut watcher = cluster.connect("watcher").await;
    watcher.join(&room).await;
    let mut one = cluster.connect(&cluster.user_on("b", 0)).await;
    let mut two = cluster.connect(&one.user).await;
    one.join(&room).await;
    two.join(&room).await;
    let presence = watcher.ok(json!({"type": "presence", "room": room})).await;
    assert_eq!(
        presence["users"],
        json!([{"user": one.user, "connections": 2}, {"user": "watcher", "connections": 1}])
    );
    assert_eq!(presence["sure"], true);
    let user = one.user.clone();
    one.leave(&room).await;
    two.close().await;
    assert_eq!(watcher.next().await, json!({"type": "joined", "room": room, "user": user}));
    assert_eq!(watcher.next().await, json!({"type": "left", "room": room, "user": user}));
    let presence = watcher.ok(json!({"type": "presence", "room": room})).await;
    assert_eq!(presence["users"], json!([{"user": "watcher", "connections": 1}]));
}

#[tokio::test]
async fn a_large_room_announces_nobody_and_still_knows_everybody() {
    let cluster = Setup::new().section("[presence]\nannounce_up_to = 3").start().await;
    let room = cluster.room_on("b");
    let mut members = Vec::new();
    for n in 0..5 {
        let mut member = cluster.connect(&format!("member-{n}")).await;
        member.join(&room).await;
        members.push(member);
    }
    let first = &mut members[0];
    let page = first.ok(json!({"type": "presence", "room": room, "limit": 2})).await;
    assert_eq!(page["users"][1]["user"], "member-1");
    let rest = json!({"type": "presence", "room": room, "after": "member-1"});
    assert_eq!(first.ok(rest).await["users"].as_array().unwrap().len(), 3);
    let heard = first.so_far().await;
    let joined: Vec<_> = heard.iter().map(|it| it["user"].as_str().unwrap()).collect();
    assert_eq!(joined, ["member-1", "member-2"]);
}

#[tokio::test]
async fn members_behind_a_dead_router_stay_for_the_grace_and_no_longer() {
    let mut cluster = Setup::new().section("[presence]\ngrace = \"1s\"").start().await;
    let room = cluster.room_on("a");
    let mut lost = cluster.connect("lost").await;
    lost.join(&room).await;
    cluster.kill_router().await;
    cluster.start_router().await;
    let mut watcher = cluster.connect("watcher").await;
    watcher.join(&room).await;
    let presence = watcher.ok(json!({"type": "presence", "room": room})).await;
    assert_eq!(presence["sure"], false);
    assert_eq!(presence["users"][0]["user"], "lost");
    assert_eq!(watcher.next_of("left").await["user"], "lost");
    let presence = watcher.ok(json!({"type": "presence", "room": room})).await;
    assert_eq!(presence["sure"], true);
}

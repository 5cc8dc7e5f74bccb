//! Rooms: order, history, recovery, idempotency, ephemeral messages.

use serde_json::{Value, json};

use crate::harness::{Connection, Setup};

fn data(objects: &[Value]) -> Vec<Value> {
    objects.iter().filter(|it| it["type"] == "message").map(|it| it["data"].clone()).collect()
}

#[tokio::test]
async fn everybody_hears_the_same_order_without_gap_or_repeat() {
    let cluster = Setup::new().start().await;
    let room = cluster.room_on("b");
    let mut members = Vec::new();
    for shard in ["a", "b", "c", "a", "b", "c"] {
        let user = cluster.user_on(shard, members.len());
        let mut member = cluster.connect(&user).await;
        member.join(&room).await;
        members.push(member);
    }
    // All publish at once, without waiting for replies.
    for round in 0..50 {
        for member in &mut members {
            let text = json!({"type": "publish", "room": room, "event": "e", "data": round});
            member.wire.send_json(&text).await.unwrap();
        }
    }
    let mut orders = Vec::new();
    for member in &mut members {
        let mut order = Vec::new();
        while order.len() < 300 {
            let message = member.next_of("message").await;
            order.push((message["offset"].as_u64().unwrap(), message["from"].clone()));
        }
        orders.push(order);
    }
    assert!(orders[0].iter().map(|(offset, _)| *offset).eq(1..=300));
    assert!(orders.iter().all(|order| *order == orders[0]));
}

#[tokio::test]
async fn a_publish_is_acknowledged_before_it_is_heard() {
    let cluster = Setup::new().start().await;
    let room = cluster.room_on("c");
    let mut alice = cluster.connect(&cluster.user_on("a", 0)).await;
    alice.join(&room).await;
    let text = json!({"type": "publish", "id": 7, "room": room, "event": "e", "data": null});
    alice.wire.send_json(&text).await.unwrap();
    let (first, second) = (alice.next().await, alice.next().await);
    assert_eq!((&first["type"], &first["id"]), (&json!("ok"), &json!(7)));
    assert_eq!((&second["type"], &second["data"]), (&json!("message"), &Value::Null));
    assert_eq!(first["offset"], second["offset"]);
}

#[tokio::test]
async fn who_comes_back_gets_what_was_missed_then_ok_then_what_is_live() {
    let cluster = Setup::new().start().await;
    let room = cluster.room_on("a");
    let mut alice = cluster.connect(&cluster.user_on("b", 0)).await;
    alice.join(&room).await;
    let seen = alice.publish(&room, "seen").await;
    for n in 0..3 {
        alice.publish(&room, n).await;
    }
    let mut bob = cluster.connect(&cluster.user_on("c", 0)).await;
    let after = json!({"epoch": seen["epoch"], "offset": seen["offset"]});
    let ok = bob.ok(json!({"type": "join", "room": room, "after": after})).await;
    assert_eq!((&ok["recovered"], &ok["offset"]), (&json!(true), &json!(4)));
    assert_eq!(data(&bob.so_far().await), [0, 1, 2]);
    alice.publish(&room, "live").await;
    assert_eq!(bob.next_of("message").await["data"], "live");
}

#[tokio::test]
async fn what_is_no_more_is_said_to_be_a_gap() {
    let cluster = Setup::new().section("[history]\nmessages = 5").start().await;
    let room = cluster.room_on("a");
    let mut alice = cluster.connect("alice").await;
    let epoch = alice.join(&room).await["epoch"].clone();
    for n in 1..=20 {
        alice.publish(&room, n).await;
    }
    let mut bob = cluster.connect("bob").await;
    let after = json!({"epoch": epoch, "offset": 3});
    let ok = bob.ok(json!({"type": "join", "room": room, "after": after})).await;
    assert_eq!(ok["recovered"], false);
    let seen = bob.so_far().await;
    assert_eq!((&seen[0]["type"], &seen[0]["offset"]), (&json!("gap"), &json!(15)));
    assert_eq!(data(&seen), [16, 17, 18, 19, 20]);

    let mut carol = cluster.connect("carol").await;
    let after = json!({"epoch": "another", "offset": 3});
    let ok = carol.ok(json!({"type": "join", "room": room, "after": after})).await;
    assert_eq!(ok["recovered"], false);
    assert_eq!(carol.next().await["type"], "gap");
}

#[tokio::test]
async fn history_is_paged_both_ways() {
    let cluster = Setup::new().start().await;
    let room = cluster.room_on("a");
    let mut alice = cluster.connect("alice").await;
    alice.join(&room).await;
    for n in 1..=10 {
        alice.publish(&room, n).await;
    }
    let mut page = async |extra: Value| {
        let mut request = json!({"type": "history", "room": room});
        request.as_object_mut().unwrap().extend(extra.as_object().unwrap().clone());
        let reply = alice.ok(request).await;
        data(reply["messages"].as_array().unwrap())
    };
    assert_eq!(page(json!({"limit": 3})).await, [8, 9, 10]);
    assert_eq!(page(json!({"before": 8, "limit": 3})).await, [5, 6, 7]);
    assert_eq!(page(json!({"after": 2, "limit": 3})).await, [3, 4, 5]);
    assert_eq!(page(json!({"after": 2, "before": 5})).await, [3, 4]);
    assert_eq!(page(json!({})).await.len(), 10);
}

#[tokio::test]
async fn a_repeated_key_is_published_once_and_answered_alike() {
    let cluster = Setup::new().start().await;
    let room = cluster.room_on("c");
    let user = cluster.user_on("a", 0);
    let mut alice = cluster.connect(&user).await;
    alice.join(&room).await;
    let publish =
        json!({"type": "publish", "room": room, "event": "e", "data": 1, "key": "order-17"});
    let first = alice.ok(publish.clone()).await;
    // The same user, by another connection, after the first one was lost.
    let mut again = cluster.connect(&user).await;
    again.join(&room).await;
    let second = again.ok(publish).await;
    assert_eq!((&first["epoch"], &first["offset"]), (&second["epoch"], &second["offset"]));
    assert_eq!(data(&alice.so_far().await), [1]);
}

#[tokio::test]
async fn ephemeral_messages_are_heard_and_not_kept() {
    let cluster = Setup::new().start().await;
    let room = cluster.room_on("b");
    let mut alice = cluster.connect("alice").await;
    let mut bob = cluster.connect("bob").await;
    alice.join(&room).await;
    bob.join(&room).await;
    let typing = json!({
        "type": "publish", "room": room, "event": "typing", "data": true,
        "ephemeral": true, "echo": false,
    });
    let ok = alice.ok(typing).await;
    assert!(ok.get("offset").is_none() && ok.get("epoch").is_none());
    let heard = bob.next_of("ephemeral").await;
    assert_eq!(
        heard,
        json!({"type": "ephemeral", "room": room, "from": "alice", "event": "typing", "data": true})
    );
    assert!(!alice.so_far().await.iter().any(|it| it["type"] == "ephemeral"));
    let history = bob.ok(json!({"type": "history", "room": room})).await;
    assert_eq!(history["messages"], json!([]));
}

#[tokio::test]
async fn without_echo_only_the_publishing_connection_is_left_out() {
    let cluster = Setup::new().start().await;
    let room = cluster.room_on("b");
    let mut here: Vec<Connection> = Vec::new();
    for _ in 0..2 {
        let mut connection = cluster.connect("alice").await;
        connection.join(&room).await;
        here.push(connection);
    }
    let publish = json!({"type": "publish", "room": room, "event": "e", "data": 1, "echo": false});
    here[0].ok(publish).await;
    here[0].publish(&room, 2).await;
    assert_eq!(here[1].next_of("message").await["data"], 1);
    assert_eq!(here[0].next_of("message").await["data"], 2);
}

#[tokio::test]
async fn namespaces_do_not_share_rooms() {
    let cluster = Setup::new().start().await;
    let mut here = cluster.connect("alice").await;
    let mut there = Connection::open(cluster.options().user("bob").namespace("/game")).await;
    here.join("lobby").await;
    assert_eq!(there.join("lobby").await["members"], 1);
    here.publish("lobby", 1).await;
    assert!(data(&there.so_far().await).is_empty());
}

#[tokio::test]
async fn arguments_arrive_as_they_were_sent() {
    let cluster = Setup::new().start().await;
    let room = cluster.room_on("b");
    let mut alice = cluster.connect(&cluster.user_on("a", 0)).await;
    alice.join(&room).await;
    let raw = r#"{"big":12345678901234567890123,"exact":1.10,"é":"\u00e9\n"}"#;
    let text = format!(r#"{{"type":"publish","room":"{room}","event":"e","data":{raw}}}"#);
    alice.wire.send_text(text).await.unwrap();
    let heard = alice.wire.next_text().await.unwrap();
    assert!(heard.contains(&format!("\"data\":{raw}")), "{heard}");
    let text = format!(r#"{{"type":"publish","room":"{room}","event":"e","args":[1, "two"]}}"#);
    alice.wire.send_text(text).await.unwrap();
    assert!(alice.wire.next_text().await.unwrap().contains("\"args\":[1, \"two\"]"));
}

//! Messages to rooms, what rooms have kept, and who is there.

use serde_json::{Value, json};

use super::{note, servers, setup};
use crate::harness::{Cluster, Connection, Socket};

/// A member of each kind, on a shard and a router of its own.
async fn members(cluster: &Cluster, room: &str) -> (Connection, Socket) {
    let mut native = cluster.connect(&cluster.user_on("a", 0)).await;
    native.join(room).await;
    let mut socket = Socket::open(cluster.ports()[1], &cluster.user_on("b", 0)).await;
    socket.join(room).await;
    (native, socket)
}

#[tokio::test]
async fn a_message_reaches_clients_of_both_kinds_by_any_router() {
    let cluster = setup().start().await;
    for shard in ["a", "b", "c"] {
        let room = cluster.room_on(shard);
        let (mut native, mut socket) = members(&cluster, &room).await;
        for (n, server) in (1..).zip(servers(&cluster)) {
            let path = format!("/rooms/{room}/messages");
            let message = json!({"event": "note", "data": {"n": n}, "from": "billing"});
            let published = server.post(&path, &message).await.granted();
            assert_eq!((&published["room"], &published["offset"]), (&json!(room), &json!(n)));
            let heard = native.next_of("message").await;
            assert_eq!((&heard["event"], &heard["data"]), (&json!("note"), &json!({"n": n})));
            assert_eq!((&heard["from"], &heard["offset"]), (&json!("billing"), &json!(n)));
            let event = socket.event_of("note").await;
            assert_eq!(event.args[1], json!({"n": n}));
            assert_eq!(event.args[2]["from"], "billing");
            assert_eq!(event.args[2]["epoch"], published["epoch"]);
        }
    }
}

#[tokio::test]
async fn any_number_of_arguments_and_any_room_name_will_do() {
    let cluster = setup().start().await;
    let room = "caf\u{e9} / au lait?";
    let (mut native, mut socket) = members(&cluster, room).await;
    let path = "/rooms/caf%C3%A9%20%2F%20au%20lait%3F/messages";
    for args in [json!([]), json!([1, "two", null])] {
        let message = json!({"event": "several", "args": args});
        let published = servers(&cluster)[0].post(path, &message).await.granted();
        assert_eq!(published["room"], room);
        let heard = native.next_of("message").await;
        assert_eq!((&heard["from"], &heard["args"]), (&json!("server"), &args));
        let event = socket.event_of("several").await;
        let count = args.as_array().unwrap().len();
        assert_eq!(json!(event.args[1..=count]), args);
    }
}

#[tokio::test]
async fn a_batch_has_its_order_and_a_result_for_each() {
    let cluster = setup().start().await;
    let room = cluster.room_on("c");
    let (mut native, mut socket) = members(&cluster, &room).await;
    let path = format!("/rooms/{room}/messages");
    for server in servers(&cluster) {
        let mut messages: Vec<Value> = (0..99).map(note).collect();
        messages.insert(50, json!({"event": "connect", "data": 0}));
        let answer = server.post(&path, &json!({"messages": messages})).await.granted();
        let results = answer["results"].as_array().unwrap();
        assert_eq!(results.len(), 100);
        assert_eq!(results[50]["error"]["code"], "bad_request");
        let offsets: Vec<u64> = results.iter().filter_map(|it| it["offset"].as_u64()).collect();
        assert_eq!(offsets.len(), 99);
        assert!(offsets.is_sorted_by(|one, next| next - one == 1), "{offsets:?}");
        for n in 0..99 {
            assert_eq!(native.next_of("message").await["data"], n);
            assert_eq!(socket.event_of("note").await.args[1], n);
        }
    }
}

#[tokio::test]
async fn a_repeat_by_another_router_has_the_first_ones_place_and_is_heard_once() {
    let cluster = setup().start().await;
    let room = cluster.room_on("b");
    let (mut native, mut socket) = members(&cluster, &room).await;
    let path = format!("/rooms/{room}/messages");
    let servers = servers(&cluster);
    let once = json!({"event": "note", "data": "once", "key": "order-1"});
    let first = servers[0].post(&path, &once).await.granted();
    for server in &servers {
        assert_eq!(server.post(&path, &once).await.granted(), first);
    }
    servers[1].post(&path, &note("the next")).await.granted();
    for wanted in ["once", "the next"] {
        assert_eq!(native.next_of("message").await["data"], wanted);
        assert_eq!(socket.event_of("note").await.args[1], wanted);
    }
}

#[tokio::test]
async fn what_is_ephemeral_is_heard_and_not_kept() {
    let cluster = setup().start().await;
    let room = cluster.room_on("a");
    let (mut native, mut socket) = members(&cluster, &room).await;
    for server in servers(&cluster) {
        let passing = json!({"event": "note", "data": "passing", "ephemeral": true});
        let published = server.post(&format!("/rooms/{room}/messages"), &passing).await.granted();
        assert_eq!(published, json!({"room": room}));
        assert_eq!(native.next_of("ephemeral").await["data"], "passing");
        assert_eq!(socket.event_of("note").await.args[1], "passing");
        let history = server.get(&format!("/rooms/{room}/history")).await.granted();
        assert_eq!(history["messages"], json!([]));
    }
}

#[tokio::test]
async fn binary_is_binary_to_those_who_know_it() {
    let cluster = setup().start().await;
    let room = cluster.room_on("b");
    let (mut native, mut socket) = members(&cluster, &room).await;
    for server in servers(&cluster) {
        let data = json!({"name": "a.png", "content": {"$base64": "AAH/"}});
        server.post(&format!("/rooms/{room}/messages"), &note(data.clone())).await.granted();
        assert_eq!(native.next_of("message").await["data"], data);
        let event = socket.event_of("note").await;
        assert_eq!(event.attachments, [[0, 1, 255]]);
        let content = json!({"_placeholder": true, "num": 0});
        assert_eq!(event.args[1], json!({"name": "a.png", "content": content}));
        let history = server.get(&format!("/rooms/{room}/history?limit=1")).await.granted();
        assert_eq!(history["messages"][0]["data"], data);
    }
}

#[tokio::test]
async fn a_namespace_has_rooms_of_its_own() {
    let setup = setup().section("[socketio]\nnamespaces = [\"/\", \"/game-*\"]");
    let cluster = setup.start().await;
    let [one, other] = cluster.ports()[..] else { panic!("two routers") };
    let mut game = Socket::open_in(one, "alice", "/game-1").await;
    let mut other_game = Socket::open_in(other, "bob", "/game-2").await;
    let mut main = Socket::open(other, "carol").await;
    let sockets = [(&mut game, "/game-1"), (&mut other_game, "/game-2"), (&mut main, "/")];
    for (socket, namespace) in sockets {
        socket.join("lobby").await;
        for server in servers(&cluster) {
            let path = format!("/rooms/lobby/messages?namespace={namespace}");
            server.post(&path, &note(namespace)).await.granted();
            // Had it heard what is for the others, that would have come first.
            assert_eq!(socket.event_of("note").await.args[1], namespace);
            let path = format!("/rooms/lobby/presence?namespace={namespace}");
            assert_eq!(server.get(&path).await.granted()["users"].as_array().unwrap().len(), 1);
        }
    }
}

#[tokio::test]
async fn the_room_of_everyone_is_heard_by_who_has_joined_nothing() {
    let setup = setup().section("[socketio]\nnamespaces = [\"/\", \"/game-*\"]");
    let cluster = setup.start().await;
    let mut everyone = Vec::new();
    for (n, shard) in ["a", "b", "c"].into_iter().enumerate() {
        let port = cluster.ports()[n % 2];
        everyone.push(Socket::open(port, &cluster.user_on(shard, 0)).await);
    }
    let mut player = Socket::open_in(cluster.port, "player", "/game-1").await;
    for server in servers(&cluster) {
        for room in ["*", "%2A"] {
            server.post(&format!("/rooms/{room}/messages"), &note("all")).await.granted();
            for socket in &mut everyone {
                assert_eq!(socket.event_of("note").await.args[1], "all");
            }
        }
        server.post("/rooms/*/messages?namespace=/game-1", &note("players")).await.granted();
        assert_eq!(player.event_of("note").await.args[1], "players");
    }
}

#[tokio::test]
async fn history_is_read_by_position() {
    let cluster = setup().start().await;
    let room = cluster.room_on("c");
    let servers = servers(&cluster);
    let messages: Vec<Value> = (1..=20).map(note).collect();
    let path = format!("/rooms/{room}/messages");
    let answer = servers[0].post(&path, &json!({"messages": messages})).await.granted();
    for server in servers {
        let read = async |query: &str| {
            let history = server.get(&format!("/rooms/{room}/history{query}")).await.granted();
            assert_eq!(history["epoch"], answer["results"][0]["epoch"]);
            let messages = history["messages"].as_array().unwrap();
            assert!(messages.iter().all(|it| it["time"].is_u64() && it["from"] == "server"));
            messages.iter().map(|it| it["offset"].as_u64().unwrap()).collect::<Vec<_>>()
        };
        assert_eq!(read("").await, (1..=20).collect::<Vec<_>>());
        assert_eq!(read("?limit=3").await, [18, 19, 20]);
        assert_eq!(read("?after=5&limit=2").await, [6, 7]);
        assert_eq!(read("?before=5&limit=2").await, [3, 4]);
        assert_eq!(read("?after=20").await, [0; 0]);
    }
}

#[tokio::test]
async fn presence_counts_the_connections_of_each_user() {
    let cluster = setup().start().await;
    let room = cluster.room_on("a");
    let (_native, mut socket) = members(&cluster, &room).await;
    let (one, other) = (cluster.user_on("a", 0), cluster.user_on("b", 0));
    let mut again = cluster.connect_to(&cluster.room_on("c"), &one).await;
    again.join(&room).await;
    let user = |user: &str, connections: u32| json!({"user": user, "connections": connections});
    let mut users = [user(&one, 2), user(&other, 1)];
    users.sort_by_key(|it| it["user"].to_string());
    for server in servers(&cluster) {
        let presence = server.get(&format!("/rooms/{room}/presence")).await.granted();
        assert_eq!(presence, json!({"room": room, "users": users, "sure": true}));
        let first = &users[0]["user"].as_str().unwrap();
        let path = format!("/rooms/{room}/presence?after={first}&limit=1");
        assert_eq!(server.get(&path).await.granted()["users"], json!([users[1]]));
    }
    assert_eq!(socket.ask(&json!(["leave", room])).await[0]["type"], "ok");
    let presence = servers(&cluster)[1].get(&format!("/rooms/{room}/presence")).await.granted();
    assert_eq!(presence["users"], json!([user(&one, 2)]));
}

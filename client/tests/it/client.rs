//! The typed client.

use serde_json::json;
use tokio::sync::oneshot;
use trunkline_client::{
    Body, Client, CloseCode, ConnectError, ErrorCode, Event, Events, HistoryQuery, Options,
    Position, PresenceQuery, Publish, RequestError, Sent,
};

use crate::server::{SHORT, serve};

fn message(offset: u64) -> String {
    format!(
        r#"{{"type":"message","room":"r","epoch":"e","offset":{offset},"from":"bob","event":"m","data":{offset},"time":1}}"#
    )
}

async fn next_offset(events: &mut Events) -> u64 {
    match events.next().await {
        Some(Event::Message(message)) => message.position.offset,
        other => panic!("not a message: {other:?}"),
    }
}

#[tokio::test]
async fn connecting_says_who_and_where_and_waits_for_the_welcome() {
    let (options, played) = serve(async |mut peer| {
        peer.welcome().await;
        (peer.path.clone(), peer.authorization.clone(), peer.hear_close().await)
    })
    .await;
    let options = options.user("alice").token("t.o.k").inbox(Position::new("e", 3));
    let (client, _events) = Client::connect(options).await.unwrap();
    assert_eq!((client.session(), client.user()), ("~s1", "alice"));
    assert_eq!(client.close().await.code, CloseCode::NORMAL);
    let (path, authorization, code) = played.await.unwrap();
    assert_eq!(path, "/ws?user=alice&inbox=e%3A3");
    assert_eq!(authorization.as_deref(), Some("Bearer t.o.k"));
    assert_eq!(code, 1000);
}

#[tokio::test]
async fn every_request_gets_its_typed_reply() {
    let (options, played) = serve(async |mut peer| {
        peer.welcome().await;
        let place = r#","room":"r","epoch":"e","offset":4"#;
        let join = peer.grant("join", &format!(r#"{place},"members":2,"recovered":true"#)).await;
        assert_eq!(join["after"], json!({"epoch": "e", "offset": 3}));
        let publish = peer.grant("publish", place).await;
        assert_eq!(publish["data"], json!("hi"));
        peer.grant("publish", r#","room":"r""#).await;
        peer.grant("send", r#","to":"bob","status":"queued""#).await;
        let page = format!(r#","room":"r","epoch":"e","messages":[{}]"#, message(4));
        assert_eq!(peer.grant("history", &page).await["limit"], 1);
        let users = r#","room":"r","users":[{"user":"bob","connections":2}],"sure":true"#;
        peer.grant("presence", users).await;
        peer.grant("auth", "").await;
        peer.grant("ping", "").await;
        peer.grant("leave", r#","room":"r""#).await;
        peer.hear_close().await
    })
    .await;
    let (client, events) = Client::connect(options).await.unwrap();
    let joined = client.join("r", Some(Position::new("e", 3))).await.unwrap();
    assert_eq!(joined.position, Position::new("e", 4));
    assert_eq!((joined.members, joined.recovered), (2, Some(true)));
    let published = client.publish("r", "m", "hi").await.unwrap();
    assert_eq!(published.position, Some(Position::new("e", 4)));
    let typing = Publish::new("r", "typing", Body::data(&true).unwrap()).ephemeral();
    assert_eq!(client.publish_with(typing).await.unwrap().position, None);
    assert_eq!(client.send("bob", "note", &json!({})).await.unwrap(), Sent::Queued);
    let newest = HistoryQuery { limit: Some(1), ..HistoryQuery::default() };
    let history = client.history("r", newest).await.unwrap();
    assert_eq!(history.messages[0].body.decode::<u64>().unwrap(), 4);
    let presence = client.presence("r", PresenceQuery::default()).await.unwrap();
    assert_eq!((presence.users[0].connections, presence.sure), (2, true));
    client.auth("t2").await.unwrap();
    client.ping().await.unwrap();
    client.leave("r").await.unwrap();
    drop((client, events));
    assert_eq!(played.await.unwrap(), 1000, "dropping the last handle says goodbye");
}

#[tokio::test]
async fn replies_find_their_requests_in_any_order() {
    let (options, _) = serve(async |mut peer| {
        peer.welcome().await;
        let (first, second) = (peer.hear().await, peer.hear().await);
        for request in [second, first] {
            let (id, to) = (&request["id"], &request["to"]);
            let status = if to == "bob" { "delivered" } else { "offline" };
            peer.say(format!(r#"{{"type":"ok","id":{id},"to":{to},"status":"{status}"}}"#)).await;
        }
        peer.hear_close().await
    })
    .await;
    let (client, _events) = Client::connect(options).await.unwrap();
    let (bob, eve) = tokio::join!(client.send("bob", "n", &1), client.send("eve", "n", &1));
    assert_eq!((bob.unwrap(), eve.unwrap()), (Sent::Delivered, Sent::Offline));
}

#[tokio::test]
async fn a_refusal_carries_the_servers_code_and_words() {
    let (options, _) = serve(async |mut peer| {
        peer.welcome().await;
        let id = peer.hear().await["id"].clone();
        peer.say(format!(
            r#"{{"type":"error","id":{id},"code":"not_joined","message":"join r first"}}"#
        ))
        .await;
        peer.hear_close().await
    })
    .await;
    let (client, _events) = Client::connect(options).await.unwrap();
    let error = client.publish("r", "m", &1).await.unwrap_err();
    assert_eq!(error.code(), Some(&ErrorCode::NotJoined));
    assert_eq!(error.to_string(), "join r first");
}

#[tokio::test]
async fn what_a_join_missed_comes_before_what_is_live_and_the_end_comes_last() {
    let (options, _) = serve(async |mut peer| {
        peer.welcome().await;
        for offset in 1..=3 {
            peer.say(message(offset)).await;
        }
        let joined = r#","room":"r","epoch":"e","offset":3,"members":1,"recovered":true"#;
        peer.grant("join", joined).await;
        peer.say(message(4)).await;
        peer.say(r#"{"type":"left","room":"r","user":"bob"}"#).await;
        peer.close(1012, "restart").await;
        peer.hear_close().await
    })
    .await;
    let (client, mut events) = Client::connect(options).await.unwrap();
    client.join("r", Some(Position::new("e", 0))).await.unwrap();
    for offset in 1..=4 {
        assert_eq!(next_offset(&mut events).await, offset);
    }
    assert!(matches!(events.next().await, Some(Event::Left(left)) if left.user == "bob"));
    let Some(Event::Closed(closed)) = events.next().await else { panic!("not the end") };
    assert_eq!((closed.code, closed.reason.as_str()), (CloseCode::RESTART, "restart"));
    assert!(events.next().await.is_none());
    assert!(matches!(client.ping().await, Err(RequestError::Closed(end)) if end == closed));
}

#[tokio::test]
async fn a_request_whose_reply_waits_behind_unread_events_says_so() {
    let (told, tell) = oneshot::channel();
    let (options, played) = serve(async |mut peer| {
        peer.welcome().await;
        for offset in 1..=5 {
            peer.say(message(offset)).await;
        }
        peer.grant("ping", "").await;
        tell.await.unwrap();
        peer.grant("ping", "").await;
        peer.hear_close().await
    })
    .await;
    let options = options.events(2).deadline(SHORT);
    let (client, mut events) = Client::connect(options).await.unwrap();
    assert!(matches!(client.ping().await, Err(RequestError::EventsNotRead(_))));
    for offset in 1..=5 {
        assert_eq!(next_offset(&mut events).await, offset, "none was lost");
    }
    told.send(()).unwrap();
    client.ping().await.unwrap();
    drop((client, events));
    played.await.unwrap();
}

#[tokio::test]
async fn who_drops_the_events_can_still_ask() {
    let (options, _) = serve(async |mut peer| {
        peer.welcome().await;
        for offset in 1..=5 {
            peer.say(message(offset)).await;
        }
        peer.grant("ping", "").await;
        peer.hear_close().await
    })
    .await;
    let (client, events) = Client::connect(options.events(1)).await.unwrap();
    drop(events);
    client.ping().await.unwrap();
}

#[tokio::test]
async fn a_request_that_gets_no_reply_ends_at_its_deadline() {
    let (options, _played) = serve(async |mut peer| {
        peer.welcome().await;
        peer.hear_close().await
    })
    .await;
    let (client, _events) = Client::connect(options.deadline(SHORT)).await.unwrap();
    assert!(matches!(client.ping().await, Err(RequestError::Timeout(_))));
}

#[tokio::test]
async fn the_servers_ping_is_answered_while_nothing_is_asked() {
    let (options, played) = serve(async |mut peer| {
        peer.welcome().await;
        peer.ping().await;
        peer.hear_pong().await;
    })
    .await;
    let (_client, _events) = Client::connect(options).await.unwrap();
    played.await.unwrap();
}

#[tokio::test]
async fn a_bad_token_is_told_by_the_close_code() {
    let (options, _) = serve(async |mut peer| peer.close(4001, "expired").await).await;
    let error = Client::connect(options).await.unwrap_err();
    let ConnectError::Closed(closed) = error else { panic!("{error}") };
    assert_eq!(closed.code, CloseCode::NOT_AUTHENTICATED);
}

#[tokio::test]
async fn a_server_that_says_nothing_is_given_up() {
    let (options, _played) = serve(async |mut peer| peer.hear_close().await).await;
    let error = Client::connect(options.deadline(SHORT)).await.unwrap_err();
    assert!(matches!(error, ConnectError::Timeout(_)), "{error}");
}

#[tokio::test]
async fn nonsense_from_the_server_ends_the_connection_with_1002() {
    let (options, _) = serve(async |mut peer| {
        peer.welcome().await;
        peer.say(r#"{"type":"message","room":"r"}"#).await;
        peer.hear_close().await
    })
    .await;
    let (_client, mut events) = Client::connect(options).await.unwrap();
    let Some(Event::Closed(closed)) = events.next().await else { panic!("not the end") };
    assert_eq!(closed.code, CloseCode::PROTOCOL);
}

#[tokio::test]
async fn nobody_listening_is_an_error_of_the_network() {
    // Port 1 is reserved (tcpmux) and needs root to be taken.
    let error = Client::connect(Options::new("ws://127.0.0.1:1")).await.unwrap_err();
    assert!(matches!(error, ConnectError::Io(_)), "{error}");
}

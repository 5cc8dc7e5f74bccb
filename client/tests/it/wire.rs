//! The connection below the client.

use tokio::io::{AsyncReadExt, AsyncWriteExt, duplex};
use trunkline_client::tungstenite::Message;
use trunkline_client::{CloseCode, ConnectError, Event, Incoming, Options, Wire, WireError};

use crate::server::{SHORT, serve};

#[tokio::test]
async fn everything_is_seen_in_the_order_of_arrival() {
    let (options, _) = serve(async |mut peer| {
        peer.welcome().await;
        peer.ping().await;
        peer.say(r#"{"type":"joined","room":"r","user":"bob"}"#).await;
        peer.grant("ping", "").await;
        peer.close(1001, "").await;
    })
    .await;
    let mut wire = Wire::connect(&options).await.unwrap();
    assert_eq!(wire.next_json().await.unwrap()["type"], "welcome");
    wire.send_json(&serde_json::json!({"type": "ping", "id": 9})).await.unwrap();
    assert_eq!(wire.next_message().await.unwrap(), Message::Ping("beat".into()));
    assert!(matches!(wire.next().await, Ok(Incoming::Event(Event::Joined(_)))));
    assert!(matches!(wire.next().await, Ok(Incoming::Ok { id: 9, .. })));
    assert_eq!(wire.closed().await.unwrap().code, CloseCode::GOING_AWAY);
    assert!(matches!(wire.send_text("late").await, Err(WireError::Closed(_))));
}

#[tokio::test]
async fn text_that_is_no_json_can_be_sent_and_a_timeout_can_be_gone_on_from() {
    let (options, played) = serve(async |mut peer| {
        peer.grant("ping", "").await;
        peer.hear_close().await
    })
    .await;
    let mut wire = Wire::connect(&options.deadline(SHORT)).await.unwrap();
    assert!(matches!(wire.next().await, Err(WireError::Timeout(_))));
    wire.send_text(r#"{"type":"ping" , "id":1}"#).await.unwrap();
    assert!(matches!(wire.next().await, Ok(Incoming::Ok { id: 1, .. })));
    assert_eq!(wire.close().await.unwrap().code, CloseCode::NORMAL);
    assert_eq!(played.await.unwrap(), 1000);
}

#[tokio::test]
async fn a_refused_upgrade_tells_the_status_and_the_servers_words() {
    let (near, mut far) = duplex(4096);
    let refusal = tokio::spawn(async move {
        let mut request = Vec::new();
        while !request.ends_with(b"\r\n\r\n") {
            request.push(far.read_u8().await.unwrap());
        }
        let response = "HTTP/1.1 403 Forbidden\r\ncontent-length: 10\r\n\r\nbad origin";
        far.write_all(response.as_bytes()).await.unwrap();
        far
    });
    let error = Wire::over(near, &Options::new("wss://example.org")).await.unwrap_err();
    let ConnectError::Refused { status, message } = error else { panic!("{error}") };
    assert_eq!((status.as_u16(), message.as_str()), (403, "bad origin"));
    refusal.await.unwrap();
}

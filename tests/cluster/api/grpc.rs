//! The same over gRPC.

use serde_json::json;
use tokio::join;
use tonic::metadata::{Ascii, MetadataValue};
use tonic::service::interceptor::InterceptedService;
use tonic::transport::{Channel, Endpoint};
use tonic::{Code, Request, Status};
use trunkline_client::CloseCode;
use trunkline_proto::api::api_client::ApiClient;
use trunkline_proto::api::{
    DisconnectRequest, HistoryRequest, Message, PresenceRequest, PublishManyRequest, PublishReply,
    SendManyRequest, publish_result, send_result,
};

use crate::harness::{Cluster, KEY, Setup, Socket, free, soon};

fn setup() -> Setup {
    let (port, keys) = (free(), format!("keys = [\"{KEY}\"]"));
    Setup::new().routers(2).section(&format!("[api]\n{keys}\ngrpc = \"127.0.0.1:{port}\""))
}

type Caller<F> = ApiClient<InterceptedService<Channel, F>>;

/// A caller for each router, with this key.
async fn callers(
    cluster: &Cluster,
    key: &str,
) -> Vec<Caller<impl FnMut(Request<()>) -> Result<Request<()>, Status> + use<>>> {
    let value: MetadataValue<Ascii> = format!("Bearer {key}").parse().unwrap();
    let mut callers = Vec::new();
    for address in cluster.grpc() {
        let endpoint = Endpoint::from_shared(format!("http://{address}")).unwrap();
        let channel = soon("a connection", endpoint.connect()).await.unwrap();
        let value = value.clone();
        callers.push(ApiClient::with_interceptor(channel, move |mut request: Request<()>| {
            request.metadata_mut().insert("authorization", value.clone());
            Ok(request)
        }));
    }
    assert_eq!(callers.len(), 2);
    callers
}

fn message(event: &str, args: &str) -> Message {
    Message { event: event.to_owned(), args: args.to_owned(), ..Message::default() }
}

fn publish(room: &str, messages: Vec<Message>) -> PublishManyRequest {
    PublishManyRequest { namespace: String::new(), room: room.to_owned(), messages }
}

#[tokio::test]
async fn messages_are_published_by_any_router_and_repeats_are_recognised() {
    let cluster = setup().start().await;
    let room = cluster.room_on("c");
    let mut native = cluster.connect(&cluster.user_on("a", 0)).await;
    native.join(&room).await;
    let mut socket = Socket::open(cluster.ports()[1], &cluster.user_on("b", 0)).await;
    socket.join(&room).await;
    let mut places = Vec::<PublishReply>::new();
    for mut caller in callers(&cluster, KEY).await {
        let once =
            Message { key: "once".to_owned(), ..message("note", "[{\"$base64\":\"AAE=\"}]") };
        let messages = vec![once, message("connect", "[]")];
        let reply = caller.publish(publish(&room, messages)).await.unwrap().into_inner();
        match reply.results[0].result.clone().unwrap() {
            publish_result::Result::Reply(reply) => places.push(reply),
            publish_result::Result::Error(error) => panic!("{error:?}"),
        }
        match reply.results[1].result.clone().unwrap() {
            publish_result::Result::Reply(reply) => panic!("{reply:?}"),
            publish_result::Result::Error(error) => assert_eq!(error.code, "bad_request"),
        }
        let request = HistoryRequest { room: room.clone(), ..HistoryRequest::default() };
        let history = caller.history(request).await.unwrap().into_inner();
        let [kept] = &history.messages[..] else { panic!("{history:?}") };
        assert_eq!((kept.event.as_str(), kept.args.as_str()), ("note", "[{\"$base64\":\"AAE=\"}]"));
        let request = PresenceRequest { room: room.clone(), ..PresenceRequest::default() };
        let presence = caller.presence(request).await.unwrap().into_inner();
        assert_eq!((presence.users.len(), presence.sure), (2, true));
    }
    assert_eq!(places[0], places[1]);
    assert_eq!(native.next_of("message").await["data"], json!({"$base64": "AAE="}));
    assert_eq!(native.so_far().await.len(), 0);
    assert_eq!(socket.event_of("note").await.attachments, [[0, 1]]);
}

#[tokio::test]
async fn clients_are_asked_to_acknowledge() {
    let cluster = setup().start().await;
    let room = cluster.room_on("a");
    let mut socket = Socket::open(cluster.ports()[1], &cluster.user_on("b", 0)).await;
    socket.join(&room).await;
    for mut caller in callers(&cluster, KEY).await {
        let question = Message { ack_timeout_ms: 25_000, ..message("ready?", "[]") };
        let (reply, ()) = join!(caller.publish(publish(&room, vec![question])), async {
            let event = socket.event_of("ready?").await;
            socket.acknowledge(&event, &json!(["yes", 1])).await;
        });
        let reply = reply.unwrap().into_inner().results.remove(0).result;
        let Some(publish_result::Result::Reply(reply)) = reply else { panic!("{reply:?}") };
        let gathered = reply.acknowledgements.unwrap();
        assert_eq!((gathered.responses, gathered.asked), (vec!["[\"yes\",1]".to_owned()], 1));
    }
}

#[tokio::test]
async fn users_are_written_to_and_sent_away() {
    let cluster = setup().start().await;
    let user = cluster.user_on("b", 0);
    for mut caller in callers(&cluster, KEY).await {
        let mut native = cluster.connect(&user).await;
        let request = SendManyRequest { to: user.clone(), messages: vec![message("note", "[1]")] };
        let mut reply = caller.send(request).await.unwrap().into_inner();
        match reply.results.remove(0).result.unwrap() {
            send_result::Result::Reply(reply) => assert_eq!(reply.status, "delivered"),
            send_result::Result::Error(error) => panic!("{error:?}"),
        }
        assert_eq!(native.next_of("private").await["data"], 1);
        let request = DisconnectRequest { user: user.clone() };
        assert_eq!(caller.disconnect(request).await.unwrap().into_inner().connections, 1);
        assert_eq!(native.closed().await.code, CloseCode(1000));
    }
}

#[tokio::test]
async fn what_is_refused_has_a_fitting_code() {
    let mut cluster = setup().start().await;
    let room = cluster.room_on("b");
    let presence = |room: &str| PresenceRequest { room: room.to_owned(), ..Default::default() };
    for mut stranger in callers(&cluster, "nope").await {
        let refused = stranger.presence(presence(&room)).await.unwrap_err();
        assert_eq!(refused.code(), Code::Unauthenticated);
    }
    cluster.kill_shard("b").await;
    for mut caller in callers(&cluster, KEY).await {
        let refused = caller.presence(presence("")).await.unwrap_err();
        assert_eq!(refused.code(), Code::InvalidArgument);
        let refused = caller.presence(presence(&room)).await.unwrap_err();
        assert_eq!(refused.code(), Code::Unavailable);
        let there = cluster.room_on("c");
        caller.presence(presence(&there)).await.unwrap();
    }
}

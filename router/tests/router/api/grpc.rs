//! The interface over gRPC.

use std::net::SocketAddr;
use std::time::Duration;

use prometheus::Registry;
use rcgen::generate_simple_self_signed;
use tokio::join;
use tonic::metadata::MetadataValue;
use tonic::service::interceptor::InterceptedService;
use tonic::transport::{Certificate, Channel, ClientTlsConfig, Endpoint};
use tonic::{Code, Request, Status};
use trunkline_config::Settings;
use trunkline_config::settings::Certificate as Files;
use trunkline_proto::api::api_client::ApiClient;
use trunkline_proto::api::{
    DisconnectReply, DisconnectRequest, HistoryReply, HistoryRequest, Message, PresenceReply,
    PresenceRequest, PublishManyRequest, SendManyRequest, SendReply, publish_result, send_result,
};
use trunkline_proto::trunk::api_answer::What;
use trunkline_router::{ListenError, Router, StartError};

use super::{error, kept, said, with_key};
use crate::harness::{FakeShard, KEY, Raw, Stage, options, soon};

fn with_grpc(settings: &mut Settings) {
    with_key(settings);
    settings.api.grpc = Some(SocketAddr::from(([127, 0, 0, 1], 0)));
}

type Caller<F> = ApiClient<InterceptedService<Channel, F>>;

fn caller(
    channel: Channel,
    key: &'static str,
) -> Caller<impl FnMut(Request<()>) -> Result<Request<()>, Status>> {
    ApiClient::with_interceptor(channel, move |mut request: Request<()>| {
        let value = MetadataValue::try_from(format!("Bearer {key}")).expect("text");
        request.metadata_mut().insert("authorization", value);
        Ok(request)
    })
}

async fn channel(stage: &Stage) -> Channel {
    let address = stage.router.api_addr().expect("gRPC is served");
    let endpoint = Endpoint::from_shared(format!("http://{address}")).expect("an address");
    soon("a connection", endpoint.connect()).await.expect("connects")
}

fn message(event: &str, args: &str) -> Message {
    Message { event: event.to_owned(), args: args.to_owned(), ..Message::default() }
}

#[tokio::test]
async fn messages_are_published_in_order_with_a_result_each() {
    let mut stage = Stage::set_with(with_grpc).await;
    let mut caller = caller(channel(&stage).await, KEY);
    let request = PublishManyRequest {
        namespace: String::new(),
        room: "lobby".to_owned(),
        messages: vec![message("a", "[1]"), message("b", "no array"), message("c", "[]")],
    };
    let (reply, ()) = join!(caller.publish(request), async {
        for (event, answer) in [("a", kept(5)), ("c", error("unavailable"))] {
            let call = stage.trunk.call().await;
            assert_eq!(said(&call).0, event);
            stage.trunk.answer(call.request, answer).await;
        }
    });
    let results = reply.expect("an answer").into_inner().results;
    let outcomes: Vec<_> = results
        .into_iter()
        .map(|result| match result.result.expect("a result") {
            publish_result::Result::Reply(reply) => Ok(reply.offset),
            publish_result::Result::Error(error) => Err(error.code),
        })
        .collect();
    let expected = [Ok(5), Err("bad_request".to_owned()), Err("unavailable".to_owned())];
    assert_eq!(outcomes, expected);
    stage.counts("trunkline_api_requests_total{interface=\"grpc\",outcome=\"ok\"}", 1).await;
}

#[tokio::test]
async fn all_else_is_asked_too() {
    let mut stage = Stage::set_with(with_grpc).await;
    let mut caller = caller(channel(&stage).await, KEY);
    let answers = async {
        let history = HistoryReply { epoch: "9k2f".to_owned(), messages: Vec::new() };
        for answer in [
            What::Send(SendReply { status: "offline".to_owned() }),
            What::History(history),
            What::Presence(PresenceReply { users: Vec::new(), sure: true }),
            What::Disconnect(DisconnectReply { connections: 2 }),
        ] {
            let call = stage.trunk.call().await;
            stage.trunk.answer(call.request, answer).await;
        }
    };
    let questions = async {
        let request =
            SendManyRequest { to: "alice".to_owned(), messages: vec![message("a", "[]")] };
        let reply = caller.send(request).await.expect("sent").into_inner();
        let Some(send_result::Result::Reply(sent)) = reply.results[0].result.clone() else {
            panic!("not sent: {reply:?}")
        };
        assert_eq!(sent.status, "offline");
        let request = HistoryRequest { room: "a".to_owned(), ..HistoryRequest::default() };
        assert_eq!(caller.history(request).await.expect("read").into_inner().epoch, "9k2f");
        let request = PresenceRequest { room: "a".to_owned(), ..PresenceRequest::default() };
        assert!(caller.presence(request).await.expect("read").into_inner().sure);
        let request = DisconnectRequest { user: "alice".to_owned() };
        assert_eq!(caller.disconnect(request).await.expect("done").into_inner().connections, 2);
    };
    join!(questions, answers);
}

#[tokio::test]
async fn what_is_refused_has_a_fitting_code() {
    let mut stage = Stage::set_with(with_grpc).await;
    let channel = channel(&stage).await;
    let request = || PresenceRequest { room: "a".to_owned(), ..PresenceRequest::default() };
    let stranger = caller(channel.clone(), "nope").presence(request()).await;
    assert_eq!(stranger.expect_err("no key").code(), Code::Unauthenticated);
    let nobody = ApiClient::new(channel.clone()).presence(request()).await;
    assert_eq!(nobody.expect_err("no key").code(), Code::Unauthenticated);
    let mut caller = caller(channel, KEY);
    let bad = caller.presence(PresenceRequest::default()).await.expect_err("no room");
    assert_eq!(bad.code(), Code::InvalidArgument);
    assert!(bad.message().contains("room"), "{bad}");
    let (refused, ()) = join!(caller.presence(request()), async {
        let call = stage.trunk.call().await;
        stage.trunk.answer(call.request, error("rate_limited")).await;
    });
    assert_eq!(refused.expect_err("refused").code(), Code::ResourceExhausted);
    let (gone, ()) = join!(caller.presence(request()), async {
        stage.trunk.call().await;
        drop(stage.trunk);
    });
    assert_eq!(gone.expect_err("gone").code(), Code::Unavailable);
}

#[tokio::test]
async fn whoever_shows_no_key_soon_is_let_go() {
    let mut stage = Stage::set_with(|settings| {
        with_grpc(settings);
        settings.limits.header_timeout = Duration::from_millis(200);
    })
    .await;
    let address = stage.router.api_addr().expect("gRPC is served");
    let mut silent = Raw::connect(address).await;
    let mut stranger = Raw::connect(address).await;
    // The preface of HTTP/2 and empty settings (RFC 9113 §3.4): a good client with nothing to say.
    stranger.write(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\x04\0\0\0\0\0").await;
    silent.rest().await;
    stranger.rest().await;

    let mut caller = caller(channel(&stage).await, KEY);
    let request = PresenceRequest { room: "a".to_owned(), ..PresenceRequest::default() };
    let (reply, ()) = join!(caller.presence(request), async {
        let call = stage.trunk.call().await;
        tokio::time::sleep(Duration::from_millis(600)).await;
        let reply = PresenceReply { users: Vec::new(), sure: true };
        stage.trunk.answer(call.request, What::Presence(reply)).await;
    });
    assert!(reply.is_ok(), "who has shown one stays: {reply:?}");
}

#[tokio::test]
async fn it_has_the_routers_certificate() {
    let folder = tempfile::tempdir().expect("a folder");
    let pair = generate_simple_self_signed(["localhost".to_owned()]).expect("a certificate");
    let files = Files { cert: folder.path().join("cert.pem"), key: folder.path().join("key.pem") };
    std::fs::write(&files.cert, pair.cert.pem()).expect("written");
    std::fs::write(&files.key, pair.signing_key.serialize_pem()).expect("written");
    let mut stage = Stage::set_with(|settings| {
        with_grpc(settings);
        settings.router.tls = Some(files);
    })
    .await;
    let address = stage.router.api_addr().expect("gRPC is served");
    let tls = ClientTlsConfig::new()
        .ca_certificate(Certificate::from_pem(pair.cert.pem()))
        .domain_name("localhost");
    let endpoint = Endpoint::from_shared(format!("https://{address}")).expect("an address");
    let endpoint = endpoint.tls_config(tls).expect("a certificate");
    let channel = soon("a connection", endpoint.connect()).await.expect("connects");
    let mut caller = caller(channel, KEY);
    let request = PresenceRequest { room: "a".to_owned(), ..PresenceRequest::default() };
    let (reply, ()) = join!(caller.presence(request), async {
        let call = stage.trunk.call().await;
        let reply = PresenceReply { users: Vec::new(), sure: true };
        stage.trunk.answer(call.request, What::Presence(reply)).await;
    });
    assert!(reply.expect("an answer").into_inner().sure);
    let plain = Endpoint::from_shared(format!("http://{address}")).expect("an address");
    let mut plain = self::caller(plain.connect_lazy(), KEY);
    assert!(soon("an end", plain.presence(PresenceRequest::default())).await.is_err());
}

#[tokio::test]
async fn it_does_not_start_where_keys_would_travel_in_the_clear() {
    let shard = FakeShard::start().await;
    let refusal = async |change: fn(&mut Settings)| {
        let options = options(&Registry::new(), shard.address, change);
        Router::start(options).await.expect_err("refused")
    };
    let open = refusal(|settings| {
        with_key(settings);
        settings.api.grpc = Some(SocketAddr::from(([0, 0, 0, 0], 0)));
    });
    assert!(matches!(open.await, StartError::Api(ListenError::Plain(_))));
    let keyless = refusal(|settings| {
        with_grpc(settings);
        settings.api.keys.clear();
    });
    assert!(matches!(keyless.await, StartError::Api(ListenError::NoKey)));
}

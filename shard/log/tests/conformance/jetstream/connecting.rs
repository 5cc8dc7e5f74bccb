//! What is checked at the start.

use std::net::{IpAddr, Ipv4Addr};
use std::sync::Arc;
use std::time::Duration;

use rand::SeedableRng;
use rand::rngs::StdRng;
use rcgen::{BasicConstraints, CertificateParams, IsCa, Issuer, KeyPair, SanType};
use serde_json::{Value, json};
use tokio::io::copy_bidirectional;
use tokio::net::{TcpListener, TcpStream};
use trunkline_config::settings::Certificate;
use trunkline_config::store::{JetStreamSettings, Login};
use trunkline_log::{ConnectError, JetStreamLog};

use super::JetStream;
use super::nats::Nats;
use crate::{Store, settings};

async fn refusal(options: JetStreamSettings) -> ConnectError {
    let connected =
        JetStreamLog::connect(&options, "shard", settings(), StdRng::seed_from_u64(1)).await;
    connected.expect_err("it is refused")
}

#[tokio::test]
async fn a_server_that_syncs_late_is_refused_unless_that_is_allowed() {
    let store = JetStream::on(Arc::new(Nats::start("")), settings());
    let options = store.options();
    let error = refusal(options.clone()).await;
    assert!(matches!(error, ConnectError::UnsafeSync { .. }), "{error}");
    assert!(error.to_string().contains("before they are on its disk"), "{error}");
    let allowed = JetStreamSettings { allow_unsafe_sync: true, ..options };
    super::connect(allowed, settings()).await;
}

#[tokio::test]
async fn a_server_that_does_not_tell_is_refused_unless_that_is_allowed() {
    let store = JetStream::new(settings()).await;
    let options = JetStreamSettings { monitors: Vec::new(), ..store.options() };
    let error = refusal(options.clone()).await;
    assert!(error.to_string().contains("it is not known"), "{error}");
    let nobody = vec![store.nats.url().replace("nats", "http")];
    let error = refusal(JetStreamSettings { monitors: nobody, ..options.clone() }).await;
    assert!(error.to_string().contains("can't be asked"), "{error}");
    let allowed = JetStreamSettings { allow_unsafe_sync: true, ..options };
    super::connect(allowed, settings()).await;
}

#[tokio::test]
async fn a_server_that_has_just_been_started_is_asked_again() {
    let store = JetStream::new(settings()).await;
    let there = store.nats.monitor().trim_start_matches("http://").to_owned();
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let monitors = vec![format!("http://{}", listener.local_addr().unwrap())];
    let tells = async {
        // Who asks first is not answered.
        drop(listener.accept().await);
        loop {
            let mut asked = listener.accept().await.unwrap().0;
            let mut server = TcpStream::connect(&there).await.unwrap();
            let _ = copy_bidirectional(&mut asked, &mut server).await;
        }
    };
    let options = JetStreamSettings { monitors, ..store.options() };
    tokio::select! {
        () = tells => {}
        _ = super::connect(options, settings()) => {}
    }
}

#[tokio::test]
async fn a_stream_that_can_not_keep_topics_is_refused() {
    let store = JetStream::new(settings()).await;
    let stream = &store.stream;
    let client = store.nats.client().await;
    let config = json!({
        "name": stream, "subjects": [format!("{stream}.>")], "retention": "limits",
        "storage": "file", "num_replicas": 1, "discard": "old", "allow_direct": true,
    });
    let create = format!("$JS.API.STREAM.CREATE.{stream}");
    client.request(create, config.to_string().into()).await.unwrap();
    let error = refusal(store.options()).await.to_string();
    assert!(error.contains("`allow_atomic` is null and must be true"), "{error}");
}

#[tokio::test]
async fn a_stream_keeps_messages_for_the_longest_age_and_a_day() {
    let store = JetStream::new(settings()).await;
    store.connect().await;
    let age = |info: Value| Duration::from_nanos(info["config"]["max_age"].as_u64().unwrap());
    let day = Duration::from_secs(24 * 3600);
    assert_eq!(age(store.info().await), day + Duration::from_secs(60));
    let mut longer = settings();
    longer.inboxes.age = Duration::from_secs(7200);
    super::connect(store.options(), longer).await;
    assert_eq!(age(store.info().await), day + Duration::from_secs(7200));
}

#[tokio::test]
async fn who_is_not_let_in_is_told() {
    let nats = Nats::start("sync_interval: always }\nauthorization { token: secret");
    let store = JetStream::on(Arc::new(nats), settings());
    let options = store.options();
    let error = refusal(options.clone()).await;
    assert!(error.to_string().contains("authorization violation"), "{error}");
    let login = Login::Token("secret".to_owned());
    super::connect(JetStreamSettings { login, ..options }, settings()).await;
}

#[tokio::test]
async fn a_connection_can_be_encrypted_and_certified_at_both_ends() {
    let folder = tempfile::tempdir().unwrap();
    let write = |name: &str, text: String| {
        let path = folder.path().join(name);
        std::fs::write(&path, text).unwrap();
        path
    };
    let key = KeyPair::generate().unwrap();
    let mut params = CertificateParams::default();
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    let ca = write("ca.pem", params.self_signed(&key).unwrap().pem());
    let issuer = Issuer::new(params, key);
    let certified = |name: &str| {
        let key = KeyPair::generate().unwrap();
        let mut params = CertificateParams::default();
        params.subject_alt_names = vec![SanType::IpAddress(IpAddr::V4(Ipv4Addr::LOCALHOST))];
        let certificate = params.signed_by(&key, &issuer).unwrap().pem();
        let file = write(&format!("{name}.pem"), certificate);
        (file, write(&format!("{name}-key.pem"), key.serialize_pem()))
    };
    let (server, shard) = (certified("server"), certified("shard"));
    let tls = format!(
        "tls {{ cert_file: {:?}, key_file: {:?}, ca_file: {ca:?}, verify: true",
        server.0, server.1
    );
    let nats = Nats::start(&format!("sync_interval: always }}\n{tls}"));
    let store = JetStream::on(Arc::new(nats), settings());

    let stranger = JetStreamSettings { ca: Some(ca), ..store.options() };
    let error = refusal(stranger.clone()).await;
    assert!(matches!(error, ConnectError::Connection { .. }), "{error}");
    let options = JetStreamSettings {
        certificate: Some(Certificate { cert: shard.0, key: shard.1 }),
        ..stranger
    };
    super::connect(options, settings()).await;
}

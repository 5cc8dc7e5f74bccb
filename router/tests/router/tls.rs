//! `wss`.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use rcgen::{CertifiedKey, KeyPair, generate_simple_self_signed};
use rustls::{ClientConfig, RootCertStore};
use rustls_pki_types::{CertificateDer, ServerName};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;
use trunkline_config::settings::Certificate;
use trunkline_proto::trunk::FrameKind;

use crate::harness::{Client, Raw, Stage, fan, join, live, soon};

fn certificate() -> CertifiedKey<KeyPair> {
    generate_simple_self_signed(["localhost".to_owned()]).expect("a certificate")
}

fn install(certificate: &CertifiedKey<KeyPair>, folder: &Path) -> Certificate {
    let files = Certificate { cert: folder.join("cert.pem"), key: folder.join("key.pem") };
    std::fs::write(&files.cert, certificate.cert.pem()).expect("written");
    std::fs::write(&files.key, certificate.signing_key.serialize_pem()).expect("written");
    files
}

async fn secure(
    stage: &Stage,
    trusted: &CertificateDer<'static>,
) -> std::io::Result<TlsStream<TcpStream>> {
    let mut roots = RootCertStore::empty();
    roots.add(trusted.clone()).expect("a certificate");
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let config = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .expect("versions")
        .with_root_certificates(roots)
        .with_no_client_auth();
    let stream = TcpStream::connect(stage.address()).await?;
    let name = ServerName::try_from("localhost").expect("a name");
    soon("TLS", TlsConnector::from(Arc::new(config)).connect(name, stream)).await
}

async fn stage_with(files: Certificate) -> Stage {
    Stage::set_with(|settings| {
        settings.router.tls = Some(files);
        settings.limits.header_timeout = Duration::from_millis(500);
    })
    .await
}

#[tokio::test]
async fn messages_large_and_small_pass_through_tls() {
    let folder = tempfile::tempdir().expect("a folder");
    let certificate = certificate();
    let mut stage = stage_with(install(&certificate, folder.path())).await;
    let stream = secure(&stage, certificate.cert.der()).await.expect("trusted");
    let mut alice = Client::over(stream, "wss://localhost/ws?user=alice").await;
    let number = stage.trunk.attach().await.connection;
    alice.say("hi").await;
    assert_eq!(stage.trunk.message().await, (number, 1, "hi".to_owned()));

    // More than TLS buffers at once, as many frames, written by the trunk's reader.
    let text = "x".repeat(50_000);
    let mut items = vec![join(7, number)];
    items.extend((0..4).map(|_| fan(7, &text, FrameKind::Live, 0)));
    items.push(live(number, "end"));
    stage.trunk.batch(items).await;
    for _ in 0..4 {
        assert_eq!(alice.hear().await, text);
    }
    assert_eq!(alice.hear().await, "end");
    alice.close().await;
    assert_eq!(stage.trunk.detach().await, number);
}

#[tokio::test]
async fn a_changed_certificate_is_taken_up_and_a_broken_one_is_not() {
    let folder = tempfile::tempdir().expect("a folder");
    let (old, new) = (certificate(), certificate());
    let stage = stage_with(install(&old, folder.path())).await;
    secure(&stage, old.cert.der()).await.expect("trusted");
    assert!(secure(&stage, new.cert.der()).await.is_err());

    std::fs::write(folder.path().join("key.pem"), "broken").expect("written");
    install(&new, folder.path());
    soon("the new certificate", async {
        while secure(&stage, new.cert.der()).await.is_err() {
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
    })
    .await;
    assert!(secure(&stage, old.cert.der()).await.is_err());
}

#[tokio::test]
async fn a_handshake_that_stops_half_way_or_is_none_is_ended() {
    let folder = tempfile::tempdir().expect("a folder");
    let stage = stage_with(install(&certificate(), folder.path())).await;
    let mut silent = Raw::connect(stage.address()).await;
    let mut half = Raw::connect(stage.address()).await;
    // The start of a ClientHello that announces more.
    half.write(&[0x16, 3, 1, 1, 0, 1, 0, 0, 0xfc]).await;
    let mut plain = Raw::connect(stage.address()).await;
    plain.write(b"GET / HTTP/1.1\r\n\r\n").await;
    for raw in [&mut silent, &mut half, &mut plain] {
        raw.rest().await;
    }
    stage.counts("trunkline_handshake_failures_total{why=\"timeout\"}", 2).await;
    stage.counts("trunkline_handshake_failures_total{why=\"tls\"}", 1).await;
}

//! TLS: towards clients, with certificates that change.

use std::io;
use std::path::Path;
use std::sync::Arc;

use rcgen::{CertifiedKey, KeyPair, generate_simple_self_signed};
use rustls::{ClientConfig, RootCertStore};
use rustls_pki_types::{CertificateDer, ServerName};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;
use trunkline_client::Options;

use crate::harness::{Cluster, Connection, Setup, get, soon};

pub(crate) fn certificate() -> CertifiedKey<KeyPair> {
    generate_simple_self_signed(["localhost".to_owned()]).unwrap()
}

/// A cluster whose router has this certificate.
pub(crate) async fn with_tls(certificate: &CertifiedKey<KeyPair>) -> Cluster {
    Setup::new()
        .file("cert.pem", certificate.cert.pem())
        .file("key.pem", certificate.signing_key.serialize_pem())
        .router("tls = { cert = \"cert.pem\", key = \"key.pem\" }")
        .start()
        .await
}

/// A TLS stream to the router, of a client that trusts this certificate alone.
async fn dial(
    cluster: &Cluster,
    trusted: &CertificateDer<'static>,
) -> io::Result<TlsStream<TcpStream>> {
    let mut roots = RootCertStore::empty();
    roots.add(trusted.clone()).unwrap();
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let config = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_root_certificates(roots)
        .with_no_client_auth();
    let stream = TcpStream::connect(cluster.address()).await?;
    let name = ServerName::try_from("localhost").unwrap();
    soon("a TLS handshake", TlsConnector::from(Arc::new(config)).connect(name, stream)).await
}

async fn connect(cluster: &Cluster, trusted: &CertifiedKey<KeyPair>, user: &str) -> Connection {
    let stream = dial(cluster, trusted.cert.der()).await.unwrap();
    let url = format!("wss://localhost:{}", cluster.port);
    Connection::over(stream, Options::new(url).user(user)).await
}

fn replace(cluster: &Cluster, certificate: &CertifiedKey<KeyPair>) {
    let write = |path: &Path, text: String| std::fs::write(path, text).unwrap();
    write(&cluster.path("cert.pem"), certificate.cert.pem());
    write(&cluster.path("key.pem"), certificate.signing_key.serialize_pem());
}

#[tokio::test]
async fn clients_talk_over_wss_and_plain_ones_are_not_served() {
    let certificate = certificate();
    let cluster = with_tls(&certificate).await;
    let mut alice = connect(&cluster, &certificate, "alice").await;
    let mut bob = connect(&cluster, &certificate, "bob").await;
    alice.join("lobby").await;
    bob.join("lobby").await;
    alice.publish("lobby", "x".repeat(60_000)).await;
    assert_eq!(bob.next_of("message").await["data"].as_str().unwrap().len(), 60_000);
    assert_eq!(bob.send("alice", "safely").await, "delivered");
    assert_ne!(get(cluster.port, "/healthz").await.status, 200);
}

#[tokio::test]
async fn a_new_certificate_is_served_once_the_files_have_changed() {
    let (old, new) = (certificate(), certificate());
    let cluster = with_tls(&old).await;
    let mut alice = connect(&cluster, &old, "alice").await;
    assert!(dial(&cluster, new.cert.der()).await.is_err());
    replace(&cluster, &new);
    cluster
        .eventually("the new one is served", async || dial(&cluster, new.cert.der()).await.is_ok())
        .await;
    assert!(dial(&cluster, old.cert.der()).await.is_err());
    // Who is connected stays so.
    alice.join("lobby").await;
}

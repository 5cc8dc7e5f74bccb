//! How routers and shards know each other: the cluster secret, and mutual TLS.

use std::net::{IpAddr, Ipv4Addr};

use rcgen::{BasicConstraints, CertificateParams, IsCa, Issuer, KeyPair, SanType};
use tempfile::TempDir;

use crate::harness::{Cluster, Process, Setup, free, get};

/// Another router for the shards of a cluster, with a `[cluster]` of its own.
struct Stranger {
    router: Process,
    port: u16,
    /// Where its files are, for as long as it runs.
    _folder: TempDir,
}

impl Stranger {
    fn start(cluster: &Cluster, section: &str, files: &[(&str, String)]) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let (port, metrics) = (free(), free());
        let map = cluster.path("shards.toml");
        let text = format!(
            "shard_map = {map:?}\n[router]\nlisten = \"127.0.0.1:{port}\"\n\
             metrics = \"127.0.0.1:{metrics}\"\n{section}\n"
        );
        let config = folder.path().join("cluster.toml");
        std::fs::write(&config, text).unwrap();
        for (name, text) in files {
            std::fs::write(folder.path().join(name), text).unwrap();
        }
        let errors = folder.path().join("router.log");
        let router = Process::start(&errors, &["router", "--config", config.to_str().unwrap()]);
        Self { router, port, _folder: folder }
    }

    /// Waits until it has said this, and asserts that it serves nobody while the cluster goes on.
    async fn is_refused(&self, saying: &str, cluster: &Cluster) {
        cluster.eventually(saying, async || self.router.errors().contains(saying)).await;
        assert_eq!(get(self.port, "/healthz").await.status, 200);
        assert_eq!(get(self.port, "/readyz").await.status, 503);
        meet(cluster).await;
    }
}

/// Two people on two shards meet in a room of the third: trunks and links work.
async fn meet(cluster: &Cluster) {
    let room = cluster.room_on("c");
    let mut alice = cluster.connect(&cluster.user_on("a", 0)).await;
    let mut bob = cluster.connect(&cluster.user_on("b", 0)).await;
    alice.join(&room).await;
    bob.join(&room).await;
    alice.publish(&room, "hi").await;
    assert_eq!(bob.next_of("message").await["data"], "hi");
    assert_eq!(bob.send(&alice.user, "you").await, "delivered");
}

const SECRET: &str = "[cluster]\nsecret = \"the secret of this cluster\"";

#[tokio::test]
async fn who_has_the_cluster_s_secret_belongs_to_it() {
    meet(&Setup::new().section(SECRET).start().await).await;
}

#[tokio::test]
async fn a_router_with_another_secret_or_none_is_refused_and_says_so() {
    let cluster = Setup::new().section(SECRET).start().await;
    let other = "[cluster]\nsecret = \"the secret of another cluster\"";
    for section in [other, ""] {
        Stranger::start(&cluster, section, &[]).is_refused("cluster.secret", &cluster).await;
    }
}

#[tokio::test]
async fn a_router_with_a_secret_does_not_believe_shards_without_it() {
    let cluster = Setup::new().start().await;
    Stranger::start(&cluster, SECRET, &[]).is_refused("cluster.secret", &cluster).await;
}

/// A certificate authority for one cluster.
struct Authority {
    issuer: Issuer<'static, KeyPair>,
    pem: String,
}

impl Authority {
    fn new() -> Self {
        let key = KeyPair::generate().unwrap();
        let mut params = CertificateParams::default();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let pem = params.self_signed(&key).unwrap().pem();
        Self { issuer: Issuer::new(params, key), pem }
    }

    /// The files of a process: its certificate and key, by this authority, and whom it trusts.
    fn files(&self, trusted: &Authority) -> [(&'static str, String); 3] {
        let key = KeyPair::generate().unwrap();
        let mut params = CertificateParams::default();
        params.subject_alt_names = vec![SanType::IpAddress(IpAddr::V4(Ipv4Addr::LOCALHOST))];
        let certificate = params.signed_by(&key, &self.issuer).unwrap();
        [
            ("node.pem", certificate.pem()),
            ("node-key.pem", key.serialize_pem()),
            ("ca.pem", trusted.pem.clone()),
        ]
    }
}

const MUTUAL: &str =
    "[cluster]\ntls = { cert = \"node.pem\", key = \"node-key.pem\", ca = \"ca.pem\" }";

async fn with_mutual_tls(authority: &Authority) -> Cluster {
    let files = authority.files(authority);
    let setup = Setup::new().section(MUTUAL);
    files.into_iter().fold(setup, |setup, (name, text)| setup.file(name, text)).start().await
}

#[tokio::test]
async fn trunks_and_links_work_over_mutual_tls() {
    meet(&with_mutual_tls(&Authority::new()).await).await;
}

#[tokio::test]
async fn over_mutual_tls_a_router_with_no_or_another_authority_s_certificate_is_refused() {
    let (ours, theirs) = (Authority::new(), Authority::new());
    let cluster = with_mutual_tls(&ours).await;
    // It trusts our shards; they don't trust it.
    let impostor = Stranger::start(&cluster, MUTUAL, &theirs.files(&ours));
    let plain = Stranger::start(&cluster, "", &[]);
    // It would be trusted, and doesn't trust our shards.
    let wary = Stranger::start(&cluster, MUTUAL, &ours.files(&theirs));
    impostor.is_refused("cluster.tls", &cluster).await;
    plain.is_refused("cluster.tls", &cluster).await;
    wary.is_refused("certificate", &cluster).await;
}

//! Whether what a server acknowledges survives a power failure.
//!
//! A server that syncs its files before it acknowledges says so in its monitoring (`/varz`:
//! `jetstream.config.sync_always`) and to the system account, but in nothing that the account of a
//! stream may ask: neither when it is connected to, nor about the stream or the account.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use http_body_util::{BodyExt, Empty, Limited};
use hyper::body::Bytes;
use hyper::{Request, Uri, header};
use hyper_util::rt::TokioIo;
use serde::Deserialize;
use tokio::net::TcpStream;
use tokio::time::{Instant, sleep, timeout};
use trunkline_config::store::JetStreamSettings;

use super::connect::{ConnectError, is_new_enough};

const PATIENCE: Duration = Duration::from_secs(5);
/// How long servers may take to tell that have just been started.
const STARTING: Duration = Duration::from_secs(10);
const PAUSE: Duration = Duration::from_millis(300);
/// What a server may tell about itself, in bytes.
const LONGEST_ANSWER: usize = 1024 * 1024;

/// What is asked of a server's monitoring.
#[derive(Debug, Deserialize)]
struct Server {
    server_name: String,
    version: String,
    #[serde(default)]
    jetstream: JetStream,
}

#[derive(Debug, Default, Deserialize)]
struct JetStream {
    config: Option<Config>,
}

#[derive(Debug, Deserialize)]
struct Config {
    #[serde(default)]
    sync_always: bool,
}

/// What servers have told.
#[derive(Default)]
struct Told {
    /// By a server's name, whether it syncs.
    syncs: BTreeMap<String, bool>,
    /// Who has told nothing, and why.
    silent: Vec<String>,
}

/// Refuses servers that don't sync before they acknowledge, or don't tell, unless that is allowed.
/// `peers` are those that keep the stream. Who can't be asked yet may have just been started; of one that
/// is down it will do that it was among those who `synced` when they could be asked. Gives who
/// does, for the next to be told.
pub(super) async fn check(
    options: &JetStreamSettings,
    peers: &[String],
    synced: &BTreeSet<String>,
) -> Result<BTreeSet<String>, ConnectError> {
    let start = Instant::now();
    loop {
        let Told { syncs, silent } = ask(options).await?;
        let (mut sure, mut doubts, mut may_come) =
            (BTreeSet::new(), Vec::new(), !silent.is_empty());
        for peer in peers {
            let known = syncs.get(peer);
            if known == Some(&true) || (known.is_none() && synced.contains(peer)) {
                sure.insert(peer.clone());
                continue;
            }
            may_come &= known.is_none();
            doubts.push(doubt(peer, known.is_some()));
        }
        if doubts.is_empty() {
            if !silent.is_empty() {
                let silent = silent.join("; ");
                tracing::warn!(%silent, "going on with NATS servers that synced when last asked");
            }
            return Ok(sure);
        }
        if may_come && !options.allow_unsafe_sync && start.elapsed() < STARTING {
            sleep(PAUSE).await;
            continue;
        }
        doubts.extend(silent);
        let why = doubts.join("; ");
        if options.allow_unsafe_sync {
            tracing::warn!(%why, "a power failure may take messages that were acknowledged");
            return Ok(sure);
        }
        return Err(ConnectError::UnsafeSync { why });
    }
}

/// Asks each server that the settings name.
async fn ask(options: &JetStreamSettings) -> Result<Told, ConnectError> {
    let mut told = Told::default();
    for url in &options.monitors {
        match timeout(PATIENCE, monitor(url)).await {
            Ok(Ok(server)) if !is_new_enough(&server.version) => {
                return Err(ConnectError::Version(server.version));
            }
            Ok(Ok(server)) => {
                let syncs = server.jetstream.config.is_some_and(|it| it.sync_always);
                told.syncs.insert(server.server_name, syncs);
            }
            Ok(Err(error)) => told.silent.push(format!("{url} can't be asked ({error})")),
            Err(_) => told.silent.push(format!("{url} doesn't answer")),
        }
    }
    Ok(told)
}

fn doubt(peer: &str, has_told: bool) -> String {
    if has_told {
        format!("the NATS server {peer} acknowledges messages before they are on its disk")
    } else {
        format!(
            "it is not known whether the NATS server {peer} has messages on its disk before it acknowledges them"
        )
    }
}

/// Asks a server's monitoring about the server.
async fn monitor(url: &str) -> Result<Server, Box<dyn std::error::Error + Send + Sync>> {
    let uri: Uri = format!("{}/varz", url.trim_end_matches('/')).parse()?;
    let host = uri.host().ok_or("it has no host")?;
    let authority = uri.authority().ok_or("it has no host")?.as_str();
    if uri.scheme_str() != Some("http") {
        return Err("it is no http:// URL".into());
    }
    let socket = TcpStream::connect((host, uri.port_u16().unwrap_or(8222))).await?;
    let (mut sender, connection) =
        hyper::client::conn::http1::handshake(TokioIo::new(socket)).await?;
    let connection = tokio::spawn(connection);
    let request =
        Request::get(uri.path()).header(header::HOST, authority).body(Empty::<Bytes>::new())?;
    let answer = async {
        let response = sender.send_request(request).await?;
        if !response.status().is_success() {
            return Err(format!("it answers {}", response.status()).into());
        }
        let body = Limited::new(response.into_body(), LONGEST_ANSWER).collect().await?;
        Ok(serde_json::from_slice(&body.to_bytes())?)
    }
    .await;
    connection.abort();
    answer
}

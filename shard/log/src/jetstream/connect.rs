//! Connecting: what is checked before a server is trusted with messages.

use std::path::PathBuf;
use std::time::Duration;

use async_nats::{Client, ConnectOptions, ServerAddr};
use tokio::time::timeout;
use trunkline_config::settings::Certificate;
use trunkline_config::store::{JetStreamSettings, Login};

use super::patience::{Late, Patience};
use super::server::Server;
use super::subject::is_stream_name;
use super::{stream, sync};
use crate::settings::LogSettings;

/// How long all of it may take, and how long the first connection.
const ALL: Duration = Duration::from_secs(30);
const CONNECTION: Duration = Duration::from_secs(10);
/// A server that is silent for so long is asked, and left for another when it doesn't answer.
const PING_INTERVAL: Duration = Duration::from_secs(5);
const LONGEST_RECONNECT_DELAY: Duration = Duration::from_secs(1);
/// The first version that has atomic batches.
const OLDEST: (u64, u64) = (2, 12);

/// Why a shard can't work with JetStream.
#[derive(Debug, thiserror::Error)]
pub enum ConnectError {
    /// An option that can't be.
    #[error("jetstream: {0}")]
    Options(String),
    /// The credentials' file can't be read, or is none.
    #[error("cannot read the credentials in {}: {source}", path.display())]
    Credentials {
        /// The file.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// No server can be reached, or none lets the shard in.
    #[error("cannot connect to NATS at {servers}: {source}")]
    Connection {
        /// Those that were tried.
        servers: String,
        /// What the last one said.
        source: async_nats::ConnectError,
    },
    /// The server is too old.
    #[error("the NATS server has version {0}; atomic batches need 2.12 or newer")]
    Version(String),
    /// The servers did not do in time what they were asked for.
    #[error("JetStream did not answer in time: {doing}; it needs more than half of its servers")]
    Late {
        /// What they were asked for.
        doing: &'static str,
    },
    /// JetStream refused.
    #[error("JetStream refused: {doing}: {why}")]
    Refused {
        /// What it was asked for.
        doing: &'static str,
        /// What it said.
        why: String,
    },
    /// The stream is there, but is not one that can keep topics.
    #[error("the stream {stream} can't keep topics: {}; change it with `nats stream edit`, or name another", problems.join(", "))]
    Stream {
        /// The stream.
        stream: String,
        /// What is wrong with it.
        problems: Vec<String>,
    },
    /// It isn't known of all servers that what they have acknowledged survives a power failure.
    #[error(
        "{why}. By default a server writes its files to the disk every two minutes, so that a power failure takes messages that it has acknowledged: set `sync_interval: always` in its `jetstream` block and name its monitoring URL in `monitors`, or set `allow_unsafe_sync`"
    )]
    UnsafeSync {
        /// Which server, and what it said.
        why: String,
    },
}

/// Connects to a server, and finds or makes the stream.
pub(super) async fn connect(
    options: &JetStreamSettings,
    shard: &str,
    settings: &LogSettings,
) -> Result<Server, ConnectError> {
    check(options)?;
    let all = async {
        let client = client(options, shard).await?;
        let info = client.server_info();
        if !is_new_enough(&info.version) {
            return Err(ConnectError::Version(info.version));
        }
        let server = Server::new(client, options.stream.clone());
        let mut found = stream::prepare(&server, options, settings).await?;
        if found.peers.is_empty() {
            found.peers.push(info.server_name);
        }
        let synced = sync::check(options, &found.peers, &found.synced).await?;
        stream::update(&server, found, settings, &synced).await?;
        Ok(server)
    };
    let doing = "to connect and to look at the stream";
    timeout(ALL, all).await.map_err(|_| ConnectError::Late { doing })?
}

fn check(options: &JetStreamSettings) -> Result<(), ConnectError> {
    let refuse = |why: String| Err(ConnectError::Options(why));
    if options.servers.is_empty() {
        return refuse("no server is named".to_owned());
    }
    if !is_stream_name(&options.stream) {
        let stream = &options.stream;
        return refuse(format!("`{stream}` can't be a stream; use 1 to 64 of A-Z a-z 0-9 - _"));
    }
    if !(1..=5).contains(&options.replicas) {
        return refuse(format!("{} replicas can't be; use 1, 3 or 5", options.replicas));
    }
    Ok(())
}

pub(super) async fn client(options: &JetStreamSettings, who: &str) -> Result<Client, ConnectError> {
    let mut addresses = Vec::new();
    for server in &options.servers {
        let address: ServerAddr = server
            .parse()
            .map_err(|error| ConnectError::Options(format!("a server's URL is none: {error}")))?;
        addresses.push(address);
    }
    let mut connect = ConnectOptions::new()
        .name(format!("trunkline {who}"))
        .ping_interval(PING_INTERVAL)
        .reconnect_delay_callback(|attempts| {
            let doubled = u32::try_from(attempts.min(6)).unwrap_or(6);
            (Duration::from_millis(25) * 2_u32.pow(doubled)).min(LONGEST_RECONNECT_DELAY)
        });
    connect = match &options.login {
        Login::None => connect,
        Login::Credentials(path) => connect
            .credentials_file(path)
            .await
            .map_err(|source| ConnectError::Credentials { path: path.clone(), source })?,
        Login::User { name, password } => connect.user_and_password(name.clone(), password.clone()),
        Login::Token(token) => connect.token(token.clone()),
    };
    if let Some(ca) = &options.ca {
        connect = connect.add_root_certificates(ca.clone()).require_tls(true);
    }
    if let Some(Certificate { cert, key }) = &options.certificate {
        connect = connect.add_client_certificate(cert.clone(), key.clone());
    }
    let mut patience = Patience::new(CONNECTION);
    loop {
        let error = match connect.clone().connect(addresses.clone()).await {
            Ok(client) => return Ok(client),
            Err(error) => error,
        };
        // One that is only now being started is waited for; one that says no is not.
        use async_nats::ConnectErrorKind::{Dns, Io, TimedOut};
        let may_come = matches!(error.kind(), Dns | Io | TimedOut);
        if !may_come || matches!(patience.pause().await, Err(Late)) {
            // Without the passwords that their URLs may have.
            let servers: Vec<_> =
                addresses.iter().map(|it| format!("{}:{}", it.host(), it.port())).collect();
            let servers = servers.join(", ");
            return Err(ConnectError::Connection { servers, source: error });
        }
    }
}

/// Whether a server of this version has all that is needed.
pub(super) fn is_new_enough(version: &str) -> bool {
    let mut numbers = version.split(['.', '-']).map(|number| number.parse::<u64>().ok());
    let (major, minor) = (numbers.next().flatten(), numbers.next().flatten());
    major.zip(minor).is_some_and(|version| version >= OLDEST)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_server_needs_version_2_12() {
        for new in ["2.12.0", "2.12.0-RC.1", "2.15.0", "3.0.1"] {
            assert!(is_new_enough(new), "{new}");
        }
        for old in ["2.11.9", "1.99.0", "2", "", "x.y"] {
            assert!(!is_new_enough(old), "{old}");
        }
    }

    #[test]
    fn options_that_cannot_be_are_refused_before_anything_is_asked() {
        let good = JetStreamSettings::default();
        assert!(check(&good).is_ok());
        for bad in [
            JetStreamSettings { servers: Vec::new(), ..good.clone() },
            JetStreamSettings { stream: "a.b".to_owned(), ..good.clone() },
            JetStreamSettings { replicas: 0, ..good.clone() },
            JetStreamSettings { replicas: 6, ..good.clone() },
        ] {
            assert!(matches!(check(&bad), Err(ConnectError::Options(_))), "{bad:?}");
        }
    }
}

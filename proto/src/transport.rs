//! The gRPC transport of trunks and links: windows, limits, keepalive, TLS and credentials, set
//! in one place so that both ends agree.

use std::time::Duration;

use tonic::metadata::{Ascii, MetadataMap, MetadataValue};
use tonic::transport::{Certificate, ClientTlsConfig, Endpoint, Identity, Server, ServerTlsConfig};
use tonic::{Request, Response, Status};
use trunkline_config::settings::Cluster;

use crate::credential::{ClusterSecret, CredentialError};
use crate::outbox::Bounds;

/// The largest gRPC message that is sent or taken. A batch closes at [`STREAM_BOUNDS`]' batch
/// size, but one item may exceed it: a history of `history.bytes` is one.
pub const MAX_MESSAGE: usize = 64 * 1024 * 1024;

/// The queue in front of every stream: 32 MiB may wait, and a batch closes after 256 KiB.
pub const STREAM_BOUNDS: Bounds = Bounds { capacity: 32 * 1024 * 1024, batch: 256 * 1024 };

/// How long the other end may take to accept a stream and to send its hello.
pub const HELLO_TIMEOUT: Duration = Duration::from_secs(5);

const CONNECT_TIMEOUT: Duration = Duration::from_secs(3);
/// An end that has been silent this long is asked, and given up after [`KEEPALIVE_TIMEOUT`].
const KEEPALIVE_INTERVAL: Duration = Duration::from_secs(2);
const KEEPALIVE_TIMEOUT: Duration = Duration::from_secs(3);
/// What may be on its way unread: HTTP/2's default of 64 KiB would stall a batch half-way.
const STREAM_WINDOW: u32 = 4 * 1024 * 1024;
const CONNECTION_WINDOW: u32 = 8 * 1024 * 1024;
const HTTP2_FRAME: u32 = 256 * 1024;

const CREDENTIAL: &str = "trunkline-credential";

/// What stands between this process and a stream.
#[derive(Debug, thiserror::Error)]
pub enum SecurityError {
    /// A file of `cluster.tls` can't be read.
    #[error("cannot read {path}: {source}; check cluster.tls")]
    File {
        /// The file.
        path: String,
        /// Why.
        source: std::io::Error,
    },
    /// tonic doesn't take the certificate, key or address.
    #[error("cannot set up the stream to {address}: {source}")]
    Transport {
        /// The address.
        address: String,
        /// Why.
        source: tonic::transport::Error,
    },
    /// The other end did not show that it knows the cluster secret.
    #[error(transparent)]
    Credential(#[from] CredentialError),
}

#[derive(Clone)]
struct Tls {
    identity: Identity,
    ca: Certificate,
}

/// How this process shows who it is to the others, and checks who they are.
#[derive(Clone)]
pub struct Security {
    secret: Option<ClusterSecret>,
    tls: Option<Tls>,
}

impl std::fmt::Debug for Security {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Security")
            .field("secret", &self.secret.is_some())
            .field("tls", &self.tls.is_some())
            .finish()
    }
}

/// What the opening side keeps until the answer has come.
#[derive(Clone, Debug)]
pub struct Opening {
    shard: String,
    token: Option<String>,
}

impl Security {
    /// From `[cluster]`; reads the files of `cluster.tls`.
    ///
    /// # Errors
    /// [`SecurityError::File`] when one can't be read.
    pub fn new(cluster: &Cluster) -> Result<Self, SecurityError> {
        let read = |path: &std::path::Path| {
            std::fs::read(path)
                .map_err(|source| SecurityError::File { path: path.display().to_string(), source })
        };
        let tls = match &cluster.tls {
            None => None,
            Some(tls) => Some(Tls {
                identity: Identity::from_pem(read(&tls.cert)?, read(&tls.key)?),
                ca: Certificate::from_pem(read(&tls.ca)?),
            }),
        };
        Ok(Self { secret: cluster.secret.as_deref().map(ClusterSecret::new), tls })
    }

    /// The dialling side of a stream to `address` (`HOST:PORT`).
    ///
    /// # Errors
    /// [`SecurityError::Transport`] when the address or the TLS files aren't usable.
    pub fn endpoint(&self, address: &str) -> Result<Endpoint, SecurityError> {
        let transport = |source| SecurityError::Transport { address: address.to_owned(), source };
        let scheme = if self.tls.is_some() { "https" } else { "http" };
        let endpoint = Endpoint::from_shared(format!("{scheme}://{address}"))
            .map_err(transport)?
            .connect_timeout(CONNECT_TIMEOUT)
            .tcp_nodelay(true)
            .initial_stream_window_size(STREAM_WINDOW)
            .initial_connection_window_size(CONNECTION_WINDOW)
            .http2_keep_alive_interval(KEEPALIVE_INTERVAL)
            .keep_alive_timeout(KEEPALIVE_TIMEOUT)
            .keep_alive_while_idle(true);
        match &self.tls {
            None => Ok(endpoint),
            Some(Tls { identity, ca }) => endpoint
                .tls_config(
                    ClientTlsConfig::new().ca_certificate(ca.clone()).identity(identity.clone()),
                )
                .map_err(transport),
        }
    }

    /// The accepting side.
    ///
    /// # Errors
    /// [`SecurityError::Transport`] when the TLS files aren't usable.
    pub fn server(&self) -> Result<Server, SecurityError> {
        let server = Server::builder()
            .initial_stream_window_size(STREAM_WINDOW)
            .initial_connection_window_size(CONNECTION_WINDOW)
            .max_frame_size(HTTP2_FRAME)
            .http2_keepalive_interval(Some(KEEPALIVE_INTERVAL))
            .http2_keepalive_timeout(Some(KEEPALIVE_TIMEOUT));
        match &self.tls {
            None => Ok(server),
            Some(Tls { identity, ca }) => server
                .tls_config(
                    ServerTlsConfig::new().identity(identity.clone()).client_ca_root(ca.clone()),
                )
                .map_err(|source| SecurityError::Transport {
                    address: "this shard".to_owned(),
                    source,
                }),
        }
    }

    /// The request that opens a stream to `shard`, with this process's credential.
    ///
    /// # Errors
    /// [`SecurityError::Credential`] if the credential can't be made.
    pub fn request<S>(
        &self,
        stream: S,
        shard: &str,
        now_ms: u64,
    ) -> Result<(Request<S>, Opening), SecurityError> {
        let mut request = Request::new(stream);
        let mut opening = Opening { shard: shard.to_owned(), token: None };
        if let Some(secret) = &self.secret {
            let token = secret.opening(shard, now_ms)?;
            request.metadata_mut().insert(CREDENTIAL, ascii(&token)?);
            opening.token = Some(token);
        }
        Ok((request, opening))
    }

    /// Checks the answer to [`Security::request`]: the shard knows the secret too.
    ///
    /// # Errors
    /// [`SecurityError::Credential`] if it doesn't.
    pub fn check_response<T>(
        &self,
        response: &Response<T>,
        opening: &Opening,
        now_ms: u64,
    ) -> Result<(), SecurityError> {
        let (Some(secret), Some(token)) = (&self.secret, &opening.token) else { return Ok(()) };
        let answer = credential(response.metadata())?;
        Ok(secret.check_answer(answer, token, &opening.shard, now_ms)?)
    }

    /// On the accepting side: checks who opens a stream to `shard`, and makes the response that
    /// carries this process's own credential.
    ///
    /// # Errors
    /// `UNAUTHENTICATED` if the other end does not know the secret.
    #[allow(clippy::result_large_err)] // tonic's own type, made once per stream
    pub fn accept<T>(
        &self,
        metadata: &MetadataMap,
        shard: &str,
        now_ms: u64,
        stream: T,
    ) -> Result<Response<T>, Status> {
        let mut response = Response::new(stream);
        if let Some(secret) = &self.secret {
            let refuse = |error: CredentialError| Status::unauthenticated(error.to_string());
            let token = credential(metadata).map_err(refuse)?;
            secret.check_opening(token, shard, now_ms).map_err(refuse)?;
            let answer = secret.answer(token, shard, now_ms).map_err(refuse)?;
            response.metadata_mut().insert(CREDENTIAL, ascii(&answer).map_err(refuse)?);
        }
        Ok(response)
    }
}

fn credential(metadata: &MetadataMap) -> Result<&str, CredentialError> {
    let value = metadata.get(CREDENTIAL).ok_or(CredentialError::Missing)?;
    value.to_str().map_err(|_| CredentialError::Invalid)
}

fn ascii(token: &str) -> Result<MetadataValue<Ascii>, CredentialError> {
    token.parse().map_err(|_| CredentialError::Invalid)
}

/// An error with its causes: tonic's own text is only "transport error".
#[must_use]
pub fn causes(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        // Some errors repeat their cause in their own text.
        let said = error.to_string();
        if !text.ends_with(&said) {
            text = format!("{text}: {said}");
        }
        cause = error.source();
    }
    text
}

//! The interface over gRPC: `api.proto`'s service, once per router.
//!
//! tonic wants its services to be `Send` and a worker is bound to its thread: so the service only
//! takes requests in and hands them over a bounded channel to a worker, which does for them
//! exactly what it does for those that come over HTTP.

mod job;
mod listen;
mod service;
mod status;

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::mpsc;
use tokio_rustls::TlsAcceptor;
use tonic::transport::Server;
use trunkline_config::Settings;
use trunkline_proto::api::api_server::ApiServer;

pub(crate) use job::{Job, work};
use listen::Callers;
pub use listen::ListenError;
pub(crate) use listen::check;

use super::longest_body;
use crate::metrics::Metrics;
use crate::net::Clients;
use crate::phase::{Phase, Phases};

/// Requests that may wait for the worker; one more is told to come again.
const WAITING: usize = 256;
/// Requests that one connection may have under way.
const STREAMS: u32 = 256;
/// A connection that has been silent this long is asked whether it lives.
const KEEPALIVE_INTERVAL: Duration = Duration::from_secs(30);
const KEEPALIVE_TIMEOUT: Duration = Duration::from_secs(10);
/// Callers connect anew from time to time, so that routers that were added get their share.
const LONGEST_CONNECTION: Duration = Duration::from_secs(3600);
/// How long they may take to finish then: longer than any request.
const GRACE: Duration = Duration::from_secs(90);

/// What the service needs to run.
pub(crate) struct Grpc {
    pub(crate) settings: Arc<Settings>,
    pub(crate) listener: Clients,
    pub(crate) tls: Option<TlsAcceptor>,
    pub(crate) metrics: Metrics,
    pub(crate) phases: Phases,
}

impl Grpc {
    /// Serves on the current runtime until the router drains or ends; who calls then goes on
    /// elsewhere. What is asked comes out of the
    /// receiver, which is for one worker.
    pub(crate) fn serve(self) -> mpsc::Receiver<Job> {
        let Self { settings, listener, tls, metrics, mut phases } = self;
        let (jobs, received) = mpsc::channel(WAITING);
        let largest = longest_body(settings.limits.message);
        let callers = Callers::new(listener, tls, settings.limits.header_timeout);
        let service = ApiServer::new(service::Service::new(jobs, metrics.clone()))
            .max_decoding_message_size(largest);
        let key = service::Doorman::new(settings, metrics);
        let server = Server::builder()
            .max_concurrent_streams(STREAMS)
            .http2_keepalive_interval(Some(KEEPALIVE_INTERVAL))
            .http2_keepalive_timeout(Some(KEEPALIVE_TIMEOUT))
            .max_connection_age(LONGEST_CONNECTION)
            .max_connection_age_grace(GRACE)
            .add_service(tonic::service::interceptor::InterceptedService::new(service, key));
        tokio::spawn(async move {
            phases.reach(Phase::Serving).await;
            let ended = async { phases.reach(Phase::Draining).await };
            if let Err(error) = server.serve_with_incoming_shutdown(callers.stream(), ended).await {
                tracing::error!(%error, "the interface over gRPC has ended; restart the router");
            }
        });
        received
    }
}

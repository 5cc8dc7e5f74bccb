//! tonic's side: who is let in, and the way to the worker and back.

use std::sync::Arc;

use tokio::sync::{mpsc, oneshot};
use tonic::service::Interceptor;
use tonic::{Request, Response, Status};
use trunkline_config::Settings;
use trunkline_proto::api::api_server::Api;
use trunkline_proto::api::{
    DisconnectReply, DisconnectRequest, HistoryReply, HistoryRequest, PresenceReply,
    PresenceRequest, PublishManyReply, PublishManyRequest, SendManyReply, SendManyRequest,
};

use super::job::{Job, Reply};
use super::listen::Known;
use super::status::status;
use crate::api::{Problem, keys};
use crate::metrics::{Interface, Metrics};

/// Checks the key before a request is read.
#[derive(Clone)]
pub(super) struct Doorman {
    settings: Arc<Settings>,
    metrics: Metrics,
}

impl Doorman {
    pub(super) fn new(settings: Arc<Settings>, metrics: Metrics) -> Self {
        Self { settings, metrics }
    }
}

impl Interceptor for Doorman {
    fn call(&mut self, request: Request<()>) -> Result<Request<()>, Status> {
        match keys::check(&self.settings.api.keys, request.metadata().as_ref()) {
            Ok(()) => {
                if let Some(known) = request.extensions().get::<Known>() {
                    known.set();
                }
                Ok(request)
            }
            Err(problem) => {
                self.metrics.api_request(Interface::Grpc, problem.label());
                Err(status(&problem))
            }
        }
    }
}

/// The service.
pub(super) struct Service {
    jobs: mpsc::Sender<Job>,
    metrics: Metrics,
}

impl Service {
    pub(super) fn new(jobs: mpsc::Sender<Job>, metrics: Metrics) -> Self {
        Self { jobs, metrics }
    }

    /// Hands a request to the worker and waits for its answer, which has deadlines of its own.
    async fn ask<T, R>(
        &self,
        request: Request<T>,
        job: impl FnOnce(T, Reply<R>) -> Job,
    ) -> Result<Response<R>, Status> {
        let (reply, answer) = oneshot::channel();
        let answer = match self.jobs.try_send(job(request.into_inner(), reply)) {
            // An error is a worker that ends.
            Ok(()) => answer.await.unwrap_or_else(|_| Err(Problem::unavailable())),
            Err(_) => Err(Problem::busy()),
        };
        let label = answer.as_ref().map_or_else(Problem::label, |_| "ok");
        self.metrics.api_request(Interface::Grpc, label);
        answer.map(Response::new).map_err(|problem| status(&problem))
    }
}

#[tonic::async_trait]
impl Api for Service {
    async fn publish(
        &self,
        request: Request<PublishManyRequest>,
    ) -> Result<Response<PublishManyReply>, Status> {
        self.ask(request, Job::Publish).await
    }

    async fn send(
        &self,
        request: Request<SendManyRequest>,
    ) -> Result<Response<SendManyReply>, Status> {
        self.ask(request, Job::Send).await
    }

    async fn history(
        &self,
        request: Request<HistoryRequest>,
    ) -> Result<Response<HistoryReply>, Status> {
        self.ask(request, Job::History).await
    }

    async fn presence(
        &self,
        request: Request<PresenceRequest>,
    ) -> Result<Response<PresenceReply>, Status> {
        self.ask(request, Job::Presence).await
    }

    async fn disconnect(
        &self,
        request: Request<DisconnectRequest>,
    ) -> Result<Response<DisconnectReply>, Status> {
        self.ask(request, Job::Disconnect).await
    }
}

//! What operators ask of a shard: `trunkline shard drain` and `resume`.

use std::pin::Pin;
use std::sync::Arc;

use futures_util::Stream;
use tonic::{Request, Response, Status};
use trunkline_proto::peer::control_server::Control;
use trunkline_proto::peer::{ControlRequest, DrainProgress, Resumed};

use crate::hello::check_shard;
use crate::remaining::Remaining;
use crate::serving::{Draining, Ending, Serving};
use crate::streams::Streams;

/// The control service.
pub(crate) struct ControlService {
    pub(crate) streams: Arc<Streams>,
    pub(crate) serving: Serving,
}

type Progress = Pin<Box<dyn Stream<Item = Result<DrainProgress, Status>> + Send>>;

#[tonic::async_trait]
impl Control for ControlService {
    type DrainStream = Progress;

    async fn drain(&self, request: Request<ControlRequest>) -> Result<Response<Progress>, Status> {
        let streams = &self.streams;
        let progress: Progress = Box::pin(follow(self.serving.clone()));
        let response =
            streams.security.accept(request.metadata(), &streams.id, streams.now_ms(), progress)?;
        check_shard(&streams.id, &request.get_ref().shard)?;
        if self.serving.is_alone() {
            return Err(Status::failed_precondition(
                "no other shard can take over what this one has",
            ));
        }
        // One that is ending goes away, too.
        let _ = self.serving.want(false);
        Ok(response)
    }

    async fn resume(&self, request: Request<ControlRequest>) -> Result<Response<Resumed>, Status> {
        let streams = &self.streams;
        let resumed = Resumed {};
        let response =
            streams.security.accept(request.metadata(), &streams.id, streams.now_ms(), resumed)?;
        check_shard(&streams.id, &request.get_ref().shard)?;
        self.serving.want(true).map_err(|Ending| {
            Status::failed_precondition("the shard has been asked to end; start it again then")
        })?;
        Ok(response)
    }
}

/// Tells what is left until nothing is.
fn follow(serving: Serving) -> impl Stream<Item = Result<DrainProgress, Status>> {
    let changes = serving.changes();
    futures_util::stream::unfold(Some((serving, changes, true)), async |state| {
        let (serving, mut changes, is_first) = state?;
        if !is_first && changes.changed().await.is_err() {
            return Some((Err(Status::unavailable("the shard is ending")), None));
        }
        let progress = match serving.draining() {
            Draining::Left(Remaining { topics, connections, .. }) => DrainProgress {
                topics: topics as u64,
                connections: connections as u64,
                unreachable: serving.unreachable(),
                ..DrainProgress::default()
            },
            Draining::Done => DrainProgress { done: true, ..DrainProgress::default() },
            Draining::Alone => DrainProgress { alone: true, ..DrainProgress::default() },
        };
        let is_last = progress.done || progress.alone;
        Some((Ok(progress), (!is_last).then_some((serving, changes, false))))
    })
}

//! A request over gRPC on its way to a worker, and its answer on the way back.

use std::future::Future;
use std::rc::Rc;

use tokio::sync::{mpsc, oneshot};
use tokio::task::spawn_local;
use trunkline_proto::api::{
    DisconnectReply, DisconnectRequest, HistoryReply, HistoryRequest, PresenceReply,
    PresenceRequest, PublishManyReply, PublishManyRequest, PublishResult, SendManyReply,
    SendManyRequest, SendResult, publish_result, send_result,
};

use crate::api::{Api, Problem};

/// Where an answer goes.
pub(super) type Reply<T> = oneshot::Sender<Result<T, Problem>>;

/// What is asked, and where the answer goes.
pub(crate) enum Job {
    Publish(PublishManyRequest, Reply<PublishManyReply>),
    Send(SendManyRequest, Reply<SendManyReply>),
    History(HistoryRequest, Reply<HistoryReply>),
    Presence(PresenceRequest, Reply<PresenceReply>),
    Disconnect(DisconnectRequest, Reply<DisconnectReply>),
}

/// Does what is asked, as long as the service runs.
pub(crate) async fn work(api: Rc<Api>, mut jobs: mpsc::Receiver<Job>) {
    while let Some(job) = jobs.recv().await {
        // Calls are queued in the order in which the jobs came: a task runs from where it is
        // spawned, first come first served.
        spawn_local(job.run(Rc::clone(&api)));
    }
}

impl Job {
    async fn run(self, api: Rc<Api>) {
        match self {
            Job::Publish(request, reply) => answer(&api, reply, publish(&api, request)).await,
            Job::Send(request, reply) => answer(&api, reply, send(&api, request)).await,
            Job::History(request, reply) => answer(&api, reply, api.history(request)).await,
            Job::Presence(request, reply) => answer(&api, reply, api.presence(request)).await,
            Job::Disconnect(request, reply) => answer(&api, reply, api.disconnect(request)).await,
        }
    }
}

/// Does what is asked, unless there is too much already or the caller gives up.
async fn answer<T>(api: &Api, mut reply: Reply<T>, what: impl Future<Output = Result<T, Problem>>) {
    let seat = match api.seat() {
        Ok(seat) => seat,
        Err(problem) => {
            // An error is a caller that has gone: here and below.
            let _ = reply.send(Err(problem));
            return;
        }
    };
    tokio::select! {
        biased;
        () = reply.closed() => {}
        result = what => {
            let _ = reply.send(result);
        }
    }
    drop(seat);
}

async fn publish(api: &Api, request: PublishManyRequest) -> Result<PublishManyReply, Problem> {
    use publish_result::Result as Kind;
    let PublishManyRequest { namespace, room, messages } = request;
    let messages = messages.into_iter().map(Ok).collect();
    let outcomes = api.publish(&namespace, &room, messages).await?;
    let result = |outcome: Result<_, Problem>| PublishResult {
        result: Some(outcome.map_or_else(|problem| Kind::Error(problem.into()), Kind::Reply)),
    };
    Ok(PublishManyReply { results: outcomes.into_iter().map(result).collect() })
}

async fn send(api: &Api, request: SendManyRequest) -> Result<SendManyReply, Problem> {
    use send_result::Result as Kind;
    let SendManyRequest { to, messages } = request;
    let outcomes = api.send(&to, messages.into_iter().map(Ok).collect()).await?;
    let result = |outcome: Result<_, Problem>| SendResult {
        result: Some(outcome.map_or_else(|problem| Kind::Error(problem.into()), Kind::Reply)),
    };
    Ok(SendManyReply { results: outcomes.into_iter().map(result).collect() })
}

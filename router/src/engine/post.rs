//! POSTs. A body that has come with its head goes to the shard as it is. One that is still to come
//! is announced there: there may be no second beside it, and only the shard sees those of all
//! routers.

use std::future::poll_fn;
use std::rc::Rc;
use std::task::Poll;

use bytes::Bytes;
use hyper::body::Incoming;
use hyper::header::CONTENT_TYPE;
use hyper::{Request, StatusCode};
use tokio::time::{Instant, timeout_at};
use trunkline_proto::trunk::PollAnswer;
use trunkline_proto::trunk::poll_request::What;

use super::body::{self, Body, NoBody};
use super::polling::{HTML, ask, no_such_shard, pass_back, patience};
use super::problem;
use super::way::Way;
use crate::http::{Answer, Client};
use crate::trunk::Asking;

/// What comes first of a body and an answer that does not wait for it.
enum First {
    Body(Result<Bytes, NoBody>),
    Answer(Option<PollAnswer>),
}

pub(super) async fn answer(
    client: &Rc<Client>,
    request: Request<Incoming>,
    session: Bytes,
) -> Answer {
    let Some(trunk) = client.worker.trunk_of(&session) else { return no_such_shard() };
    let content = request.headers().get(CONTENT_TYPE);
    if content.is_some_and(|content| content.as_bytes() == b"application/octet-stream") {
        return give_up(trunk.announce(session));
    }
    let most = client.worker.settings.socketio.max_http_buffer_size;
    let Ok(mut body) = Body::begin(request.into_body(), most) else { return too_large() };
    match poll_fn(|cx| Poll::Ready(body.poll(cx))).await {
        Poll::Ready(Ok(said)) => ask(client, session, What::Post(said), HTML).await,
        Poll::Ready(Err(NoBody::TooLarge)) => too_large(),
        Poll::Ready(Err(NoBody::Broken)) => give_up(trunk.announce(session)),
        Poll::Pending => announced(client, session, body).await,
    }
}

/// A POST whose body is still to come. A client that hangs up meanwhile drops this, and the shard
/// hears so.
async fn announced(client: &Client, session: Bytes, mut body: Body) -> Answer {
    client.lifetime.extend(body::PATIENCE);
    let until = Instant::now() + body::PATIENCE;
    let mut way = Way::new(&client.worker, &session);
    let mut next = way.begin().await;
    while let Some(trunk) = next {
        let Some(mut asking) = trunk.announce(session.clone()) else { break };
        let first = async {
            tokio::select! {
                biased;
                said = poll_fn(|cx| body.poll(cx)) => First::Body(said),
                answered = asking.answer() => First::Answer(answered),
            }
        };
        match timeout_at(until, first).await {
            Ok(First::Body(Ok(said))) => {
                client.lifetime.extend(patience(client));
                let answered = asking.post(said.clone(), patience(client)).await;
                if answered.as_ref().is_some_and(|answer| answer.moved.is_some()) {
                    return ask(client, session, What::Post(said), HTML).await;
                }
                return pass_back(client, answered, HTML);
            }
            Ok(First::Answer(Some(PollAnswer { moved: Some(shard), .. }))) => {
                next = way.go_on(&shard).await;
            }
            // The session was over, or is now by a second POST.
            Ok(First::Answer(answered)) => return pass_back(client, answered, HTML),
            Ok(First::Body(Err(NoBody::TooLarge))) => {
                asking.refuse_as_too_large();
                return too_large();
            }
            Ok(First::Body(Err(NoBody::Broken))) | Err(_) => return give_up(Some(asking)),
        }
    }
    pass_back(client, None, HTML)
}

/// A POST that nothing comes of ends the session. Without a trunk that does its heartbeat.
fn give_up(asking: Option<Asking>) -> Answer {
    drop(asking);
    problem::bare(StatusCode::BAD_REQUEST)
}

/// That costs the session nothing.
fn too_large() -> Answer {
    problem::bare(StatusCode::PAYLOAD_TOO_LARGE)
}

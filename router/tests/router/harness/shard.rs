//! A shard that does only what a test tells it to.

use std::collections::VecDeque;
use std::net::SocketAddr;

use bytes::Bytes;
use tokio::net::TcpListener;
use tokio::sync::mpsc;
use tokio::task::JoinHandle;
use tokio_stream::wrappers::{ReceiverStream, TcpListenerStream};
use tonic::{Request, Response, Status, Streaming};
use trunkline_proto::transport::MAX_MESSAGE;
use trunkline_proto::trunk::trunk_server::{Trunk, TrunkServer};
use trunkline_proto::trunk::{
    Acknowledge, ApiAnswer, ApiCall, Attach, Checkpoint, ClientMessage, Close, Down, DownBatch,
    DownHello, Fan, Frame, FrameKind, GroupChange, MapId, Part, PollAnswer, PollGone, PollRequest,
    Send, ShardStatus, SlotPosition, UpBatch, UpHello, api_answer, down, up,
};

use super::soon;

pub(crate) struct FakeShard {
    pub(crate) address: SocketAddr,
    trunks: mpsc::UnboundedReceiver<TrunkEnd>,
    server: JoinHandle<()>,
}

/// The shard's end of one trunk.
pub(crate) struct TrunkEnd {
    pub(crate) hello: UpHello,
    up: Streaming<UpBatch>,
    received: VecDeque<up::Item>,
    down: mpsc::Sender<Result<DownBatch, Status>>,
}

/// What the shard says of itself.
#[derive(Clone)]
pub(crate) struct Says {
    pub(crate) map: Option<MapId>,
    pub(crate) shard: String,
    pub(crate) incarnation: u64,
    pub(crate) statuses: Vec<ShardStatus>,
}

struct Service {
    says: Option<Says>,
    trunks: mpsc::UnboundedSender<TrunkEnd>,
}

impl FakeShard {
    /// A shard that agrees with whatever the router says, at a free port.
    pub(crate) async fn start() -> Self {
        Self::start_at(SocketAddr::from(([127, 0, 0, 1], 0)), None).await
    }

    pub(crate) async fn start_at(address: SocketAddr, says: Option<Says>) -> Self {
        let listener = TcpListener::bind(address).await.expect("a free port");
        let address = listener.local_addr().expect("bound");
        let (sender, trunks) = mpsc::unbounded_channel();
        let service = TrunkServer::new(Service { says, trunks: sender })
            .max_decoding_message_size(MAX_MESSAGE)
            .max_encoding_message_size(MAX_MESSAGE);
        let server = tokio::spawn(async move {
            let incoming = TcpListenerStream::new(listener);
            let server = tonic::transport::Server::builder().add_service(service);
            server.serve_with_incoming(incoming).await.expect("serves");
        });
        Self { address, trunks, server }
    }

    /// The next trunk that is opened.
    pub(crate) async fn trunk(&mut self) -> TrunkEnd {
        soon("a trunk", self.trunk_at_last()).await
    }

    /// The same where it takes its time.
    pub(crate) async fn trunk_at_last(&mut self) -> TrunkEnd {
        self.trunks.recv().await.expect("the shard runs")
    }

    /// Stops listening; its trunks end when their ends are dropped.
    pub(crate) async fn stop(mut self) -> SocketAddr {
        self.go_away().await;
        self.address
    }

    /// The same of a shard that comes back.
    pub(crate) async fn go_away(&mut self) {
        self.server.abort();
        let _ = (&mut self.server).await;
    }

    /// Listens again.
    pub(crate) async fn come_back(&mut self) {
        *self = Self::start_at(self.address, None).await;
    }
}

#[tonic::async_trait]
impl Trunk for Service {
    type OpenStream = ReceiverStream<Result<DownBatch, Status>>;

    async fn open(
        &self,
        request: Request<Streaming<UpBatch>>,
    ) -> Result<Response<Self::OpenStream>, Status> {
        let mut up = request.into_inner();
        let first = up.message().await?.ok_or_else(|| Status::aborted("no hello"))?;
        let mut received: VecDeque<_> = first.items.into_iter().filter_map(|i| i.item).collect();
        let Some(up::Item::Hello(hello)) = received.pop_front() else {
            return Err(Status::invalid_argument("the first item was no hello"));
        };
        let says = self.says.clone().unwrap_or_else(|| Says {
            map: hello.map,
            shard: hello.shard.clone(),
            incarnation: 1,
            statuses: Vec::new(),
        });
        let (down, stream) = mpsc::channel(64);
        let Says { map, shard, incarnation, statuses } = says;
        let answer = down::Item::Hello(DownHello { map, shard, incarnation, statuses });
        down.send(Ok(batch(vec![answer]))).await.expect("room");
        let _ = self.trunks.send(TrunkEnd { hello, up, received, down });
        Ok(Response::new(ReceiverStream::new(stream)))
    }
}

impl TrunkEnd {
    /// The next item from the router.
    pub(crate) async fn next(&mut self) -> up::Item {
        soon("an item from the router", async {
            loop {
                if let Some(item) = self.received.pop_front() {
                    return item;
                }
                let batch = self.up.message().await.expect("a stream").expect("not ended");
                self.received.extend(batch.items.into_iter().filter_map(|item| item.item));
            }
        })
        .await
    }

    pub(crate) async fn attach(&mut self) -> Attach {
        match self.next().await {
            up::Item::Attach(attach) => attach,
            other => panic!("not an attach: {other:?}"),
        }
    }

    /// The next item, which must be a message, whole.
    pub(crate) async fn said(&mut self) -> ClientMessage {
        match self.next().await {
            up::Item::Message(message) => message,
            other => panic!("not a message: {other:?}"),
        }
    }

    /// The text, sequence and connection of the next item, which must be a message.
    pub(crate) async fn message(&mut self) -> (u64, u64, String) {
        match self.next().await {
            up::Item::Message(message) if !message.control => {
                let text = String::from_utf8(message.payload.to_vec()).expect("text");
                (message.connection, message.sequence, text)
            }
            other => panic!("not a message: {other:?}"),
        }
    }

    /// The next item, which must be a request of a client that polls.
    pub(crate) async fn poll(&mut self) -> PollRequest {
        match self.next().await {
            up::Item::Poll(poll) => poll,
            other => panic!("not a poll: {other:?}"),
        }
    }

    /// The number of the next item, which must be that a request is over unanswered and its client
    /// lost.
    pub(crate) async fn poll_gone(&mut self) -> u64 {
        let gone = self.poll_over().await;
        assert!(!gone.too_large);
        gone.request
    }

    /// The next item, which must be that a request is over unanswered.
    pub(crate) async fn poll_over(&mut self) -> PollGone {
        match self.next().await {
            up::Item::PollGone(gone) => gone,
            other => panic!("not a poll that is gone: {other:?}"),
        }
    }

    /// The text and connection of the next item, which must be an Engine.IO packet as it was
    /// received.
    pub(crate) async fn control(&mut self) -> (u64, String) {
        match self.next().await {
            up::Item::Message(message) if message.control => {
                assert_eq!(message.sequence, 0);
                let text = String::from_utf8(message.payload.to_vec()).expect("text");
                (message.connection, text)
            }
            other => panic!("not a control message: {other:?}"),
        }
    }

    pub(crate) async fn detach(&mut self) -> u64 {
        match self.next().await {
            up::Item::Detach(detach) => detach.connection,
            other => panic!("not a detach: {other:?}"),
        }
    }

    /// The next item, which must be a call.
    pub(crate) async fn call(&mut self) -> ApiCall {
        match self.next().await {
            up::Item::Api(call) => call,
            other => panic!("not a call: {other:?}"),
        }
    }

    /// Answers a call by its number.
    pub(crate) async fn answer(&self, request: u64, what: api_answer::What) {
        self.batch(vec![down::Item::Api(ApiAnswer { request, what: Some(what) })]).await;
    }

    /// The number and outcome of the next item, which must be a receipt.
    pub(crate) async fn receipt(&mut self) -> (u64, bool) {
        match self.next().await {
            up::Item::Receipt(receipt) => (receipt.receipt, receipt.passed),
            other => panic!("not a receipt: {other:?}"),
        }
    }

    /// Sends items as one batch.
    pub(crate) async fn batch(&self, items: Vec<down::Item>) {
        soon("room in the trunk", self.down.send(Ok(batch(items)))).await.expect("the trunk lives");
    }

    /// The same of a trunk that may have ended; false if it has.
    pub(crate) async fn try_batch(&self, items: Vec<down::Item>) -> bool {
        self.down.send(Ok(batch(items))).await.is_ok()
    }

    /// Ends the stream.
    pub(crate) fn hang_up(&mut self) {
        self.down = mpsc::channel(1).0;
    }

    /// True when the router has ended its side.
    pub(crate) async fn ended(&mut self) -> bool {
        soon("the end of the trunk", async {
            loop {
                match self.up.message().await {
                    Ok(Some(_)) => {}
                    Ok(None) | Err(_) => return true,
                }
            }
        })
        .await
    }
}

fn batch(items: Vec<down::Item>) -> DownBatch {
    DownBatch { items: items.into_iter().map(|item| Down { item: Some(item) }).collect() }
}

fn text_frame(text: &str, kind: FrameKind) -> Option<Frame> {
    let part = Part { payload: text.to_owned().into(), binary: false };
    Some(Frame { parts: vec![part], kind: kind.into() })
}

pub(crate) fn send(connections: &[u64], text: &str, kind: FrameKind, receipt: u64) -> down::Item {
    let frame = text_frame(text, kind);
    let connections = connections.to_vec();
    down::Item::Send(Send { connections, frame, receipt, ..Send::default() })
}

pub(crate) fn live(connection: u64, text: &str) -> down::Item {
    send(&[connection], text, FrameKind::Live, 0)
}

pub(crate) fn fan(group: u64, text: &str, kind: FrameKind, except: u64) -> down::Item {
    let frame = text_frame(text, kind);
    down::Item::Fan(Fan { group, frame, except, position: Bytes::new() })
}

pub(crate) fn join(group: u64, connection: u64) -> down::Item {
    down::Item::Group(GroupChange { group, connection, member: true, position: Bytes::new() })
}

pub(crate) fn leave(group: u64, connection: u64) -> down::Item {
    down::Item::Group(GroupChange { group, connection, member: false, position: Bytes::new() })
}

/// An item with a position, in a slot if it is for connections by number.
pub(crate) fn at(item: down::Item, slot: u32, position: &'static str) -> down::Item {
    let position = Bytes::from_static(position.as_bytes());
    match item {
        down::Item::Send(send) => {
            down::Item::Send(Send { position: Some(SlotPosition { slot, position }), ..send })
        }
        down::Item::Fan(fan) => down::Item::Fan(Fan { position, ..fan }),
        down::Item::Group(change) => down::Item::Group(GroupChange { position, ..change }),
        other => panic!("it has no position: {other:?}"),
    }
}

/// An answer to a message of the connection.
pub(crate) fn reply(connection: u64, text: &str, answers: u64) -> down::Item {
    let (connections, frame) = (vec![connection], text_frame(text, FrameKind::Reply));
    down::Item::Send(Send { connections, frame, answers, ..Send::default() })
}

pub(crate) fn checkpoint(connection: u64, state: &'static str) -> down::Item {
    let state = Bytes::from_static(state.as_bytes());
    down::Item::Checkpoint(Checkpoint { connection, state })
}

pub(crate) fn close(connection: u64, code: u32, reason: &str) -> down::Item {
    down::Item::Close(Close { connection, code, reason: reason.to_owned() })
}

pub(crate) fn acknowledge(connection: u64, sequence: u64) -> down::Item {
    down::Item::Acknowledge(Acknowledge { connection, sequence })
}

pub(crate) fn answer(request: u64, status: u32, body: &str) -> down::Item {
    down::Item::Poll(PollAnswer { request, status, body: body.to_owned().into(), moved: None })
}

//! A Socket.IO client that speaks its packets by hand, so that a test sees each of them: over a
//! WebSocket from the start, in one namespace.

use std::collections::VecDeque;

use futures_util::{SinkExt, StreamExt};
use serde_json::Value;
use tokio::net::TcpStream;
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::{MaybeTlsStream, WebSocketStream, connect_async};

use super::soon;

/// An event or an acknowledgement.
#[derive(Clone, Debug)]
pub(crate) struct Event {
    /// With an event: the acknowledgement that is asked for.
    pub(crate) id: Option<u64>,
    /// An event's name is the first.
    pub(crate) args: Vec<Value>,
    pub(crate) attachments: Vec<Vec<u8>>,
}

/// A packet without its attachments.
struct Packet {
    kind: char,
    attachments: usize,
    id: Option<u64>,
    data: Value,
}

/// A client that has been let into a namespace.
pub(crate) struct Socket {
    stream: WebSocketStream<MaybeTlsStream<TcpStream>>,
    namespace: String,
    pub(crate) sid: String,
    ids: u64,
    /// Events that nobody has taken.
    waiting: VecDeque<Event>,
}

impl Socket {
    /// Connects to the main namespace of a router.
    pub(crate) async fn open(port: u16, user: &str) -> Self {
        Self::open_in(port, user, "/").await
    }

    pub(crate) async fn open_in(port: u16, user: &str, namespace: &str) -> Self {
        let opened = Self::try_open(port, user, namespace, &Value::Null).await;
        opened.unwrap_or_else(|error| panic!("{user} was refused {namespace}: {error}"))
    }

    /// Connects with what is given to `auth`; the error is that of `connect_error`.
    pub(crate) async fn try_open(
        port: u16,
        user: &str,
        namespace: &str,
        auth: &Value,
    ) -> Result<Self, Value> {
        let url = format!("ws://127.0.0.1:{port}/socket.io/?EIO=4&transport=websocket&user={user}");
        let (stream, _) = soon("an upgrade", connect_async(url)).await.expect("an upgrade");
        let (sid, namespace) = (String::new(), namespace.to_owned());
        let mut socket = Self { stream, namespace, sid, ids: 0, waiting: VecDeque::new() };
        let open = soon("a handshake", socket.text()).await;
        assert!(open.starts_with("0{"), "{open}");
        socket.send('0', None, auth).await;
        let answer = soon("an answer to CONNECT", socket.packet()).await;
        match answer.kind {
            '0' => answer.data["sid"].as_str().expect("a sid").clone_into(&mut socket.sid),
            '4' => return Err(answer.data),
            other => panic!("a CONNECT was answered by {other}"),
        }
        Ok(socket)
    }

    /// The next event of this name; others stay to be taken.
    pub(crate) async fn event_of(&mut self, name: &str) -> Event {
        if let Some(index) = self.waiting.iter().position(|event| event.args[0] == name) {
            return self.waiting.remove(index).expect("it is there");
        }
        // One deadline for all: the heartbeat's packets must not begin it anew.
        soon(&format!("an event {name:?}"), async {
            loop {
                let packet = self.packet().await;
                assert!(matches!(packet.kind, '2' | '5'), "no event: {:?}", packet.data);
                let event = self.whole(packet).await;
                if event.args[0] == name {
                    return event;
                }
                self.waiting.push_back(event);
            }
        })
        .await
    }

    /// Emits an event, `["name", …]`, and gives the arguments of its acknowledgement.
    pub(crate) async fn ask(&mut self, event: &Value) -> Vec<Value> {
        let id = self.emit(event).await;
        let (is, args) = self.acknowledgements(1).await.remove(0);
        assert_eq!(is, id, "{event} was answered by {args:?}");
        args
    }

    /// Emits an event that is to be acknowledged under this number.
    pub(crate) async fn emit(&mut self, event: &Value) -> u64 {
        self.ids += 1;
        self.send('2', Some(self.ids), event).await;
        self.ids
    }

    /// Emits an event with one attachment, `{"_placeholder":true,"num":0}` in its arguments.
    pub(crate) async fn emit_with(&mut self, event: &Value, attachment: &'static [u8]) -> u64 {
        self.ids += 1;
        let text = format!("451-{}{event}", self.ids);
        for message in [Message::text(text), Message::binary(attachment)] {
            soon("a write", self.stream.send(message)).await.expect("written");
        }
        self.ids
    }

    /// So many acknowledgements by their numbers, in the order in which they come.
    pub(crate) async fn acknowledgements(&mut self, count: usize) -> Vec<(u64, Vec<Value>)> {
        soon("acknowledgements", async {
            let mut all = Vec::new();
            while all.len() < count {
                let packet = self.packet().await;
                let (kind, id) = (packet.kind, packet.id);
                let whole = self.whole(packet).await;
                match (kind, id) {
                    ('2' | '5', _) => self.waiting.push_back(whole),
                    ('3' | '6', Some(id)) => all.push((id, whole.args)),
                    other => panic!("{other:?} is neither an event nor an acknowledgement"),
                }
            }
            all
        })
        .await
    }

    pub(crate) async fn join(&mut self, room: &str) {
        let answer = self.ask(&serde_json::json!(["join", room])).await;
        assert_eq!(answer[0]["type"], "ok", "{answer:?}");
    }

    /// Acknowledges an event that asked for it with these arguments.
    pub(crate) async fn acknowledge(&mut self, event: &Event, args: &Value) {
        assert!(event.id.is_some(), "{event:?} asks for no acknowledgement");
        self.send('3', event.id, args).await;
    }

    /// Waits until the server has taken it out of the namespace; other packets may come before.
    pub(crate) async fn disconnected(&mut self) {
        soon("an end", async { while self.packet().await.kind != '1' {} }).await;
    }

    pub(crate) async fn close(mut self) {
        soon("a close", self.stream.close(None)).await.expect("a close");
    }

    async fn send(&mut self, kind: char, id: Option<u64>, data: &Value) {
        let namespace = match self.namespace.as_str() {
            "/" => String::new(),
            other => format!("{other},"),
        };
        let id = id.map(|id| id.to_string()).unwrap_or_default();
        let data = if data.is_null() { String::new() } else { data.to_string() };
        let text = format!("4{kind}{namespace}{id}{data}");
        soon("a write", self.stream.send(Message::text(text))).await.expect("written");
    }

    async fn whole(&mut self, packet: Packet) -> Event {
        let mut attachments = Vec::new();
        for _ in 0..packet.attachments {
            match self.message().await {
                Message::Binary(bytes) => attachments.push(bytes.to_vec()),
                other => panic!("no attachment: {other}"),
            }
        }
        let Value::Array(args) = packet.data else { panic!("no arguments: {}", packet.data) };
        Event { id: packet.id, args, attachments }
    }

    async fn packet(&mut self) -> Packet {
        let text = self.text().await;
        let packet = text.strip_prefix('4').unwrap_or_else(|| panic!("no message: {text}"));
        let kind = packet.chars().next().expect("a type");
        let mut rest = &packet[1..];
        let mut attachments = 0;
        if matches!(kind, '5' | '6') {
            let (count, after) = rest.split_once('-').expect("a count of attachments");
            (attachments, rest) = (count.parse().expect("a number"), after);
        }
        if rest.starts_with('/') {
            let (namespace, after) = rest.split_once(',').unwrap_or((rest, ""));
            assert_eq!(namespace, self.namespace, "{text}");
            rest = after;
        }
        let digits = rest.find(|c: char| !c.is_ascii_digit()).unwrap_or(rest.len());
        let (id, data) = rest.split_at(digits);
        let data = if data.is_empty() { Value::Null } else { data.parse().expect("JSON") };
        Packet { kind, attachments, id: id.parse().ok(), data }
    }

    /// The next text that is no ping of the heartbeat, which is answered.
    async fn text(&mut self) -> String {
        loop {
            match self.message().await {
                Message::Text(text) if text == "2" => {
                    self.stream.send(Message::text("3")).await.expect("written");
                }
                Message::Text(text) => return text.to_string(),
                other => panic!("no text: {other}"),
            }
        }
    }

    async fn message(&mut self) -> Message {
        self.stream.next().await.expect("not the end").expect("a message")
    }
}

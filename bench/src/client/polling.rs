//! Long-polling of Engine.IO 4: one GET is always under way, and what is said goes by POSTs beside it,
//! one at a time. Each request goes to the next of the servers: no session is any router's.
//! Every client has connections of its own, as one in a browser has. What is binary doesn't go this way.

use std::cell::{Cell, RefCell};
use std::collections::VecDeque;
use std::future::pending;
use std::pin::Pin;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http_body_util::{BodyExt as _, Full, Limited};
use hyper::{Method, Request, StatusCode, Uri};
use hyper_rustls::{HttpsConnector, HttpsConnectorBuilder};
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::TokioExecutor;
use rustls::{ClientConfig, RootCertStore};
use serde::Deserialize;
use tokio::sync::Notify;
use tokio::time::timeout;
use tokio_tungstenite::tungstenite::{Message, Utf8Bytes};

use super::UNSENT_MAX;

type Http = Client<HttpsConnector<HttpConnector>, Full<Bytes>>;
type Answered = Pin<Box<dyn Future<Output = Result<Bytes, String>>>>;

/// Between two packets in a body.
const SEPARATOR: u8 = 0x1e;
/// Engine.IO's packet that ends a session.
const CLOSE: &str = "1";
/// How long a request may take: longer than from one of the server's pings to the next.
const DEADLINE: Duration = Duration::from_secs(60);
/// Bytes of an answer that is read.
const ANSWER_MAX: usize = 16 << 20;
/// Bytes after which no more packets are put into a POST: servers take bodies of about a megabyte.
const POST_ENOUGH: usize = 64 << 10;

/// What a server says of a session that it has opened.
#[derive(Deserialize)]
struct Opened {
    sid: String,
}

struct Session {
    http: Http,
    /// The session at each of the servers.
    uris: Vec<Uri>,
    /// Where the next request goes.
    turn: Cell<usize>,
    /// What the next POST takes.
    unsent: RefCell<VecDeque<Utf8Bytes>>,
    unsent_bytes: Cell<usize>,
    /// Told when there is something unsent.
    more: Notify,
    /// Nobody hears any more, so nothing is sent.
    is_over: Cell<bool>,
}

pub(super) struct Sink(Rc<Session>);

pub(super) struct Stream {
    session: Rc<Session>,
    /// What has come and wasn't taken yet.
    come: VecDeque<Bytes>,
    poll: Answered,
    post: Option<Answered>,
}

/// Opens a session at the `first` of these servers.
///
/// # Errors
/// When it can't be reached or refuses, in words for people.
pub(super) async fn connect(
    urls: &[String],
    first: usize,
    path: &str,
) -> Result<(Sink, Stream), String> {
    let bases: Vec<String> = urls.iter().map(|url| base(url)).collect();
    let http = http(bases.iter().any(|base| base.starts_with("https:")))?;
    let turn = first % bases.len();
    let opening = request(&http, Method::GET, uri(&bases[turn], path, "")?, Bytes::new());
    let body = opening.await.map_err(|why| format!("{}: {why}", urls[turn]))?;
    let come: VecDeque<Bytes> = packets(&body).collect();
    let opened = come.front().and_then(|packet| packet.strip_prefix(b"0"));
    let opened: Opened = opened
        .and_then(|opened| serde_json::from_slice(opened).ok())
        .ok_or("the server does not open a session")?;
    let query = format!("&sid={}", opened.sid);
    let uris = bases.iter().map(|base| uri(base, path, &query)).collect::<Result<_, _>>()?;
    let session = Rc::new(Session {
        http,
        uris,
        turn: Cell::new(turn + 1),
        unsent: RefCell::default(),
        unsent_bytes: Cell::new(0),
        more: Notify::new(),
        is_over: Cell::new(false),
    });
    let poll = session.request(Method::GET, Bytes::new());
    Ok((Sink(Rc::clone(&session)), Stream { session, come, poll, post: None }))
}

impl Sink {
    pub(super) fn send(&self, message: Message) -> Result<(), String> {
        let session = &self.0;
        let packet = message.into_text().map_err(|error| error.to_string())?;
        let unsent = session.unsent_bytes.get() + packet.len();
        if session.is_over.get() {
            return Err("the session is over".to_owned());
        }
        if unsent > UNSENT_MAX {
            return Err("the server takes nothing more from a client".to_owned());
        }
        session.unsent_bytes.set(unsent);
        session.unsent.borrow_mut().push_back(packet);
        session.more.notify_one();
        Ok(())
    }

    pub(super) async fn close(&self) {
        // Who has gone already needs no goodbye.
        let _ = self.0.request(Method::POST, Bytes::from_static(CLOSE.as_bytes())).await;
    }
}

impl Stream {
    /// The next packet that comes. What is said meanwhile is sent by this too.
    pub(super) async fn next(&mut self) -> Result<Bytes, String> {
        loop {
            match self.come.pop_front() {
                Some(packet) if packet == CLOSE.as_bytes() => {
                    return Err("the server ends the session".to_owned());
                }
                Some(packet) => return Ok(packet),
                None => {}
            }
            let Self { session, come, poll, post } = self;
            if post.is_none() {
                *post = session.take_unsent().map(|body| session.request(Method::POST, body));
            }
            let is_idle = post.is_none();
            let posted = async {
                match post {
                    Some(post) => post.await,
                    None => pending().await,
                }
            };
            tokio::select! {
                answer = &mut *poll => {
                    come.extend(packets(&answer?));
                    *poll = session.request(Method::GET, Bytes::new());
                }
                taken = posted => {
                    taken?;
                    *post = None;
                }
                () = session.more.notified(), if is_idle => {}
            }
        }
    }
}

impl Drop for Stream {
    fn drop(&mut self) {
        self.session.is_over.set(true);
    }
}

impl Session {
    fn request(&self, method: Method, body: Bytes) -> Answered {
        let turn = self.turn.get();
        self.turn.set(turn + 1);
        let uri = self.uris[turn % self.uris.len()].clone();
        Box::pin(request(&self.http, method, uri, body))
    }

    /// What the next POST takes.
    fn take_unsent(&self) -> Option<Bytes> {
        let mut unsent = self.unsent.borrow_mut();
        let mut body = unsent.pop_front()?.as_str().to_owned();
        while body.len() < POST_ENOUGH
            && let Some(packet) = unsent.pop_front()
        {
            body.push(char::from(SEPARATOR));
            body.push_str(&packet);
        }
        self.unsent_bytes.set(unsent.iter().map(|packet| packet.len()).sum());
        Some(body.into())
    }
}

/// Makes a request and gives the answer's body.
fn request(
    http: &Http,
    method: Method,
    uri: Uri,
    body: Bytes,
) -> impl Future<Output = Result<Bytes, String>> + use<> {
    let request = Request::builder().method(method).uri(uri).body(Full::new(body));
    let http = http.clone();
    let answered = async move {
        let request = request.map_err(|error| error.to_string())?;
        let answer = http.request(request).await.map_err(|error| why(&error))?;
        let status = answer.status();
        let body = Limited::new(answer.into_body(), ANSWER_MAX).collect().await;
        let body = body.map_err(|error| why(&*error))?.to_bytes();
        match status {
            StatusCode::OK => Ok(body),
            _ => Err(format!("{status}: {}", String::from_utf8_lossy(&body).trim())),
        }
    };
    async {
        let late = |_| "the server does not answer".to_owned();
        timeout(DEADLINE, answered).await.map_err(late)?
    }
}

/// The innermost cause: the outer ones say no more than that a request has failed.
fn why(error: &(dyn std::error::Error + 'static)) -> String {
    std::iter::successors(Some(error), |error| error.source())
        .last()
        .map_or_else(String::new, ToString::to_string)
}

/// One client's connections.
fn http(is_secure: bool) -> Result<Http, String> {
    let mut connector = HttpConnector::new();
    connector.enforce_http(false);
    connector.set_nodelay(true);
    let connector = HttpsConnectorBuilder::new()
        .with_tls_config(tls(is_secure)?)
        .https_or_http()
        .enable_http1()
        .wrap_connector(connector);
    Ok(Client::builder(TokioExecutor::new()).build(connector))
}

/// Trusts those whom the system trusts, if there is a server that is reached over TLS.
fn tls(is_secure: bool) -> Result<ClientConfig, String> {
    let mut roots = RootCertStore::empty();
    if is_secure {
        roots.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
    }
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    Ok(ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map_err(|error| error.to_string())?
        .with_root_certificates(roots)
        .with_no_client_auth())
}

/// A server's address without its path, for HTTP.
fn base(url: &str) -> String {
    let url = url.trim_end_matches('/');
    url.replacen("ws", "http", usize::from(url.starts_with("ws")))
}

fn uri(base: &str, path: &str, query: &str) -> Result<Uri, String> {
    format!("{base}{path}{query}").parse().map_err(|error| format!("{base}: {error}"))
}

fn packets(body: &Bytes) -> impl Iterator<Item = Bytes> {
    body.split(|byte| *byte == SEPARATOR).map(|packet| body.slice_ref(packet))
}

//! The application that rules with `do = "call"` ask: a real HTTP server whose every answer a test
//! gives by hand.

use std::net::SocketAddr;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use aws_lc_rs::hmac;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use http_body_util::{BodyExt, Full};
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::{Request, Response, StatusCode};
use hyper_util::rt::TokioIo;
use serde_json::Value;
use tokio::net::TcpListener;
use tokio::sync::{mpsc, oneshot};

use super::soon;

/// How old a signature may be, to an application that is told to be careful.
const FRESH: Duration = Duration::from_secs(300);

pub(crate) struct Application {
    pub(crate) address: SocketAddr,
    questions: mpsc::UnboundedReceiver<Question>,
    server: tokio::task::JoinHandle<()>,
}

/// What it was asked. One that is kept gets no answer; one that is dropped ends its connection.
#[derive(Debug)]
pub(crate) struct Question {
    pub(crate) path: String,
    head: hyper::http::request::Parts,
    body: Bytes,
    answer: oneshot::Sender<Response<Full<Bytes>>>,
}

impl Application {
    pub(crate) async fn start() -> Self {
        Self::start_at(([127, 0, 0, 1], 0).into()).await
    }

    /// Starts at an address where it was before.
    pub(crate) async fn start_at(address: SocketAddr) -> Self {
        let listener = TcpListener::bind(address).await.unwrap();
        let address = listener.local_addr().unwrap();
        let (asked, questions) = mpsc::unbounded_channel();
        let server = tokio::spawn(async move {
            loop {
                let (stream, _) = listener.accept().await.unwrap();
                let asked = asked.clone();
                let service = service_fn(move |request| take(asked.clone(), request));
                let connection =
                    http1::Builder::new().serve_connection(TokioIo::new(stream), service);
                tokio::spawn(async move {
                    // A test that drops a question wants its connection to end so.
                    let _ = connection.await;
                });
            }
        });
        Self { address, questions, server }
    }

    pub(crate) fn url(&self) -> String {
        format!("http://{}/events", self.address)
    }

    /// The next question.
    pub(crate) async fn asked(&mut self) -> Question {
        soon("a question", self.questions.recv()).await.expect("it listens")
    }

    /// Asserts that all questions have been taken.
    pub(crate) fn is_asked_no_more(&mut self) {
        let more = self.questions.try_recv();
        assert!(more.is_err(), "{more:?}");
    }
}

impl Drop for Application {
    fn drop(&mut self) {
        self.server.abort();
    }
}

async fn take(
    asked: mpsc::UnboundedSender<Question>,
    request: Request<Incoming>,
) -> Result<Response<Full<Bytes>>, Box<dyn std::error::Error + Send + Sync>> {
    let (head, body) = request.into_parts();
    let body = body.collect().await?.to_bytes();
    let (answer, answered) = oneshot::channel();
    let path = head.uri.path().to_owned();
    asked.send(Question { path, head, body, answer })?;
    Ok(answered.await?)
}

impl Question {
    pub(crate) fn json(&self) -> Value {
        serde_json::from_slice(&self.body).expect("JSON")
    }

    pub(crate) fn header(&self, name: &str) -> &str {
        let value = self.head.headers.get(name);
        value.unwrap_or_else(|| panic!("no {name}: {:?}", self.head)).to_str().expect("text")
    }

    /// Checks the signature as the libraries of Standard Webhooks do, with the key's bytes.
    pub(crate) fn is_signed_by(&self, key: &[u8]) {
        let (id, timestamp) = (self.header("webhook-id"), self.header("webhook-timestamp"));
        let at = UNIX_EPOCH + Duration::from_secs(timestamp.parse().expect("seconds"));
        let now = SystemTime::now();
        assert!(at + FRESH > now && at < now + FRESH, "signed at {timestamp}");
        let signature = self.header("webhook-signature").strip_prefix("v1,").expect("a version");
        let signature = STANDARD.decode(signature).expect("base64");
        let signed = [format!("{id}.{timestamp}.").as_bytes(), &self.body].concat();
        let key = hmac::Key::new(hmac::HMAC_SHA256, key);
        hmac::verify(&key, &signed, &signature).expect("a good signature");
    }

    /// Says how to go on.
    pub(crate) fn answer(self, json: &Value) {
        self.answer_with(StatusCode::OK, json.to_string());
    }

    pub(crate) fn answer_with(self, status: StatusCode, body: impl Into<Bytes>) {
        let mut answer = Response::new(Full::new(body.into()));
        *answer.status_mut() = status;
        // The caller may have given up.
        let _ = self.answer.send(answer);
    }
}

//! The application as a real HTTP server that does what a test tells it to.

use std::sync::Mutex;

use prometheus::Registry;
use rand::SeedableRng;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::time::{Instant, timeout};
use trunkline_config::events::{EventRule, Pattern};

use super::*;
use crate::metrics::Metrics;

/// The application's answers, in order; the last is repeated. Each is a whole HTTP response, or
/// none: then it never answers.
struct Played {
    url: String,
    requests: Arc<Mutex<Vec<String>>>,
}

async fn play(answers: Vec<Option<String>>) -> Played {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}/hook?x=1", listener.local_addr().unwrap());
    let requests = Arc::<Mutex<Vec<String>>>::default();
    let heard = Arc::clone(&requests);
    tokio::spawn(async move {
        loop {
            let (mut socket, _) = listener.accept().await.unwrap();
            let answer = {
                let request = read_request(&mut socket).await;
                let mut heard = heard.lock().unwrap();
                heard.push(request);
                answers[(heard.len() - 1).min(answers.len() - 1)].clone()
            };
            match answer {
                Some(answer) => {
                    let _ = socket.write_all(answer.as_bytes()).await;
                }
                None => drop(tokio::spawn(async move {
                    std::future::pending::<()>().await;
                    drop(socket);
                })),
            }
        }
    });
    Played { url, requests }
}

async fn read_request(socket: &mut TcpStream) -> String {
    let mut request = Vec::new();
    loop {
        let mut piece = [0; 4096];
        let length = socket.read(&mut piece).await.unwrap();
        request.extend_from_slice(&piece[..length]);
        let text = String::from_utf8_lossy(&request);
        if length == 0 || text.split_once("\r\n\r\n").is_some_and(|(_, body)| body.ends_with('}')) {
            return text.into_owned();
        }
    }
}

fn status(status: &str, body: &str) -> Option<String> {
    let length = body.len();
    Some(format!(
        "HTTP/1.1 {status}\r\nContent-Length: {length}\r\nConnection: close\r\n\r\n{body}"
    ))
}

fn settings(url: &str) -> Settings {
    let mut settings = Settings::default();
    settings.application.url = Some(url.to_owned());
    settings.application.secret = Some("swordfish".to_owned());
    settings
}

struct Caller {
    application: Application,
    registry: Registry,
}

impl Caller {
    fn new(settings: &Settings) -> Self {
        let registry = Registry::new();
        let metrics = Metrics::new(&registry).unwrap();
        let entropy = StdRng::seed_from_u64(1);
        let clock: Clock = Arc::new(|| 1_790_000_000_999);
        let application =
            Application::new(settings, clock, metrics.calls.clone(), entropy).unwrap();
        Self { application, registry }
    }

    async fn ask(&mut self, call: Call) -> Answer {
        let ticket = call.ticket;
        if let Some((at_once, answer)) = self.application.call(call) {
            assert_eq!(at_once, ticket);
            return answer;
        }
        let answered = timeout(Duration::from_secs(10), self.application.answered());
        let (answered, answer) = answered.await.expect("an answer");
        assert_eq!(answered, ticket);
        answer
    }

    fn counted(&self, outcome: &str) -> f64 {
        let families = self.registry.gather();
        let family = families.iter().find(|it| it.name() == "trunkline_application_calls_total");
        let counted = family.and_then(|family| {
            let metrics = family.get_metric().iter();
            metrics.clone().find(|metric| metric.get_label()[0].value() == outcome)
        });
        counted.map_or(0.0, |metric| metric.get_counter().get_value())
    }
}

fn call() -> Call {
    Call {
        ticket: Ticket(7),
        id: "msg_1".to_owned(),
        url: None,
        timeout: None,
        retries: None,
        body: Bytes::from_static(br#"{"event":"note"}"#),
    }
}

#[tokio::test]
async fn a_call_is_asked_again_until_it_is_answered_and_is_signed_each_time() {
    let bad = || status("503 Busy", "");
    let played = play(vec![bad(), bad(), status("200 OK", "{}")]).await;
    let mut caller = Caller::new(&settings(&played.url));
    assert_eq!(caller.ask(call()).await, Ok(Bytes::from_static(b"{}")));
    let requests = played.requests.lock().unwrap();
    assert_eq!(requests.len(), 3);
    for request in requests.iter() {
        assert!(request.starts_with("POST /hook?x=1 HTTP/1.1\r\n"), "{request}");
        for header in [
            "content-type: application/json",
            "webhook-id: msg_1",
            "webhook-timestamp: 1790000000",
            // Computed elsewhere: see the signature's own test.
            "webhook-signature: v1,A6j3FCsE/FSRgVJIVFvbDh+WeT5/c67X0nDRf/+/gdk=",
        ] {
            assert!(request.lines().any(|line| line == header), "{header} in {request}");
        }
        assert!(request.ends_with("\r\n\r\n{\"event\":\"note\"}"), "{request}");
    }
    assert_eq!(caller.counted("ok"), 1.0);
}

#[tokio::test]
async fn without_a_secret_nothing_is_signed() {
    let played = play(vec![status("204 Empty", "")]).await;
    let mut settings = settings(&played.url);
    settings.application.secret = None;
    assert_eq!(Caller::new(&settings).ask(call()).await, Ok(Bytes::new()));
    assert!(!played.requests.lock().unwrap()[0].contains("webhook-signature"));
}

#[tokio::test]
async fn a_refusal_is_final() {
    let played = play(vec![status("422 No", "{}")]).await;
    let mut caller = Caller::new(&settings(&played.url));
    assert_eq!(caller.ask(call()).await, Err(CallFailure::Refused));
    assert_eq!(played.requests.lock().unwrap().len(), 1);
    assert_eq!(caller.counted("refused"), 1.0);
}

#[tokio::test]
async fn there_are_so_many_tries_and_no_more() {
    let played = play(vec![status("429 Slower", "")]).await;
    let mut caller = Caller::new(&settings(&played.url));
    let once = Call { retries: Some(0), ..call() };
    assert_eq!(caller.ask(once).await, Err(CallFailure::Unavailable));
    assert_eq!(played.requests.lock().unwrap().len(), 1);
    assert_eq!(caller.ask(call()).await, Err(CallFailure::Unavailable));
    assert_eq!(played.requests.lock().unwrap().len(), 4);
    assert_eq!(caller.counted("unavailable"), 2.0);
}

#[tokio::test]
async fn a_redirect_is_not_followed() {
    let elsewhere = play(vec![status("200 OK", "{}")]).await;
    let redirect = format!(
        "HTTP/1.1 307 Elsewhere\r\nLocation: {}\r\nContent-Length: 0\r\nConnection: close\r\n\r\n",
        elsewhere.url
    );
    let played = play(vec![Some(redirect)]).await;
    let mut caller = Caller::new(&settings(&played.url));
    let answer = caller.ask(Call { retries: Some(1), ..call() }).await;
    assert_eq!(answer, Err(CallFailure::Unavailable));
    assert_eq!(played.requests.lock().unwrap().len(), 2);
    assert!(elsewhere.requests.lock().unwrap().is_empty());
}

#[tokio::test]
async fn the_deadline_covers_all_tries() {
    for answers in [vec![None], vec![status("500 Oh", "")]] {
        let played = play(answers).await;
        let mut caller = Caller::new(&settings(&played.url));
        let started = Instant::now();
        let timeout = Some(Duration::from_millis(300));
        let answer = caller.ask(Call { timeout, retries: Some(1000), ..call() }).await;
        assert_eq!(answer, Err(CallFailure::Unavailable));
        let took = started.elapsed();
        assert!((300..3000).contains(&took.as_millis()), "{took:?}");
    }
}

#[tokio::test]
async fn nobody_there_is_unavailable() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    drop(listener);
    let mut caller = Caller::new(&settings(&url));
    let answer = caller.ask(Call { retries: Some(1), ..call() }).await;
    assert_eq!(answer, Err(CallFailure::Unavailable));
}

#[tokio::test]
async fn an_answer_that_is_too_large_is_a_refusal() {
    let most = "x".repeat(exchange::ANSWER);
    let played = play(vec![status("200 OK", &most), status("200 OK", &(most.clone() + "x"))]).await;
    let mut caller = Caller::new(&settings(&played.url));
    assert_eq!(caller.ask(call()).await, Ok(Bytes::from(most)));
    assert_eq!(caller.ask(call()).await, Err(CallFailure::Refused));
}

#[tokio::test]
async fn a_call_goes_where_its_rule_says() {
    let played = play(vec![status("200 OK", "{}")]).await;
    let mut caller = Caller::new(&settings("http://127.0.0.1:1/nowhere"));
    let url = Some(played.url.clone());
    assert!(caller.ask(Call { url, ..call() }).await.is_ok());
    let mut nowhere = Caller::new(&Settings::default());
    assert_eq!(nowhere.ask(call()).await, Err(CallFailure::Refused));
}

#[tokio::test]
async fn there_are_only_so_many_calls_at_once() {
    let played = play(vec![None]).await;
    let mut caller = Caller::new(&settings(&played.url));
    let timeout = Some(Duration::from_secs(1));
    for number in 0..CALLS {
        let ticket = Ticket(u64::try_from(number).unwrap());
        let call = Call { ticket, timeout, retries: Some(0), ..call() };
        assert_eq!(caller.application.call(call), None);
    }
    assert_eq!(caller.ask(call()).await, Err(CallFailure::Unavailable));
    assert_eq!(caller.counted("full"), 1.0);
    for _ in 0..CALLS {
        let (_, answer) = caller.application.answered().await;
        assert_eq!(answer, Err(CallFailure::Unavailable));
    }
    assert!(caller.application.try_answered().is_none() && caller.application.tickets.is_empty());
}

#[tokio::test]
async fn over_tls_only_who_is_vouched_for_is_asked() {
    let pair = rcgen::generate_simple_self_signed(["localhost".to_owned()]).unwrap();
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let key = rustls::pki_types::PrivateKeyDer::try_from(pair.signing_key.serialize_der());
    let server = rustls::ServerConfig::builder_with_provider(Arc::clone(&provider))
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(vec![pair.cert.der().clone()], key.unwrap())
        .unwrap();
    let acceptor = tokio_rustls::TlsAcceptor::from(Arc::new(server));
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let uri: Uri =
        format!("https://localhost:{}/", listener.local_addr().unwrap().port()).parse().unwrap();
    tokio::spawn(async move {
        loop {
            let (socket, _) = listener.accept().await.unwrap();
            let Ok(mut socket) = acceptor.accept(socket).await else { continue };
            let _ = socket.read(&mut [0; 4096]).await;
            let _ = socket.write_all(status("200 OK", "{}").unwrap().as_bytes()).await;
            let _ = socket.shutdown().await;
        }
    });
    for is_trusted in [false, true] {
        let mut roots = RootCertStore::empty();
        if is_trusted {
            roots.add(pair.cert.der().clone()).unwrap();
        }
        let config = ClientConfig::builder_with_provider(Arc::clone(&provider))
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_root_certificates(roots)
            .with_no_client_auth();
        let exchange =
            Exchange { client: http_client(config), signer: None, clock: Arc::new(|| 0) };
        let answer = exchange.once(&uri, "msg_1", Bytes::from_static(b"{}")).await;
        assert_eq!(answer.is_ok(), is_trusted, "{answer:?}");
    }
}

#[test]
fn an_address_that_is_none_is_noticed_at_the_start() {
    let metrics = || Metrics::new(&Registry::new()).unwrap().calls;
    let start = |settings: &Settings| {
        let clock: Clock = Arc::new(|| 0);
        let started = Application::new(settings, clock, metrics(), StdRng::seed_from_u64(1));
        started.map(|_| ()).map_err(|error| error.to_string())
    };
    for url in ["", "example.com/hook", "ftp://example.com", "http://", "/hook"] {
        assert!(start(&settings(url)).unwrap_err().contains("application.url"), "{url}");
    }
    let mut wrong = Settings::default();
    let action =
        EventAction::Call { url: Some("nowhere".to_owned()), timeout: None, retries: None };
    let rule = EventRule { name: "e".to_owned(), namespace: Pattern::any(), action, ack: None };
    wrong.events.own.push(rule);
    assert!(start(&wrong).unwrap_err().contains("nowhere"));
    let mut wrong = settings("http://example.com");
    wrong.application.secret = Some("whsec_!".to_owned());
    assert!(start(&wrong).unwrap_err().contains("application.secret"));
}

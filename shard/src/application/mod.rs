//! Asking the application over HTTP, for rules with `do = "call"`.
//!
//! Each call is a task of its own that ends within its deadline, whatever the application does,
//! and its outcome goes back to the core like everything else. At most so many are under way at
//! once; what is beyond that fails at once, so that an application that hangs costs no memory.
//! What is asked, and what the answer means, is the core's.

mod exchange;
mod signature;
mod tries;

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use bytes::Bytes;
use hyper::Uri;
use rand::RngCore;
use rand::rngs::StdRng;
use rustls::{ClientConfig, RootCertStore};
use tokio::task::{Id, JoinSet};
use tracing::{info, warn};
use trunkline_config::Settings;
use trunkline_config::events::EventAction;
use trunkline_core::{Call, CallFailure, Ticket};
use trunkline_proto::net::Clock;

use crate::metrics::CallMetrics;
use crate::net::{HttpClient, http_client};
use exchange::Exchange;
pub use signature::SecretError;
use signature::Signer;
use tries::{Outcome, Plan};

/// Calls of one shard at once.
const CALLS: usize = 1024;

/// What the application has answered.
pub(crate) type Answer = Result<Bytes, CallFailure>;

/// Why the application can't be called.
#[derive(Debug, thiserror::Error)]
pub enum ApplicationError {
    /// What requests are signed with is no key.
    #[error(transparent)]
    Secret(#[from] SecretError),
    /// An address is none.
    #[error(
        "{url:?} is no address to call; write one that begins with http:// or https:// in application.url and in the rules that call"
    )]
    Url {
        /// What was configured.
        url: String,
    },
    /// An address is `https` and nobody is trusted to vouch for it.
    #[error(
        "the system has no certificates of authorities to check {url} with: {reason}; install them (ca-certificates), or name a file in SSL_CERT_FILE"
    )]
    NoRoots {
        /// The address.
        url: String,
        /// What was found.
        reason: String,
    },
    /// The TLS library.
    #[error("cannot set up TLS for calls: {0}")]
    Tls(#[from] rustls::Error),
}

/// The way to the application, and the calls under way.
pub(crate) struct Application {
    /// Where calls go that name no address.
    url: Option<Uri>,
    timeout: Duration,
    retries: u32,
    exchange: Arc<Exchange>,
    metrics: CallMetrics,
    /// Whether the last call that ended found nobody: it is logged when that changes.
    lost: Arc<AtomicBool>,
    entropy: StdRng,
    calls: JoinSet<Answer>,
    tickets: HashMap<Id, Ticket>,
}

impl Application {
    /// From `[application]` and the rules.
    ///
    /// # Errors
    /// [`ApplicationError`] says what to change.
    pub(crate) fn new(
        settings: &Settings,
        clock: Clock,
        metrics: CallMetrics,
        entropy: StdRng,
    ) -> Result<Self, ApplicationError> {
        let trunkline_config::settings::Application { url, secret, timeout, retries } =
            &settings.application;
        let named = settings.events.own.iter().filter_map(|rule| match &rule.action {
            EventAction::Call { url, .. } => url.as_deref(),
            _ => None,
        });
        let secure = url.as_deref().into_iter().chain(named).try_fold(None, |secure, url| {
            let is_secure = address(url)?.scheme_str() == Some("https");
            Ok::<_, ApplicationError>(if is_secure { Some(url) } else { secure })
        })?;
        let signer = secret.as_deref().map(Signer::new).transpose()?;
        let client = http_client(tls(secure)?);
        Ok(Self {
            url: url.as_deref().map(address).transpose()?,
            timeout: *timeout,
            retries: *retries,
            exchange: Arc::new(Exchange { client, signer, clock }),
            metrics,
            lost: Arc::default(),
            entropy,
            calls: JoinSet::new(),
            tickets: HashMap::new(),
        })
    }

    /// Begins a call. What can't be begun is answered at once.
    pub(crate) fn call(&mut self, call: Call) -> Option<(Ticket, Answer)> {
        let Call { ticket, id, url, timeout, retries, body } = call;
        if self.calls.len() >= CALLS {
            self.metrics.calls.with_label_values(&["full"]).inc();
            return Some((ticket, Err(CallFailure::Unavailable)));
        }
        let uri = match url.as_deref() {
            Some(url) => address(url).ok(),
            None => self.url.clone(),
        };
        let Some(uri) = uri else {
            warn!(url, "a rule calls where there is no address; set application.url");
            self.metrics.calls.with_label_values(&["refused"]).inc();
            return Some((ticket, Err(CallFailure::Refused)));
        };
        let plan = Plan {
            exchange: Arc::clone(&self.exchange),
            uri,
            id,
            body,
            timeout: timeout.unwrap_or(self.timeout),
            retries: retries.unwrap_or(self.retries),
            seed: self.entropy.next_u64(),
        };
        let (metrics, lost) = (self.metrics.clone(), Arc::clone(&self.lost));
        let task = self.calls.spawn(async move {
            let uri = plan.uri.clone();
            let timer = metrics.seconds.start_timer();
            let outcome = plan.carry_out().await;
            timer.observe_duration();
            report(&metrics, &lost, &uri, outcome)
        });
        self.tickets.insert(task.id(), ticket);
        None
    }

    /// The next answer that comes; never if nothing is under way. It may be dropped and asked
    /// again.
    pub(crate) async fn answered(&mut self) -> (Ticket, Answer) {
        loop {
            match self.calls.join_next_with_id().await {
                Some(ended) => {
                    if let Some(answered) = self.close(ended) {
                        return answered;
                    }
                }
                None => std::future::pending().await,
            }
        }
    }

    /// An answer that has come, if one has.
    pub(crate) fn try_answered(&mut self) -> Option<(Ticket, Answer)> {
        let ended = self.calls.try_join_next_with_id()?;
        self.close(ended)
    }

    /// Finds the ticket of a task that has ended, however it did: each is answered once.
    fn close(
        &mut self,
        ended: Result<(Id, Answer), tokio::task::JoinError>,
    ) -> Option<(Ticket, Answer)> {
        let (id, answer) = match ended {
            Ok(ended) => ended,
            Err(error) => (error.id(), Err(CallFailure::Unavailable)),
        };
        self.tickets.remove(&id).map(|ticket| (ticket, answer))
    }
}

/// Counts an outcome, and says in the log when the application is lost and when it is back.
fn report(metrics: &CallMetrics, lost: &AtomicBool, uri: &Uri, outcome: Outcome) -> Answer {
    let (label, answer) = match outcome {
        Outcome::Answered(body) => ("ok", Ok(body)),
        Outcome::Refused(why) => {
            tracing::debug!(%uri, why, "the application refused a call");
            ("refused", Err(CallFailure::Refused))
        }
        Outcome::Unavailable(why) => {
            if !lost.swap(true, Ordering::Relaxed) {
                warn!(%uri, why, "the application can't be reached; events that call it fail");
            }
            ("unavailable", Err(CallFailure::Unavailable))
        }
    };
    if label != "unavailable" && lost.swap(false, Ordering::Relaxed) {
        info!(%uri, "the application answers again");
    }
    metrics.calls.with_label_values(&[label]).inc();
    answer
}

/// An address that can be called.
fn address(url: &str) -> Result<Uri, ApplicationError> {
    let bad = || ApplicationError::Url { url: url.to_owned() };
    let uri: Uri = url.parse().map_err(|_| bad())?;
    let known = matches!(uri.scheme_str(), Some("http" | "https"));
    if known && uri.host().is_some_and(|host| !host.is_empty()) { Ok(uri) } else { Err(bad()) }
}

/// Trusts those whom the system trusts, if there is an address to be called over TLS.
fn tls(secure: Option<&str>) -> Result<ClientConfig, ApplicationError> {
    let mut roots = RootCertStore::empty();
    if let Some(url) = secure {
        let found = rustls_native_certs::load_native_certs();
        let (taken, _) = roots.add_parsable_certificates(found.certs);
        if taken == 0 {
            let reason =
                found.errors.first().map_or("none was found".to_owned(), ToString::to_string);
            return Err(ApplicationError::NoRoots { url: url.to_owned(), reason });
        }
    }
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    Ok(ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()?
        .with_root_certificates(roots)
        .with_no_client_auth())
}

#[cfg(test)]
mod tests;

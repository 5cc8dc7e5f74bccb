//! A call: tries with growing pauses between them, all within one deadline.

use std::sync::Arc;
use std::time::Duration;

use backon::{BackoffBuilder, ExponentialBuilder};
use bytes::Bytes;
use hyper::Uri;
use tokio::time::{sleep, timeout};

use super::exchange::{Exchange, Fault};

const PAUSE_FIRST: Duration = Duration::from_millis(100);
/// Without the jitter, which at most doubles it.
const PAUSE_LONGEST: Duration = Duration::from_secs(5);

/// What is to be asked, and how often.
pub(super) struct Plan {
    pub(super) exchange: Arc<Exchange>,
    pub(super) uri: Uri,
    /// The same for every try.
    pub(super) id: String,
    pub(super) body: Bytes,
    /// For all tries and pauses together.
    pub(super) timeout: Duration,
    /// Tries after the first.
    pub(super) retries: u32,
    /// Of the pauses' jitter.
    pub(super) seed: u64,
}

/// How it ended, with why if not well.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Outcome {
    Answered(Bytes),
    Refused(String),
    Unavailable(String),
}

impl Plan {
    /// Asks until there is an answer, a refusal, no try left or no time left.
    pub(super) async fn carry_out(self) -> Outcome {
        let mut last = String::from("it did not answer in time");
        match timeout(self.timeout, self.tries(&mut last)).await {
            Ok(outcome) => outcome,
            Err(_) => Outcome::Unavailable(last),
        }
    }

    /// `last` says what was wrong last, for when time runs out in a pause.
    async fn tries(&self, last: &mut String) -> Outcome {
        let mut pauses = ExponentialBuilder::new()
            .with_min_delay(PAUSE_FIRST)
            .with_max_delay(PAUSE_LONGEST)
            .with_max_times(usize::try_from(self.retries).unwrap_or(usize::MAX))
            .with_jitter()
            .with_jitter_seed(self.seed)
            .build();
        loop {
            match self.exchange.once(&self.uri, &self.id, self.body.clone()).await {
                Ok(body) => return Outcome::Answered(body),
                Err(Fault::Final(why)) => return Outcome::Refused(why),
                Err(Fault::Passing(why)) => match pauses.next() {
                    Some(pause) => {
                        *last = why;
                        sleep(pause).await;
                    }
                    None => return Outcome::Unavailable(why),
                },
            }
        }
    }
}

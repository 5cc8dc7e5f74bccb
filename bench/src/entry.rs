//! How a client gets in: it connects, is welcomed, and joins.

use std::time::Duration;

use tokio::time::timeout;

use crate::client::{self, Sink, Stream};
use crate::dialect::{self, Dialect, Heard, Say};
use crate::identity::Identity;
use crate::plan::{Plan, Speech};

/// A client that is in.
#[allow(missing_docs)]
pub struct Entered {
    pub dialect: Box<dyn Dialect>,
    pub sink: Sink,
    pub stream: Stream,
    /// To the session that it had before, and so it has not joined again.
    pub recovered: bool,
}

/// A client that wants in.
#[derive(Clone, Copy, Debug)]
pub struct Arrival<'a> {
    /// Where it may connect.
    pub urls: &'a [String],
    /// Which of them it connects to; who polls goes to the next with each request.
    pub first: usize,
    /// How it speaks.
    pub speech: Speech,
    /// Who it is.
    pub identity: &'a Identity,
    /// What it joins.
    pub room: Option<&'a str>,
    /// How long all of it may take.
    pub deadline: Duration,
}

/// The number of the request by which a client joins; those of the load come after it.
const JOIN: u64 = 1;

/// Lets a client in, into `room` if there is one, within the plan's deadline.
///
/// # Errors
/// Why it was not let in, in words for people.
pub(crate) async fn enter(
    plan: &Plan,
    client: usize,
    room: Option<&str>,
) -> Result<Entered, String> {
    let identity = &Identity::of(plan, client)?;
    let Plan { speech, deadline, .. } = *plan;
    let (urls, first) = (&plan.urls, client);
    Arrival { urls, first, speech, identity, room, deadline }.enter().await
}

impl Arrival<'_> {
    /// Connects, waits for the welcome and joins.
    ///
    /// # Errors
    /// Why it was not let in, in words for people.
    pub async fn enter(self) -> Result<Entered, String> {
        self.enter_by(dialect::of(self.speech)).await
    }

    /// Connects again, by the dialect that the client's last connection has left: to its session,
    /// if the dialect and the server can, or else as [`Self::enter`] does.
    ///
    /// # Errors
    /// Why it was not let in, in words for people.
    pub async fn enter_again(self, before: &dyn Dialect) -> Result<Entered, String> {
        self.enter_by(before.again()).await
    }

    async fn enter_by(self, dialect: Box<dyn Dialect>) -> Result<Entered, String> {
        let late = |_| format!("it is not in after {:?}", self.deadline);
        timeout(self.deadline, enter_in_time(self, dialect)).await.map_err(late)?
    }
}

async fn enter_in_time(
    arrival: Arrival<'_>,
    mut dialect: Box<dyn Dialect>,
) -> Result<Entered, String> {
    let (sink, stream) = client::connect(&arrival, &mut *dialect).await?;
    let mut entered = Entered { dialect, sink, stream, recovered: false };
    entered.recovered = entered.wait_for(welcome).await?;
    if let Some(room) = arrival.room.filter(|_| !entered.recovered) {
        let join = entered.dialect.say(&Say::Join { room }, Some(JOIN));
        entered.sink.send(join)?;
        entered.wait_for(|heard| matches!(heard, Heard::Done(JOIN)).then_some(())).await?;
    }
    Ok(entered)
}

/// Whether a welcome is one back.
fn welcome(heard: &Heard<'_>) -> Option<bool> {
    match heard {
        Heard::Welcome { recovered } => Some(*recovered),
        _ => None,
    }
}

impl Entered {
    async fn wait_for<T>(&mut self, what: impl Fn(&Heard<'_>) -> Option<T>) -> Result<T, String> {
        loop {
            let message = self.stream.next().await?;
            let (mut found, mut failed, mut answers) = (None, None, Vec::new());
            self.dialect.hear(&message, &mut |heard| {
                found = found.take().or_else(|| what(&heard));
                match heard {
                    Heard::Answer(answer) => answers.push(answer),
                    Heard::Failed(_, why) | Heard::Error(why) => failed = Some(why.to_owned()),
                    _ => {}
                }
            });
            if let Some(why) = failed {
                return Err(why);
            }
            answers.into_iter().try_for_each(|answer| self.sink.send(answer))?;
            if let Some(found) = found {
                return Ok(found);
            }
        }
    }
}

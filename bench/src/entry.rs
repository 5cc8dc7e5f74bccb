//! How a client gets in: it connects, is welcomed, and joins.

use std::time::Duration;

use futures_util::{SinkExt, StreamExt};
use tokio::time::timeout;
use tokio_tungstenite::tungstenite::Message;

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
}

/// A client that wants in.
#[derive(Clone, Copy, Debug)]
pub struct Arrival<'a> {
    /// Where it connects.
    pub url: &'a str,
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
    let url = &plan.urls[client % plan.urls.len()];
    let Plan { speech, deadline, .. } = *plan;
    Arrival { url, speech, identity, room, deadline }.enter().await
}

impl Arrival<'_> {
    /// Connects, waits for the welcome and joins.
    ///
    /// # Errors
    /// Why it was not let in, in words for people.
    pub async fn enter(self) -> Result<Entered, String> {
        let late = |_| format!("it is not in after {:?}", self.deadline);
        timeout(self.deadline, enter_in_time(self)).await.map_err(late)?
    }
}

async fn enter_in_time(arrival: Arrival<'_>) -> Result<Entered, String> {
    let Arrival { url, speech, identity, room, deadline: _ } = arrival;
    let mut dialect = dialect::of(speech);
    let path = dialect.path(identity);
    let (sink, stream) = client::connect(url, &path, dialect.subprotocol()).await?;
    let mut entered = Entered { dialect, sink, stream };
    entered.wait_for(|heard| matches!(heard, Heard::Welcome)).await?;
    if let Some(room) = room {
        let join = entered.dialect.say(&Say::Join { room }, Some(JOIN));
        entered.sink.send(join).await.map_err(|error| error.to_string())?;
        entered.wait_for(|heard| matches!(heard, Heard::Done(JOIN))).await?;
    }
    Ok(entered)
}

impl Entered {
    async fn wait_for(&mut self, what: impl Fn(&Heard<'_>) -> bool) -> Result<(), String> {
        loop {
            let message = match self.stream.next().await {
                Some(Ok(message @ (Message::Text(_) | Message::Binary(_)))) => message,
                Some(Ok(Message::Close(frame))) => {
                    let why = frame.map(|frame| frame.to_string()).unwrap_or_default();
                    return Err(format!("the server closes the connection: {why}"));
                }
                Some(Ok(_)) => continue,
                Some(Err(error)) => return Err(error.to_string()),
                None => return Err("the connection has ended".to_owned()),
            };
            let (mut found, mut failed, mut answers) = (false, None, Vec::new());
            self.dialect.hear(&message.into_data(), &mut |heard| {
                found |= what(&heard);
                match heard {
                    Heard::Answer(answer) => answers.push(answer),
                    Heard::Failed(_, why) | Heard::Error(why) => failed = Some(why.to_owned()),
                    _ => {}
                }
            });
            if let Some(why) = failed {
                return Err(why);
            }
            for answer in answers {
                self.sink.send(answer).await.map_err(|error| error.to_string())?;
            }
            if found {
                return Ok(());
            }
        }
    }
}

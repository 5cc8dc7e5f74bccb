//! One connection's worth of chatting: lines out, events in, until either ends.

use std::io;
use std::pin::pin;

use tokio::sync::mpsc;
use trunkline_client::{
    Body, Client, Closed, Event, Events, HistoryQuery, PresenceQuery, Publish, RequestError,
    SendTo, Sent,
};

use crate::chat::line::{HELP, Line};
use crate::chat::place::{Place, To, Unsent};
use crate::chat::screen::{SAID, Screen, TYPING};

/// How much of a room's past is shown on joining.
const HISTORY: u32 = 20;

/// Why the talk is over.
pub(super) enum Ending {
    Quit,
    Lost(Closed),
}

/// Why a line could not be followed to its end.
enum Stop {
    Lost(Closed),
    Screen(io::Error),
}

impl From<io::Error> for Stop {
    fn from(error: io::Error) -> Self {
        Self::Screen(error)
    }
}

pub(super) struct Talk<'a> {
    pub(super) client: &'a Client,
    pub(super) events: &'a mut Events,
    pub(super) screen: &'a mut Screen,
}

impl Talk<'_> {
    pub(super) async fn run(
        mut self,
        place: &mut Place,
        lines: &mut mpsc::Receiver<String>,
    ) -> io::Result<Ending> {
        match self.talk(place, lines).await {
            Ok(()) => Ok(Ending::Quit),
            Err(Stop::Lost(closed)) => Ok(Ending::Lost(closed)),
            Err(Stop::Screen(error)) => Err(error),
        }
    }

    async fn talk(
        &mut self,
        place: &mut Place,
        lines: &mut mpsc::Receiver<String>,
    ) -> Result<(), Stop> {
        if let Some(room) = place.room.take() {
            self.join(place, room).await?;
        }
        self.send_unsent(place).await?;
        loop {
            tokio::select! {
                event = self.events.next() => self.show(place, event)?,
                line = lines.recv() => {
                    let Some(line) = line else { return Ok(()) };
                    self.screen.erase_typed()?;
                    let line = Line::parse(&line);
                    if line == Line::Quit {
                        return Ok(());
                    }
                    self.follow(place, line).await?;
                }
            }
        }
    }

    async fn follow(&mut self, place: &mut Place, line: Line) -> Result<(), Stop> {
        match line {
            Line::Nothing | Line::Quit => {}
            Line::Say(text) => match place.room.clone() {
                Some(room) => self.send(place, To::Room(room), text).await?,
                None => self.screen.problem("you are in no room; /join one first")?,
            },
            Line::Message { to, text } => self.send(place, To::User(to), text).await?,
            Line::Join(room) => {
                self.leave(place).await?;
                place.position = None;
                self.join(place, room).await?;
            }
            Line::Leave => self.leave(place).await?,
            Line::Who => self.who(place).await?,
            Line::Help => {
                for line in HELP {
                    self.screen.notice(line)?;
                }
            }
            Line::Wrong(why) => self.screen.problem(&why)?,
        }
        Ok(())
    }

    /// Joins, from the position where there is one. The room is kept even if that is refused for
    /// the loss of the connection: then it is joined on coming back.
    async fn join(&mut self, place: &mut Place, room: String) -> Result<(), Stop> {
        let client = self.client;
        place.room = Some(room.clone());
        let after = place.position.clone();
        let is_new = after.is_none();
        let joined = match self.ask(place, client.join(&room, after)).await? {
            Ok(joined) => joined,
            Err(refused) => {
                place.room = None;
                self.screen.problem(&refused.to_string())?;
                return Ok(());
            }
        };
        if is_new {
            // Not read through `ask`: what is live must be shown after what was before it. The
            // events' own bound holds it meanwhile.
            let before = joined.position.offset.saturating_add(1);
            let newest = HistoryQuery { before: Some(before), limit: Some(HISTORY), after: None };
            place.position = Some(joined.position);
            match client.history(&room, newest).await {
                Ok(history) => {
                    for message in history.messages {
                        self.screen.said(&message.from, &message.event, &message.body)?;
                    }
                }
                Err(RequestError::Closed(closed)) => return Err(Stop::Lost(closed)),
                Err(error) => self.screen.problem(&error.to_string())?,
            }
        }
        let here =
            if joined.members == 1 { "only you are" } else { &format!("{} are", joined.members) };
        self.screen.notice(&format!("you are in {room}; {here} here"))?;
        Ok(())
    }

    async fn leave(&mut self, place: &mut Place) -> Result<(), Stop> {
        let client = self.client;
        let Some(room) = place.room.take() else { return Ok(()) };
        match self.ask(place, client.leave(&room)).await? {
            Ok(()) => self.screen.notice(&format!("you left {room}"))?,
            Err(refused) => self.screen.problem(&refused.to_string())?,
        }
        Ok(())
    }

    async fn who(&mut self, place: &mut Place) -> Result<(), Stop> {
        let client = self.client;
        let Some(room) = place.room.clone() else {
            self.screen.problem("you are in no room; /join one first")?;
            return Ok(());
        };
        match self.ask(place, client.presence(&room, PresenceQuery::default())).await? {
            Ok(presence) => {
                let users: Vec<_> = presence.users.into_iter().map(|it| it.user).collect();
                let doubt =
                    if presence.sure { "" } else { " (a server was lost: some may be gone)" };
                self.screen.notice(&format!("in {room}: {}{doubt}", users.join(", ")))?;
            }
            Err(refused) => self.screen.problem(&refused.to_string())?,
        }
        Ok(())
    }

    async fn send(&mut self, place: &mut Place, to: To, text: String) -> Result<(), Stop> {
        let key = place.next_key(self.client.session());
        place.unsent = Some(Unsent { to, text, key });
        self.send_unsent(place).await
    }

    /// Sends what is unsent. It stays so until the server has answered.
    async fn send_unsent(&mut self, place: &mut Place) -> Result<(), Stop> {
        let Some(Unsent { to, text, key }) = place.unsent.clone() else { return Ok(()) };
        let client = self.client;
        let outcome = match Body::data(&text) {
            Err(error) => Err(RequestError::Encode(error)),
            Ok(body) => match &to {
                To::Room(room) => {
                    let publish = Publish::new(room, SAID, body).key(key);
                    self.ask(place, client.publish_with(publish)).await?.map(|_| None)
                }
                To::User(user) => {
                    let send = SendTo::new(user, SAID, body).key(key);
                    let sent = self.ask(place, client.send_with(send)).await?;
                    sent.map(|sent| Some(told(user, &text, sent)))
                }
            },
        };
        place.unsent = None;
        match outcome {
            Ok(Some(notice)) => self.screen.notice(&notice)?,
            // The room's echo shows it.
            Ok(None) => {}
            Err(refused) => self.screen.problem(&format!("not sent: {refused}"))?,
        }
        Ok(())
    }

    /// Waits for a reply, showing meanwhile what else comes: what comes before a reply, such as
    /// all that was missed, is shown before it.
    async fn ask<T>(
        &mut self,
        place: &mut Place,
        request: impl Future<Output = Result<T, RequestError>>,
    ) -> Result<Result<T, RequestError>, Stop> {
        let mut request = pin!(request);
        loop {
            tokio::select! {
                biased;
                event = self.events.next() => self.show(place, event)?,
                reply = &mut request => return match reply {
                    Err(RequestError::Closed(closed)) => Err(Stop::Lost(closed)),
                    reply => Ok(reply),
                },
            }
        }
    }

    fn show(&mut self, place: &mut Place, event: Option<Event>) -> Result<(), Stop> {
        let is_here = |room: &str| place.room.as_deref() == Some(room);
        match event {
            Some(Event::Message(message)) if is_here(&message.room) => {
                self.screen.said(&message.from, &message.event, &message.body)?;
                place.position = Some(message.position);
            }
            Some(Event::Private(private)) if private.event == TYPING => {
                self.screen.typing(&private.from)?;
            }
            Some(Event::Private(private)) => {
                self.screen.whispered(&private.from, &private.event, &private.body)?;
                place.inbox = private.position.or(place.inbox.take());
            }
            Some(Event::Ephemeral(passing)) if passing.event == TYPING => {
                if !place.is_me(&passing.from) {
                    self.screen.typing(&passing.from)?;
                }
            }
            Some(Event::Joined(member)) if is_here(&member.room) => {
                self.screen.notice(&format!("{} joined", member.user))?;
            }
            Some(Event::Left(member)) if is_here(&member.room) => {
                self.screen.notice(&format!("{} left", member.user))?;
            }
            Some(Event::Gap(gap)) => {
                self.screen.notice("some messages were missed and can't be had any more")?;
                match gap.room {
                    Some(room) if is_here(&room) => place.position = Some(gap.position),
                    Some(_) => {}
                    None => place.inbox = Some(gap.position),
                }
            }
            Some(Event::Refused { message, .. }) => self.screen.problem(&message)?,
            Some(Event::Closed(closed)) => return Err(Stop::Lost(closed)),
            None => return Err(Stop::Lost(lost())),
            // Of a room that has been left meanwhile, or passing and not for people.
            Some(_) => {}
        }
        Ok(())
    }
}

fn lost() -> Closed {
    let code = trunkline_client::CloseCode::BROKEN;
    Closed { code, reason: "the connection has ended".to_owned() }
}

fn told(user: &str, text: &str, sent: Sent) -> String {
    match sent {
        Sent::Delivered => format!("[to {user}] {text}"),
        Sent::Queued => format!("[to {user}, who gets it on coming back] {text}"),
        Sent::Offline => format!("not sent: {user} is not here"),
    }
}

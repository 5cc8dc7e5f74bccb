//! Judges what comes from the server by what has really happened.

use std::collections::BTreeMap;
use std::time::Duration;

use serde_json::Value;

use crate::clock;
use crate::hearing::{Hearing, Standing, follows, place, text};
use crate::person::{Asked, Destination, Individual, Message, What};
use crate::truth::{Truth, inbox_topic, room_topic};

/// What people are judged by besides the truth.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Circumstances {
    /// Whether something that has gone wrong may still be felt.
    pub(crate) troubled: bool,
    /// Whether topics may begin anew, as their owner has forgotten them.
    pub(crate) forgetful: bool,
}

/// What an answer to `presence` says: users with their connections, and whether it is sure.
pub(crate) type Presence = (BTreeMap<String, u64>, bool);

/// A user is said to have come to a room, or to have left it.
#[derive(Debug)]
pub(crate) struct Announced {
    pub(crate) came: bool,
    pub(crate) room: String,
    pub(crate) user: String,
}

/// What somebody hears that others are interested in.
#[derive(Debug, Default)]
pub(crate) struct Heard {
    pub(crate) presence: Option<(String, Presence)>,
    pub(crate) announced: Option<Announced>,
    pub(crate) tally: &'static str,
}

fn tally(what: &'static str) -> Heard {
    Heard { tally: what, ..Heard::default() }
}

impl Individual {
    /// Judges one frame.
    pub(crate) fn hears(
        &mut self,
        frame: &Value,
        truth: &mut Truth,
        around: Circumstances,
    ) -> Result<Heard, String> {
        match text(frame, "type")? {
            "ok" => self.answered(frame, truth, around),
            "error" => self.refused(frame, around),
            "message" => self.message(frame, truth),
            "private" => self.private(frame, truth, around),
            "gap" => self.gap(frame, around),
            "ephemeral" => Ok(tally("ephemeral")),
            "joined" => self
                .announced(frame, true)
                .map(|it| Heard { announced: Some(it), ..tally("joined") }),
            "left" => self
                .announced(frame, false)
                .map(|it| Heard { announced: Some(it), ..tally("left") }),
            _ => Err(format!("nobody knows {frame}")),
        }
    }

    fn take_asked(&mut self, frame: &Value) -> Result<Asked, String> {
        let id = frame["id"].as_u64();
        id.and_then(|id| self.asked.remove(&id))
            .ok_or_else(|| format!("{frame} answers nothing that waits"))
    }

    fn answered(
        &mut self,
        frame: &Value,
        truth: &mut Truth,
        around: Circumstances,
    ) -> Result<Heard, String> {
        match self.take_asked(frame)?.what {
            What::Join(room) => self.joined(&room, frame),
            What::Leave(room) => {
                self.rooms.remove(&room);
                self.places.remove(&room);
                Ok(tally("left a room"))
            }
            What::Say(message) => said(&message, frame, truth, around),
            What::Whisper | What::Ping => Ok(tally("answered")),
            What::Presence(room) => {
                let users = frame["users"].as_array().ok_or("no users")?;
                let count = |it: &Value| {
                    Some((it["user"].as_str()?.to_owned(), it["connections"].as_u64()?))
                };
                let users = users.iter().map(count).collect::<Option<_>>().ok_or("no counts")?;
                let presence = Some((room, (users, frame["sure"] == true)));
                Ok(Heard { presence, ..tally("presence") })
            }
        }
    }

    fn joined(&mut self, room: &str, frame: &Value) -> Result<Heard, String> {
        let at = place(frame)?;
        let Some(hearing) = self.rooms.get_mut(room) else {
            return Err(format!("{frame} is for nobody"));
        };
        if frame["members"].as_u64() < Some(1) {
            return Err(format!("who joins is a member: {frame}"));
        }
        // What was missed has come before.
        if let Some(before) = &hearing.place
            && *before != at
        {
            return Err(format!(
                "{frame} says that all was heard up to there, and it was {before:?}"
            ));
        }
        hearing.place = Some(at);
        hearing.standing = Standing::Joined;
        hearing.joined_at = clock::since();
        Ok(tally("joined a room"))
    }

    fn refused(&mut self, frame: &Value, around: Circumstances) -> Result<Heard, String> {
        let Asked { what, .. } = self.take_asked(frame)?;
        let code = text(frame, "code")?;
        // What is on another shard can't be had while that one is away.
        let may = code == "unavailable"
            && around.troubled
            && !matches!(what, What::Leave(_) | What::Ping);
        if !may {
            return Err(format!("{what:?} is refused: {frame}"));
        }
        match what {
            What::Join(room) => {
                if let Some(Hearing { place: Some(place), .. }) = self.rooms.remove(&room) {
                    self.places.insert(room, place);
                }
            }
            What::Say(message) if message.keyed => self.again.push_back(message),
            _ => {}
        }
        Ok(tally("unavailable"))
    }

    fn message(&mut self, frame: &Value, truth: &mut Truth) -> Result<Heard, String> {
        let room = text(frame, "room")?;
        let Some(hearing) = self.rooms.get_mut(room) else {
            return Err(format!("{frame} for one who has not joined"));
        };
        if hearing.place.is_none() {
            return Err(format!("{frame} before the answer to the join"));
        }
        hearing.place = Some(follows(hearing.place.as_ref(), &room_topic(room), frame, truth)?);
        self.has_heard(frame, truth)?;
        Ok(tally("message"))
    }

    fn private(
        &mut self,
        frame: &Value,
        truth: &mut Truth,
        around: Circumstances,
    ) -> Result<Heard, String> {
        let topic = inbox_topic(&self.user);
        let next = follows(None, &topic, frame, truth)?;
        if let Some(before) = &self.inbox {
            let another = around.forgetful && before.0 != next.0;
            if !another {
                follows(Some(before), &topic, frame, truth)?;
            }
        }
        self.inbox = Some(next);
        self.has_heard(frame, truth)?;
        Ok(tally("private"))
    }

    fn has_heard(&self, frame: &Value, truth: &mut Truth) -> Result<(), String> {
        let payload = text(frame, "data")?;
        let said = truth.said.get_mut(payload).ok_or_else(|| format!("nobody said {payload}"))?;
        said.heard.insert(self.number);
        Ok(())
    }

    fn gap(&mut self, frame: &Value, around: Circumstances) -> Result<Heard, String> {
        if !around.forgetful {
            return Err(format!("{frame}, and nothing was lost"));
        }
        let at = place(frame)?;
        match frame["room"].as_str() {
            None => self.inbox = Some(at),
            Some(room) => match self.rooms.get_mut(room) {
                Some(hearing) => hearing.place = Some(at),
                None => return Err(format!("{frame} for one who has not joined")),
            },
        }
        Ok(tally("gap"))
    }

    fn announced(&self, frame: &Value, came: bool) -> Result<Announced, String> {
        let (room, user) = (text(frame, "room")?, text(frame, "user")?);
        if user == self.user {
            return Err(format!("somebody is told of themselves: {frame}"));
        }
        if !self.rooms.contains_key(room) {
            return Err(format!("{frame} for one who has not joined"));
        }
        Ok(Announced { came, room: room.to_owned(), user: user.to_owned() })
    }

    /// Nothing may wait for longer than this.
    pub(crate) fn is_overdue(&self, now: Duration, longest: Duration) -> Option<&Asked> {
        self.asked.values().find(|asked| now.saturating_sub(asked.at) > longest)
    }
}

/// A message was taken: where its sender is told that it was.
fn said(
    message: &Message,
    frame: &Value,
    truth: &mut Truth,
    around: Circumstances,
) -> Result<Heard, String> {
    let payload = &message.payload;
    let said = truth.said.get_mut(payload).ok_or("said by nobody")?;
    said.acknowledged += 1;
    match &message.to {
        Destination::Room(room) => {
            let at = place(frame)?;
            truth.reads(&room_topic(room), &at, payload)?;
            Ok(tally("published"))
        }
        Destination::User(_) => match text(frame, "status")? {
            // What an owner that has died has told is all that is left of it.
            "delivered" | "queued" if !said.kept.is_empty() || around.forgetful => {
                Ok(tally("sent"))
            }
            status => Err(format!("{payload} is {status}, and is kept at {:?}", said.kept)),
        },
    }
}

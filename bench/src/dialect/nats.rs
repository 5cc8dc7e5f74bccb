//! NATS over a WebSocket: rooms are subjects that their members subscribe to, users too. Its
//! messages know nothing of the WebSocket's frames, so what comes is put together here first.

use std::collections::VecDeque;

use tokio_tungstenite::tungstenite::Message;

use super::{Dialect, Heard, Say, stamp_in, text};
use crate::identity::Identity;

/// More than this without the end of a line is not NATS.
const LINE_MAX: usize = 64 << 10;

#[derive(Default)]
pub(super) struct Nats {
    /// What came and is not whole yet.
    rest: Vec<u8>,
    user: String,
    /// Numbers of requests that were followed by a PING, in order: its PONG is their answer.
    asked: VecDeque<u64>,
    greeted: bool,
    /// It has said who it is. The server tells about itself more than once.
    introduced: bool,
}

impl Dialect for Nats {
    fn again(&self) -> Box<dyn Dialect> {
        Box::new(Self::default())
    }

    fn path(&mut self, identity: &Identity) -> String {
        self.user.clone_from(&identity.user);
        "/".to_owned()
    }

    fn say(&mut self, what: &Say<'_>, number: Option<u64>) -> Message {
        let mut line = match what {
            // The subscription's ID is the subject itself: they are numbers to no one but us, and a
            // room may have the name of a user.
            Say::Join { room } => format!("SUB room.{room} room.{room}\r\n"),
            Say::Leave { room } => format!("UNSUB room.{room}\r\n"),
            Say::Publish { room, payload, .. } | Say::Typing { room, payload } => {
                format!("PUB room.{room} {}\r\n{payload}\r\n", payload.len())
            }
            Say::Private { user, payload, .. } => {
                format!("PUB user.{user} {}\r\n{payload}\r\n", payload.len())
            }
        };
        if let Some(number) = number {
            self.asked.push_back(number);
            line.push_str("PING\r\n");
        }
        Message::binary(line.into_bytes())
    }

    fn hear(&mut self, message: &[u8], heard: &mut dyn FnMut(Heard<'_>)) {
        self.rest.extend_from_slice(message);
        let mut start = 0;
        while let Some(end) = memchr::memmem::find(&self.rest[start..], b"\r\n") {
            let line = &self.rest[start..start + end];
            let after = start + end + 2;
            if let Some(about) = line.strip_prefix(b"MSG ") {
                let length = about.rsplit(|byte| *byte == b' ').next().unwrap_or_default();
                let Some(length) = text(length).parse::<usize>().ok().filter(|l| *l <= LINE_MAX)
                else {
                    heard(Heard::Error("a message without its length"));
                    break;
                };
                let Some(body) = self.rest.get(after..after + length + 2) else { break };
                if let Some(stamp) = stamp_in(body) {
                    heard(Heard::Delivery(stamp));
                }
                start = after + length + 2;
                continue;
            }
            match line {
                b"PING" => heard(Heard::Answer(Message::binary(b"PONG\r\n".as_slice()))),
                b"PONG" if !self.greeted => {
                    self.greeted = true;
                    heard(Heard::Welcome { recovered: false });
                }
                b"PONG" => {
                    if let Some(number) = self.asked.pop_front() {
                        heard(Heard::Done(number));
                    }
                }
                _ if line.starts_with(b"INFO ") && !self.introduced => {
                    self.introduced = true;
                    let user = &self.user;
                    heard(Heard::Answer(Message::binary(
                        format!(
                            "CONNECT {{\"verbose\":false,\"pedantic\":false,\"protocol\":1}}\r\n\
                             SUB user.{user} user.{user}\r\nPING\r\n"
                        )
                        .into_bytes(),
                    )));
                }
                _ if line.starts_with(b"-ERR") => heard(Heard::Error(text(line))),
                _ => {}
            }
            start = after;
        }
        self.rest.drain(..start);
        if self.rest.len() > 2 * LINE_MAX {
            self.rest.clear();
            heard(Heard::Error("a line without an end"));
        }
        if self.rest.is_empty() {
            // An idle client keeps no buffer.
            self.rest = Vec::new();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn messages_are_found_wherever_frames_are_cut() {
        let stream = b"PONG\r\nMSG room.a a 13\r\n{\"t\":1,\"n\":2}\r\nPING\r\nMSG room.a a 13\r\n{\"t\":3,\"n\":4}\r\n";
        for cut in 0..stream.len() {
            let mut nats = Nats::default();
            let mut all = Vec::new();
            for part in [&stream[..cut], &stream[cut..]] {
                nats.hear(part, &mut |heard| match heard {
                    Heard::Answer(_) => all.push("answer".to_owned()),
                    Heard::Delivery(stamp) => all.push(stamp.time.to_string()),
                    other => all.push(format!("{other:?}")),
                });
            }
            assert_eq!(all, ["Welcome { recovered: false }", "1", "answer", "3"], "cut at {cut}");
        }
    }

    #[test]
    fn a_pong_answers_the_request_before_it() {
        let mut nats = Nats { greeted: true, ..Nats::default() };
        nats.say(&Say::Join { room: "a" }, Some(5));
        let mut all = Vec::new();
        nats.hear(b"PONG\r\n", &mut |heard| all.push(format!("{heard:?}")));
        assert_eq!(all, ["Done(5)"]);
    }
}

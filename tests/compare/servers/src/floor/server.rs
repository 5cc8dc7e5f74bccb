//! Rooms, users, and what clients of the two dialects ask for.

use std::collections::HashMap;
use std::time::{SystemTime, UNIX_EPOCH};

use mio::net::TcpStream;

use crate::connection::{Connection, Dialect};
use crate::json;
use crate::websocket::{self, Bad, CLOSE, PING, PONG, TEXT, framed};

/// A room, or a user: who gets what is said there, by dialect.
#[derive(Default)]
struct Topic {
    members: [Vec<usize>; 2],
    offset: u64,
}

#[derive(Default)]
pub(crate) struct Server {
    connections: Vec<Option<Connection>>,
    free: Vec<usize>,
    rooms: HashMap<String, Topic>,
    users: HashMap<String, Topic>,
    /// Those to be forgotten when what is under way is done.
    broken: Vec<usize>,
}

/// A message on its way; names and data as they came.
struct Message<'a> {
    /// Its type for native clients.
    kind: &'a str,
    to: &'a str,
    from: usize,
    event: &'a str,
    data: &'a str,
    echo: bool,
}

impl Server {
    /// Takes a new connection in and says by which number it goes.
    pub(crate) fn add(&mut self, stream: TcpStream) -> (usize, &mut TcpStream) {
        let index = self.free.pop().unwrap_or_else(|| {
            self.connections.push(None);
            self.connections.len() - 1
        });
        (index, self.connections[index].insert(Connection::new(stream)).stream())
    }

    pub(crate) fn writable(&mut self, index: usize) {
        if let Some(connection) = self.connection(index) {
            connection.flush();
            self.note_broken(index);
        }
    }

    pub(crate) fn readable(&mut self, index: usize, buffer: &mut [u8]) {
        while let Some(connection) = self.connection(index) {
            let count = connection.read(buffer);
            let mut kept = std::mem::take(&mut connection.input);
            let rest = if kept.is_empty() {
                let used = self.take(index, &mut buffer[..count]);
                buffer[used..count].to_vec()
            } else {
                kept.extend_from_slice(&buffer[..count]);
                let used = self.take(index, &mut kept);
                kept.split_off(used)
            };
            if let Some(connection) = self.connection(index) {
                connection.input = rest;
            }
            // A short read has emptied the socket; what comes later is announced again.
            if self.note_broken(index) || count < buffer.len() {
                break;
            }
        }
    }

    /// Pings everybody.
    pub(crate) fn beat(&mut self) {
        let pings = [framed(TEXT, b"2"), framed(PING, b"")];
        for index in 0..self.connections.len() {
            let Some(connection) = self.connection(index) else { continue };
            if let Some(dialect) = connection.dialect {
                connection.send(&pings[dialect as usize]);
                self.note_broken(index);
            }
        }
    }

    /// Forgets the connections that have ended.
    pub(crate) fn sweep(&mut self) {
        for index in std::mem::take(&mut self.broken) {
            let Some(connection) = self.connections[index].take() else { continue };
            self.free.push(index);
            let Some(dialect) = connection.dialect else { continue };
            let gone = |topics: &mut HashMap<String, Topic>, name: &str| {
                let Some(topic) = topics.get_mut(name) else { return };
                topic.members[dialect as usize].retain(|member| *member != index);
                if topic.members.iter().all(Vec::is_empty) {
                    topics.remove(name);
                }
            };
            connection.rooms.iter().for_each(|room| gone(&mut self.rooms, room));
            gone(&mut self.users, &connection.user);
        }
    }

    fn connection(&mut self, index: usize) -> Option<&mut Connection> {
        self.connections.get_mut(index)?.as_mut()
    }

    fn note_broken(&mut self, index: usize) -> bool {
        let is_broken = self.connection(index).is_some_and(|connection| connection.is_broken);
        if is_broken {
            self.broken.push(index);
        }
        is_broken
    }

    fn send(&mut self, index: usize, text: &str) {
        if let Some(connection) = self.connection(index) {
            connection.send(&framed(TEXT, text.as_bytes()));
        }
    }

    /// Does what is asked for, as far as it is whole, and says how many bytes that was.
    fn take(&mut self, index: usize, input: &mut [u8]) -> usize {
        let mut used = 0;
        while let Some(connection) = self.connection(index) {
            if connection.is_broken {
                break;
            }
            let taken = match connection.dialect {
                None => self.upgrade(index, &input[used..]),
                Some(dialect) => self.frame(index, dialect, &mut input[used..]),
            };
            match taken {
                Ok(0) => break,
                Ok(length) => used += length,
                Err(Bad) => {
                    if let Some(connection) = self.connection(index) {
                        connection.is_broken = true;
                    }
                }
            }
        }
        used
    }

    fn upgrade(&mut self, index: usize, input: &[u8]) -> Result<usize, Bad> {
        let Some(upgrade) = websocket::upgrade(input)? else { return Ok(0) };
        let (path, query) = upgrade.target.split_once('?').unwrap_or((&upgrade.target, ""));
        let dialect = match path {
            "/socket.io/" => Dialect::SocketIo,
            "/ws" => Dialect::Native,
            _ => return Err(Bad),
        };
        let mut named = query.split('&').filter_map(|pair| pair.strip_prefix("user="));
        let user = named.next().map_or_else(|| format!("guest-{index}"), str::to_owned);
        let topic = self.users.entry(user.clone()).or_default();
        topic.members[dialect as usize].push(index);
        let welcome = match dialect {
            Dialect::SocketIo => format!(
                r#"0{{"sid":"{index}","upgrades":[],"pingInterval":25000,"pingTimeout":20000,"maxPayload":1000000}}"#
            ),
            Dialect::Native => format!(
                r#"{{"type":"welcome","session":"~{index}","user":"{user}","heartbeat_ms":25000,"max_message_bytes":65536}}"#
            ),
        };
        if let Some(connection) = self.connection(index) {
            connection.dialect = Some(dialect);
            connection.user = user;
            connection.send(&upgrade.answer);
        }
        self.send(index, &welcome);
        Ok(upgrade.length)
    }

    fn frame(&mut self, index: usize, dialect: Dialect, input: &mut [u8]) -> Result<usize, Bad> {
        let Some(frame) = websocket::frame(input)? else { return Ok(0) };
        match frame.kind {
            TEXT => {
                let text = std::str::from_utf8(frame.payload).map_err(|_| Bad)?;
                match dialect {
                    Dialect::SocketIo => self.packet(index, text)?,
                    Dialect::Native => self.request(index, text).ok_or(Bad)?,
                }
            }
            PONG => {}
            PING => {
                let pong = framed(PONG, frame.payload);
                self.connection(index).ok_or(Bad)?.send(&pong);
            }
            CLOSE => {
                let close = framed(CLOSE, frame.payload);
                self.connection(index).ok_or(Bad)?.send(&close);
                return Err(Bad);
            }
            _ => return Err(Bad),
        }
        Ok(frame.length)
    }

    /// What a Socket.IO client sends.
    fn packet(&mut self, index: usize, text: &str) -> Result<(), Bad> {
        match text.as_bytes() {
            [b'4', b'2', ..] => self.event(index, &text[2..]).ok_or(Bad)?,
            [b'4', b'0', ..] => self.send(index, &format!(r#"40{{"sid":"~{index}"}}"#)),
            b"2" => self.send(index, "3"),
            b"3" => {}
            _ => return Err(Bad),
        }
        Ok(())
    }

    fn event(&mut self, index: usize, text: &str) -> Option<()> {
        let (id, text) = text.split_at(text.find('[')?);
        let elements = json::elements(text)?;
        let [event, to, ref more @ ..] = elements[..] else { return None };
        let (event, to) = (json::string(event)?, json::string(to)?);
        if !id.is_empty() {
            self.send(index, &format!(r#"43{id}["ok"]"#));
        }
        match event {
            "join" => self.join(index, to),
            "leave" => self.leave(index, to),
            _ => {
                let data = more.first()?;
                let message = Message { kind: "message", to, from: index, event, data, echo: true };
                match event {
                    "message" => self.publish(&message),
                    "typing" => {
                        self.publish(&Message { kind: "ephemeral", echo: false, ..message });
                    }
                    "private" => self.publish(&Message { kind: "private", ..message }),
                    _ => return None,
                }
            }
        }
        Some(())
    }

    /// What a native client sends.
    fn request(&mut self, index: usize, text: &str) -> Option<()> {
        let fields = json::fields(text)?;
        let value = |name: &str| Some(fields.iter().find(|field| field.0 == name)?.1);
        let string = |name: &str| json::string(value(name)?);
        let kind = string("type")?;
        let mut ok = value("id").map(|id| format!(r#"{{"type":"ok","id":{id}"#));
        let mut answer = |server: &mut Self, more: &str| {
            if let Some(ok) = ok.take() {
                server.send(index, &format!("{ok}{more}}}"));
            }
        };
        match kind {
            "join" => {
                let room = string("room")?;
                self.join(index, room);
                let topic = self.rooms.get(room)?;
                let members: usize = topic.members.iter().map(Vec::len).sum();
                let offset = topic.offset;
                answer(
                    self,
                    &format!(
                        r#","room":"{room}","epoch":"floor","offset":{offset},"members":{members}"#
                    ),
                );
            }
            "leave" => {
                let room = string("room")?;
                self.leave(index, room);
                answer(self, &format!(r#","room":"{room}""#));
            }
            "publish" => {
                let (to, event, data) = (string("room")?, string("event")?, value("data")?);
                let offset = self.rooms.get(to).map_or(0, |topic| topic.offset) + 1;
                answer(self, &format!(r#","room":"{to}","epoch":"floor","offset":{offset}"#));
                let is_ephemeral = value("ephemeral") == Some("true");
                let kind = if is_ephemeral { "ephemeral" } else { "message" };
                let echo = value("echo") != Some("false");
                self.publish(&Message { kind, to, from: index, event, data, echo });
            }
            "send" => {
                let (to, event, data) = (string("to")?, string("event")?, value("data")?);
                let status = if self.users.contains_key(to) { "delivered" } else { "offline" };
                answer(self, &format!(r#","to":"{to}","status":"{status}""#));
                let kind = "private";
                self.publish(&Message { kind, to, from: index, event, data, echo: true });
            }
            "ping" => answer(self, ""),
            _ => return None,
        }
        Some(())
    }

    fn join(&mut self, index: usize, room: &str) {
        let Some(connection) = self.connections.get_mut(index).and_then(Option::as_mut) else {
            return;
        };
        let Some(dialect) = connection.dialect else { return };
        if !connection.rooms.iter().any(|it| it == room) {
            connection.rooms.push(room.to_owned());
            let topic = self.rooms.entry(room.to_owned()).or_default();
            topic.members[dialect as usize].push(index);
        }
    }

    fn leave(&mut self, index: usize, room: &str) {
        let Some(connection) = self.connection(index) else { return };
        connection.rooms.retain(|it| it != room);
        if let Some(topic) = self.rooms.get_mut(room) {
            topic.members.iter_mut().for_each(|members| members.retain(|it| *it != index));
        }
    }

    /// One frame, and one write for each who gets it.
    fn publish(&mut self, message: &Message<'_>) {
        let Message { kind, to, from, event, data, echo } = *message;
        let topics = if kind == "private" { &mut self.users } else { &mut self.rooms };
        let Some(topic) = topics.get_mut(to) else { return };
        topic.offset += 1;
        let sender = self.connections[from].as_ref().map_or("", |connection| &connection.user);
        let frames = [
            (!topic.members[0].is_empty()).then(|| format!(r#"42["{event}",{data}]"#)),
            (!topic.members[1].is_empty()).then(|| native(message, sender, topic.offset)),
        ];
        for (members, text) in topic.members.iter().zip(frames) {
            let Some(text) = text else { continue };
            let frame = framed(TEXT, text.as_bytes());
            for member in members {
                if *member == from && !echo {
                    continue;
                }
                if let Some(Some(connection)) = self.connections.get_mut(*member) {
                    connection.send(&frame);
                    if connection.is_broken {
                        self.broken.push(*member);
                    }
                }
            }
        }
    }
}

/// A message as native clients get it.
fn native(message: &Message<'_>, from: &str, offset: u64) -> String {
    let Message { kind, to, event, data, .. } = *message;
    let room = if kind == "private" { String::new() } else { format!(r#","room":"{to}""#) };
    let place = if kind == "ephemeral" {
        String::new()
    } else {
        let time = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |it| it.as_millis());
        format!(r#","epoch":"floor","offset":{offset},"time":{time}"#)
    };
    format!(r#"{{"type":"{kind}"{room},"from":"{from}","event":"{event}","data":{data}{place}}}"#)
}

//! A client's socket: what has come and is not whole, what waits until it can be written.

use std::io::{ErrorKind, Read, Write};

use mio::net::TcpStream;

/// What may wait for a client that reads too slowly.
const MOST_WAITING: usize = 16 * 1024 * 1024;

/// How a client speaks; none of it before its upgrade.
#[derive(Clone, Copy, PartialEq)]
pub(crate) enum Dialect {
    SocketIo = 0,
    Native = 1,
}

pub(crate) struct Connection {
    stream: TcpStream,
    waiting: Vec<u8>,
    pub(crate) is_broken: bool,
    pub(crate) input: Vec<u8>,
    pub(crate) dialect: Option<Dialect>,
    pub(crate) user: String,
    pub(crate) rooms: Vec<String>,
}

impl Connection {
    pub(crate) fn new(stream: TcpStream) -> Self {
        Self {
            stream,
            waiting: Vec::new(),
            is_broken: false,
            input: Vec::new(),
            dialect: None,
            user: String::new(),
            rooms: Vec::new(),
        }
    }

    pub(crate) fn stream(&mut self) -> &mut TcpStream {
        &mut self.stream
    }

    /// Reads once; 0 when nothing is there now.
    pub(crate) fn read(&mut self, buffer: &mut [u8]) -> usize {
        loop {
            match self.stream.read(buffer) {
                Ok(0) => self.is_broken = true,
                Ok(count) => return count,
                Err(error) if error.kind() == ErrorKind::Interrupted => continue,
                Err(error) if error.kind() == ErrorKind::WouldBlock => {}
                Err(_) => self.is_broken = true,
            }
            return 0;
        }
    }

    /// Writes what the socket takes now and keeps the rest, behind what is kept already.
    pub(crate) fn send(&mut self, bytes: &[u8]) {
        if self.is_broken {
            return;
        }
        let written = if self.waiting.is_empty() { self.write(bytes) } else { 0 };
        self.waiting.extend_from_slice(&bytes[written..]);
        self.is_broken |= self.waiting.len() > MOST_WAITING;
    }

    /// Goes on with what has waited, when the socket takes something again.
    pub(crate) fn flush(&mut self) {
        if self.waiting.is_empty() {
            return;
        }
        let waiting = std::mem::take(&mut self.waiting);
        let mut start = 0;
        while start < waiting.len() {
            match self.write(&waiting[start..]) {
                0 => break,
                count => start += count,
            }
        }
        self.waiting.extend_from_slice(&waiting[start..]);
    }

    fn write(&mut self, bytes: &[u8]) -> usize {
        loop {
            match self.stream.write(bytes) {
                Ok(count) => return count,
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) => {
                    self.is_broken |= error.kind() != ErrorKind::WouldBlock;
                    return 0;
                }
            }
        }
    }
}

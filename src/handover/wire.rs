//! What is said over the Unix socket: a version, then a byte for each socket that says what it is for
//! and carries it, then the end; and back a byte when they are accepted from.

use std::io::{self, IoSlice, IoSliceMut, Read, Write};
use std::mem::MaybeUninit;
use std::net::TcpListener;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::net::UnixStream;

use rustix::net::{
    RecvAncillaryBuffer, RecvAncillaryMessage, RecvFlags, SendAncillaryBuffer,
    SendAncillaryMessage, SendFlags, recvmsg, sendmsg,
};

const VERSION: u8 = 1;
const CLIENTS: u8 = b'c';
const API: u8 = b'g';
const METRICS: u8 = b'm';
const END: u8 = b'.';
const RELIEF: u8 = b'!';
/// More than any router has workers.
const MOST: usize = 1024;

/// The listening sockets of a router's process.
#[derive(Debug)]
pub(crate) struct Sockets {
    pub(crate) clients: Vec<TcpListener>,
    pub(crate) api: Option<TcpListener>,
    pub(crate) metrics: Option<TcpListener>,
}

/// Gives the sockets.
pub(super) fn send(stream: &UnixStream, sockets: &Sockets) -> io::Result<()> {
    say(stream, VERSION)?;
    for client in &sockets.clients {
        send_one(stream, CLIENTS, client.as_fd())?;
    }
    if let Some(api) = &sockets.api {
        send_one(stream, API, api.as_fd())?;
    }
    if let Some(metrics) = &sockets.metrics {
        send_one(stream, METRICS, metrics.as_fd())?;
    }
    say(stream, END)
}

/// Takes the sockets.
pub(super) fn receive(stream: &UnixStream) -> io::Result<Sockets> {
    let mut sockets = Sockets { clients: Vec::new(), api: None, metrics: None };
    match receive_one(stream)? {
        (VERSION, None) => {}
        _ => return Err(wrong("it is of another release")),
    }
    for _ in 0..MOST {
        match receive_one(stream)? {
            (CLIENTS, Some(socket)) => sockets.clients.push(socket.into()),
            (API, Some(socket)) => sockets.api = Some(socket.into()),
            (METRICS, Some(socket)) => sockets.metrics = Some(socket.into()),
            (END, None) if !sockets.clients.is_empty() => return Ok(sockets),
            _ => break,
        }
    }
    Err(wrong("it is no router"))
}

/// Says that they are accepted from.
pub(super) fn relieve(stream: &UnixStream) -> io::Result<()> {
    say(stream, RELIEF)
}

/// Waits until that is said.
pub(super) fn await_relief(mut stream: &UnixStream) -> io::Result<()> {
    let mut said = [0];
    stream.read_exact(&mut said)?;
    if said == [RELIEF] { Ok(()) } else { Err(wrong("it says what nobody understands")) }
}

fn say(mut stream: &UnixStream, byte: u8) -> io::Result<()> {
    stream.write_all(&[byte])
}

fn send_one(stream: &UnixStream, role: u8, socket: BorrowedFd<'_>) -> io::Result<()> {
    let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(1))];
    let mut control = SendAncillaryBuffer::new(&mut space);
    let sockets = [socket];
    if !control.push(SendAncillaryMessage::ScmRights(&sockets)) {
        return Err(wrong("there is no room for a socket"));
    }
    sendmsg(stream, &[IoSlice::new(&[role])], &mut control, SendFlags::NOSIGNAL)?;
    Ok(())
}

/// A byte, and the socket that came with it. One that comes with two is an error.
fn receive_one(stream: &UnixStream) -> io::Result<(u8, Option<OwnedFd>)> {
    let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(1))];
    let mut control = RecvAncillaryBuffer::new(&mut space);
    let mut said = [0];
    let flags = RecvFlags::CMSG_CLOEXEC;
    let received = recvmsg(stream, &mut [IoSliceMut::new(&mut said)], &mut control, flags)?;
    if received.bytes == 0 {
        return Err(io::ErrorKind::UnexpectedEof.into());
    }
    let mut sockets = Vec::new();
    for message in control.drain() {
        if let RecvAncillaryMessage::ScmRights(received) = message {
            sockets.extend(received);
        }
    }
    let socket = sockets.pop();
    if sockets.is_empty() { Ok((said[0], socket)) } else { Err(wrong("it gives too many sockets")) }
}

fn wrong(why: &'static str) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, why)
}

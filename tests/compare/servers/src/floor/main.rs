//! The least that a server can do for the clients that Trunkline is measured with: one thread, no
//! history, no acknowledgement that is waited for, no queue but for what a socket doesn't take,
//! no check of who speaks. Each message is made into a frame once, and written to each receiver at
//! once. What another server takes beyond this is the price of what it does beyond this.

mod connection;
mod json;
mod server;
mod websocket;

use std::io::ErrorKind;
use std::net::{Ipv4Addr, SocketAddr};
use std::time::{Duration, Instant};

use clap::Parser;
use mio::net::TcpListener;
use mio::{Events, Interest, Poll, Token};

use crate::server::Server;

const LISTENER: Token = Token(usize::MAX);
const HEARTBEAT: Duration = Duration::from_secs(25);

#[derive(Parser)]
struct Args {
    #[arg(long)]
    port: u16,
}

fn main() -> anyhow::Result<()> {
    let args = Args::parse();
    let mut poll = Poll::new()?;
    let mut listener = TcpListener::bind(SocketAddr::from((Ipv4Addr::LOCALHOST, args.port)))?;
    poll.registry().register(&mut listener, LISTENER, Interest::READABLE)?;
    println!("ready {}", listener.local_addr()?.port());

    let mut server = Server::default();
    let mut events = Events::with_capacity(1024);
    let mut buffer = vec![0; 64 * 1024];
    let mut next_beat = Instant::now() + HEARTBEAT;
    loop {
        let patience = next_beat.saturating_duration_since(Instant::now());
        match poll.poll(&mut events, Some(patience)) {
            Err(error) if error.kind() != ErrorKind::Interrupted => return Err(error.into()),
            _ => {}
        }
        for event in &events {
            match event.token() {
                LISTENER => accept(&listener, &poll, &mut server),
                Token(index) => {
                    if event.is_writable() {
                        server.writable(index);
                    }
                    if event.is_readable() {
                        server.readable(index, &mut buffer);
                    }
                }
            }
        }
        if next_beat <= Instant::now() {
            server.beat();
            next_beat += HEARTBEAT;
        }
        server.sweep();
    }
}

/// Takes everybody in who waits. Who can't be taken in is left to try again.
fn accept(listener: &TcpListener, poll: &Poll, server: &mut Server) {
    loop {
        match listener.accept() {
            Ok((stream, _)) => {
                let _ = stream.set_nodelay(true);
                let (index, stream) = server.add(stream);
                let interest = Interest::READABLE | Interest::WRITABLE;
                let _ = poll.registry().register(stream, Token(index), interest);
            }
            Err(error) if error.kind() == ErrorKind::Interrupted => {}
            Err(_) => return,
        }
    }
}

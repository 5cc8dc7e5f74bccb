//! The cluster as users run it: real processes, real sockets, real clients.

#![allow(clippy::unwrap_used, reason = "a helper that fails is a test that fails")]

mod api;
mod application;
mod auth;
mod bad_bytes;
mod bad_requests;
mod bench;
mod chat;
mod durability;
mod echo;
mod failures;
mod handover;
mod harness;
mod limits;
mod moves;
mod noise;
mod page;
mod placement;
mod presence;
mod private;
mod promise;
mod reshard;
mod rooms;
mod socketio;
mod tls;
mod tools;
mod trust;
mod up;

use harness::free;

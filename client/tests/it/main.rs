//! The client against a server that plays its part of the protocol by script.

#![allow(clippy::unwrap_used, reason = "a script that fails is a test that fails")]

mod client;
mod server;
mod wire;

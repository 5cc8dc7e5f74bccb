//! The client against a server that plays its part of the protocol by script.

mod client;
mod server;
mod wire;

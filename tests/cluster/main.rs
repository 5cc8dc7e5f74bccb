//! The cluster as users run it: real processes, real sockets, real clients.

mod auth;
mod bad_bytes;
mod bad_requests;
mod echo;
mod failures;
mod harness;
mod limits;
mod noise;
mod placement;
mod presence;
mod private;
mod rooms;

//! The cluster as users run it: real processes, real sockets, real clients.

mod auth;
mod failures;
mod harness;
mod limits;
mod placement;
mod presence;
mod private;
mod rooms;

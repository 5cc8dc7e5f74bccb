//! A world in which cores live: routers, trunks, links, logs, clients and time, with no runtime.
//!
//! It does what DESIGN and `proto/trunk.proto` say the shell and the routers do, and nothing
//! more; what clients see is reported, and judged elsewhere.

mod log;
mod network;
mod plan;
mod router;
mod trace;
mod world;

pub(crate) use log::Kept;
pub(crate) use plan::Plan;
pub(crate) use router::{Arrival, ClientId, Seen};
pub(crate) use trace::Trace;
pub(crate) use world::{Guest, World, core_of, session_of};

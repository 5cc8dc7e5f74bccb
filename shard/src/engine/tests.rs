//! The engine between routers and a core that the test plays, in time that the test passes.

mod deposit;
mod harness;
mod heartbeat;
mod moves;
mod polling;
mod posting;
mod upgrade;

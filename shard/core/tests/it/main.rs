//! The core from outside: facts about its behaviour, and whole clusters of cores from a seed. Both
//! run on the same world of cores, routers and logs, in which time is only a number.

#![allow(clippy::unwrap_used, reason = "a helper that fails is a test that fails")]

mod behaviour;
mod harness;
mod simulation;

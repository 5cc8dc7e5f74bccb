//! What Socket.IO clients have beyond native ones: several sessions on one connection, events
//! that rules give a meaning to, acknowledgements that they give, and their coming back.

pub(super) mod call;
pub(super) mod connect;
pub(super) mod departed;
pub(super) mod gather;
pub(super) mod giving;
mod intention;
mod packet;
mod parted;
mod patience;
mod recovery;
pub(super) mod rescue;
mod rule;
pub(super) mod run;
mod welcome;

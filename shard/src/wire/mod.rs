//! Between the wire's types and the core's. Domain types never derive from wire types: what a
//! peer sends is checked here, once, and a message that makes no sense ends its stream.

mod api;
#[cfg(test)]
mod cost;
mod engine;
mod peer;
mod peer_reply;
mod rescue;
#[cfg(test)]
mod tests;
mod topic;
mod transfer;
mod trunk;

pub(crate) use api::{Asked, decode_api, encode_answer};
pub(crate) use engine::{Sorted, sort_up};
pub(crate) use peer::{decode_peer, encode_peer, peer_size};
pub(crate) use rescue::{decode_ledger, decode_rescue, encode_ledger, encode_rescue};
pub(crate) use topic::{encode_session, session};
pub(crate) use transfer::{decode_view, encode_view};
pub(crate) use trunk::{TrunkItem, decode_attach, decode_up, encode_down, identity};

/// A message that makes no sense: the other end breaks the protocol, or speaks a newer one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a {0} that can't be read; are all processes of the same version?")]
pub(crate) struct BadItem(pub(crate) &'static str);

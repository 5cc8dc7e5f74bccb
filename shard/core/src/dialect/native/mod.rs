//! The native protocol, `trunkline.v1`: one JSON object a message.

mod decode;
mod encode;
mod error;

pub(crate) use decode::{Command, Request, decode, name_problem};
pub(crate) use encode::{
    Source, announce, ephemeral, error, gap, history, message, ok, presence, private, welcome,
};
pub(crate) use error::{ErrorCode, Problem};

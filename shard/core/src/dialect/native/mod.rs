//! The native protocol, `trunkline.v1`: one JSON object a message.

mod decode;
mod encode;

pub(crate) use decode::{Request, decode};
pub(crate) use encode::{
    Source, announce, ephemeral, error, error_with, gap, history, message, ok, presence, private,
    welcome,
};

//! Socket.IO protocol 5 (<https://socket.io/docs/v4/socket-io-protocol/>), as the packets of one
//! connection: what a text says, what joins a text and its attachments, and how packets are
//! written. What packets mean is decided elsewhere.

mod assemble;
mod decode;
mod encode;

pub(crate) use assemble::{Assembly, Whole};
pub(crate) use decode::{Emitted, Kind, Packet, ParseError, array_parts};
pub(crate) use encode::{
    Meta, acknowledgement, announce, connected, disconnect, event, gap, json_text, object_event,
    record, refused,
};

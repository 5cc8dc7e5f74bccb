//! How clients speak: what their texts ask for, and how they are told things.

pub(crate) mod command;
mod error;
pub(crate) mod native;
pub(crate) mod socketio;

pub(crate) use error::{ErrorCode, Problem};

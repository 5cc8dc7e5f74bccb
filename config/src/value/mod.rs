//! The small languages inside TOML strings: durations, sizes, addresses, origins, secrets,
//! references.
//!
//! Each parser takes the text alone and says what is wrong and what to write instead. Which key
//! the text stands under, in which file and line, is for the reader to add.

pub(crate) mod address;
pub(crate) mod duration;
pub(crate) mod filter;
pub(crate) mod likeness;
pub(crate) mod name;
pub(crate) mod network;
pub(crate) mod pattern;
pub(crate) mod pem;
pub(crate) mod reference;
pub(crate) mod secret;
pub(crate) mod size;
pub(crate) mod url;

/// What is wrong with a value, and what to write instead.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{what}; {instead}")]
pub(crate) struct Wrong {
    what: String,
    instead: String,
}

impl Wrong {
    /// `what` continues "KEY …"; `instead` is an instruction.
    pub(crate) fn new(what: impl Into<String>, instead: impl Into<String>) -> Self {
        Self { what: what.into(), instead: instead.into() }
    }
}

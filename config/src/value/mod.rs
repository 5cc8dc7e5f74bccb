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

/// The duration that a text such as `"25s"` says, wherever such a text stands.
///
/// # Errors
/// What is wrong with it; what to write instead.
pub fn parse_duration(text: &str) -> Result<std::time::Duration, String> {
    duration::parse(text).map_err(|wrong| wrong.to_string())
}

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

//! What a message carries, as the JSON text that was sent.

use std::fmt;

use serde::{Deserialize, Serialize};
use serde_json::value::{RawValue, to_raw_value};

/// What a message carries. It stays JSON text, so that it arrives as it was sent: a parsed number
/// could lose digits.
///
/// Two bodies are equal when their texts are, so `1` differs from `1.0`.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Body {
    /// One JSON value, the usual case.
    Data(Box<RawValue>),
    /// A JSON array of any number of arguments, as Socket.IO clients send them. Binary inside is
    /// `{"$base64": "…"}`.
    Args(Box<RawValue>),
}

impl Body {
    /// One value. To send JSON text untouched, pass a [`RawValue`].
    ///
    /// # Errors
    /// When the value can't be JSON, such as a map whose keys are not strings.
    pub fn data<T: Serialize + ?Sized>(value: &T) -> Result<Self, serde_json::Error> {
        to_raw_value(value).map(Self::Data)
    }

    /// Several arguments, or none.
    ///
    /// # Errors
    /// As of [`Body::data`].
    pub fn args<T: Serialize>(values: &[T]) -> Result<Self, serde_json::Error> {
        to_raw_value(values).map(Self::Args)
    }

    /// The JSON text, of the value or of the array of arguments.
    #[must_use]
    pub fn get(&self) -> &str {
        match self {
            Self::Data(raw) | Self::Args(raw) => raw.get(),
        }
    }

    /// Parses the value, or the arguments as a tuple or a `Vec`.
    ///
    /// # Errors
    /// When the text is not a `T`.
    pub fn decode<'a, T: Deserialize<'a>>(&'a self) -> Result<T, serde_json::Error> {
        serde_json::from_str(self.get())
    }
}

impl PartialEq for Body {
    fn eq(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Data(one), Self::Data(two)) | (Self::Args(one), Self::Args(two)) => {
                one.get() == two.get()
            }
            (Self::Data(_), Self::Args(_)) | (Self::Args(_), Self::Data(_)) => false,
        }
    }
}

/// The JSON text.
impl fmt::Display for Body {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(self.get())
    }
}

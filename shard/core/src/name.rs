//! IDs that people choose: users, rooms, namespaces.

use std::fmt;
use std::sync::Arc;

/// The longest ID, in bytes (PROTOCOL: 1 to 256).
const LONGEST: usize = 256;

/// Why a text is no ID.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NameError {
    /// No character.
    #[error("it is empty; give it 1 to 256 bytes")]
    Empty,
    /// More than 256 bytes.
    #[error("it is longer than 256 bytes; shorten it")]
    TooLong,
    /// A control character.
    #[error("it has a control character; leave it out")]
    Control,
    /// A user's name that looks like a session's ID.
    #[error("names of users must not begin with `~`, as session IDs do")]
    Tilde,
}

fn check(text: &str) -> Result<(), NameError> {
    if text.is_empty() {
        Err(NameError::Empty)
    } else if text.len() > LONGEST {
        Err(NameError::TooLong)
    } else if text.chars().any(char::is_control) {
        Err(NameError::Control)
    } else {
        Ok(())
    }
}

macro_rules! name {
    ($(#[$doc:meta])* $name:ident, $check:expr) => {
        $(#[$doc])*
        #[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub struct $name(Arc<str>);

        impl $name {
            /// Checks a text.
            ///
            /// # Errors
            /// [`NameError`] if it is not 1 to 256 bytes without control characters.
            pub fn parse(text: &str) -> Result<Self, NameError> {
                $check(text)?;
                Ok(Self(Arc::from(text)))
            }

            /// The text.
            #[must_use]
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }
    };
}

name!(
    /// Who speaks: the token's subject, or the name that was believed.
    UserId,
    check_user
);
name!(
    /// A room within a namespace.
    RoomId,
    check
);
name!(
    /// A namespace, with its leading slash.
    Namespace,
    check
);

fn check_user(text: &str) -> Result<(), NameError> {
    check(text)?;
    if text.starts_with('~') { Err(NameError::Tilde) } else { Ok(()) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_id_has_1_to_256_bytes_and_no_control_character() {
        assert!(RoomId::parse("lobby").is_ok());
        assert!(RoomId::parse(&"ä".repeat(128)).is_ok());
        assert_eq!(RoomId::parse("").unwrap_err(), NameError::Empty);
        assert_eq!(RoomId::parse(&"ä".repeat(129)).unwrap_err(), NameError::TooLong);
        assert_eq!(RoomId::parse("a\nb").unwrap_err(), NameError::Control);
        assert_eq!(RoomId::parse("a\u{85}b").unwrap_err(), NameError::Control);
    }

    #[test]
    fn only_users_must_not_begin_with_a_tilde() {
        assert_eq!(UserId::parse("~bob").unwrap_err(), NameError::Tilde);
        assert!(RoomId::parse("~bob").is_ok());
    }
}

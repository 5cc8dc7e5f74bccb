//! The rule for IDs that people choose: users, rooms, namespaces (PROTOCOL). Who takes one from
//! outside checks it here.

/// The longest ID, in bytes.
pub const LONGEST_NAME: usize = 256;

/// Why a text is no ID.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NameError {
    /// No character.
    #[error("it is empty; give it 1 to {LONGEST_NAME} bytes")]
    Empty,
    /// Too many bytes.
    #[error("it is longer than {LONGEST_NAME} bytes; shorten it")]
    TooLong,
    /// A control character.
    #[error("it has a control character; leave it out")]
    Control,
    /// A user's name that looks like a session's ID.
    #[error("names of users must not begin with `~`, as session IDs do")]
    Tilde,
}

/// Checks the ID of a room or a namespace.
///
/// # Errors
/// [`NameError`] says which rule it breaks.
pub fn check_id(text: &str) -> Result<(), NameError> {
    if text.is_empty() {
        Err(NameError::Empty)
    } else if text.len() > LONGEST_NAME {
        Err(NameError::TooLong)
    } else if text.chars().any(char::is_control) {
        Err(NameError::Control)
    } else {
        Ok(())
    }
}

/// Checks the name of a user: an ID that can't be mistaken for a session's.
///
/// # Errors
/// [`NameError`] says which rule it breaks.
pub fn check_user(text: &str) -> Result<(), NameError> {
    check_id(text)?;
    if text.starts_with('~') { Err(NameError::Tilde) } else { Ok(()) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_id_has_1_to_256_bytes_and_no_control_character() {
        assert_eq!(check_id("lobby"), Ok(()));
        assert_eq!(check_id(&"ü".repeat(128)), Ok(()));
        assert_eq!(check_id(""), Err(NameError::Empty));
        assert_eq!(check_id(&"ü".repeat(129)), Err(NameError::TooLong));
        assert_eq!(check_id("a\nb"), Err(NameError::Control));
        assert_eq!(check_id("a\u{7f}"), Err(NameError::Control));
        assert_eq!(check_id("a\u{85}"), Err(NameError::Control));
    }

    #[test]
    fn only_users_must_not_begin_with_a_tilde() {
        assert_eq!(check_user("~bob"), Err(NameError::Tilde));
        assert_eq!(check_user("b~ob"), Ok(()));
        assert_eq!(check_id("~bob"), Ok(()));
    }
}

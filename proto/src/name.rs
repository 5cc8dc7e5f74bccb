//! What people may choose as an ID, for whoever takes one from outside before a shard sees it.

/// The longest ID, in bytes.
pub const MAX_NAME: usize = 256;

/// Why a text is no ID.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NameError {
    /// Nothing at all, or too much of it.
    #[error("it has {0} bytes; use 1 to {MAX_NAME}")]
    Length(usize),
    /// Characters that don't print.
    #[error("it holds a control character; leave that out")]
    Control,
    /// What sessions' IDs begin with.
    #[error("it begins with `~`, which is kept for sessions; choose another first character")]
    Tilde,
}

/// Checks the ID of a room or a namespace.
///
/// # Errors
/// [`NameError`] says which rule it breaks.
pub fn check_id(text: &str) -> Result<(), NameError> {
    if text.is_empty() || text.len() > MAX_NAME {
        Err(NameError::Length(text.len()))
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
    fn an_id_is_1_to_256_bytes_without_control_characters() {
        assert_eq!(check_id("lobby"), Ok(()));
        assert_eq!(check_id(&"ü".repeat(128)), Ok(()));
        assert_eq!(check_id(""), Err(NameError::Length(0)));
        assert_eq!(check_id(&"ü".repeat(129)), Err(NameError::Length(258)));
        assert_eq!(check_id("a\u{7f}"), Err(NameError::Control));
        assert_eq!(check_id("a\u{85}"), Err(NameError::Control));
    }

    #[test]
    fn a_user_can_not_be_named_like_a_session() {
        assert_eq!(check_user("~bob"), Err(NameError::Tilde));
        assert_eq!(check_user("b~ob"), Ok(()));
    }
}

//! Whom a private message is for: a user, or a session by its ID.

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use trunkline_config::Digest;

use super::{Problem, check};

/// The bytes of a session's ID: the digest of its shard key, and random ones.
const SESSION: usize = 24;
const DIGEST: usize = 8;

/// Whom a private message is for, as far as it decides where to send it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Receiver {
    /// Placed by the name.
    User,
    /// Placed by the digest in its ID.
    Session(Digest),
}

impl Receiver {
    /// Reads and checks a name or an ID.
    ///
    /// # Errors
    /// A [`Problem`] that says what it is to be.
    pub(super) fn read(text: &str) -> Result<Self, Problem> {
        let Some(id) = text.strip_prefix('~') else {
            return check::user("the receiver", text).map(|()| Self::User);
        };
        let bad = || {
            Problem::bad("what begins with `~` must be a session's ID, as its `welcome` names it")
        };
        let bytes = URL_SAFE_NO_PAD.decode(id).map_err(|_| bad())?;
        let bytes = <[u8; SESSION]>::try_from(bytes).map_err(|_| bad())?;
        let mut digest = [0; DIGEST];
        digest.copy_from_slice(&bytes[..DIGEST]);
        Ok(Self::Session(Digest(u64::from_be_bytes(digest))))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_session_is_placed_by_the_digest_in_its_id() {
        let id = "~AAECAwQFBgcICQoLDA0ODxAREhMUFRYX";
        assert_eq!(Receiver::read(id), Ok(Receiver::Session(Digest(0x0001_0203_0405_0607))));
        assert_eq!(Receiver::read("alice"), Ok(Receiver::User));
    }

    #[test]
    fn what_is_neither_is_refused() {
        for text in
            ["", "~", "~AAAA", "~not base64 at all!", "a\nb", "~AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGA"]
        {
            let problem = Receiver::read(text).expect_err(text);
            assert_eq!(problem.code, "bad_request");
        }
    }
}

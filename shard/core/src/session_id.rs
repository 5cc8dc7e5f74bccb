//! A session's ID: where it is placed, and a number that nobody guesses.

use std::fmt;

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use trunkline_config::Digest;

/// 24 bytes: the digest of the connection's shard key, big-endian, and 16 random ones. As text it
/// is `~` and their base64url, so that it can't be mistaken for a user's name.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct SessionId(pub [u8; 24]);

impl SessionId {
    /// The digest by which the session is placed.
    #[must_use]
    pub fn digest(&self) -> Digest {
        let mut digest = [0; 8];
        digest.copy_from_slice(&self.0[..8]);
        Digest(u64::from_be_bytes(digest))
    }

    /// Reads the text form; `None` if it is none.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let bytes = URL_SAFE_NO_PAD.decode(text.strip_prefix('~')?).ok()?;
        bytes.try_into().ok().map(Self)
    }
}

impl fmt::Display for SessionId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "~{}", URL_SAFE_NO_PAD.encode(self.0))
    }
}

impl fmt::Debug for SessionId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_text_form_reads_back_and_nothing_else_does() {
        let id = SessionId(std::array::from_fn(|n| u8::try_from(n).unwrap()));
        assert_eq!(SessionId::parse(&id.to_string()), Some(id));
        assert_eq!(id.digest(), Digest(0x0001_0203_0405_0607));
        for wrong in ["", "~", "alice", "~AAAA", &id.to_string()[1..]] {
            assert_eq!(SessionId::parse(wrong), None);
        }
    }
}

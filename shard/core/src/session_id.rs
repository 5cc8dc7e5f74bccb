//! A session's ID: where it is placed, and a number that nobody guesses.

use std::cmp::Ordering;
use std::fmt;

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use trunkline_config::Digest;

/// 24 bytes: the digest of the connection's shard key, big-endian, and 16 random ones. As text it
/// is `~` and their base64url, so that it can't be mistaken for a user's name.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct SessionId(pub [u8; 24]);

impl SessionId {
    /// As numbers in the order of the bytes. Whatever is kept by session compares these, many times
    /// for each message, and three words are a fraction of a call to compare memory.
    fn words(&self) -> [u64; 3] {
        let (words, _) = self.0.as_chunks::<8>();
        std::array::from_fn(|nth| u64::from_be_bytes(words[nth]))
    }

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

impl Ord for SessionId {
    fn cmp(&self, other: &Self) -> Ordering {
        let ([a, b, c], [x, y, z]) = (self.words(), other.words());
        a.cmp(&x).then_with(|| b.cmp(&y)).then_with(|| c.cmp(&z))
    }
}

impl PartialOrd for SessionId {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
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
    fn ids_have_the_order_of_their_bytes() {
        let other = |at: usize, byte| {
            let mut bytes = [128; 24];
            bytes[at] = byte;
            SessionId(bytes)
        };
        let one = SessionId([128; 24]);
        for at in 0..24 {
            for byte in [0, 127, 128, 129, 255] {
                let it = other(at, byte);
                assert_eq!(one.cmp(&it), one.0.cmp(&it.0));
                assert_eq!(one == it, one.0 == it.0);
                // What comes first counts.
                let (less, more) = (other(at, 127), other((at + 1) % 24, 200));
                assert_eq!(less.cmp(&more), less.0.cmp(&more.0));
            }
        }
    }

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

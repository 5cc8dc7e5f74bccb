//! What makes the numbers that clients carry for us trustworthy: seals over session IDs, and IDs
//! that are derived from other IDs. All under the shard map's own key, which every process has
//! and no client.
//!
//! SipHash-2-4 is a keyed pseudo-random function made for this (Aumasson and Bernstein, 2012).
//! The tags of [`crate::key`] end below those here, so that no seal is also a digest.

use std::hash::Hasher;

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use siphasher::sip128::{Hasher128, SipHasher24 as SipHasher128};

use crate::key::HashKey;

/// A session's ID in bytes: the digest of its shard key and 16 random ones.
pub const SESSION_BYTES: usize = 24;
const SEAL_BYTES: usize = 8;
const DIGEST_BYTES: usize = 8;

const SEAL_TAG: u8 = 16;
const DERIVE_TAG: u8 = 17;

impl HashKey {
    /// The text by which a client names its session to any router: the ID and a seal, so that
    /// nobody can make one up. 43 characters that need no quoting in a URL.
    #[must_use]
    pub fn seal(&self, session: &[u8; SESSION_BYTES]) -> String {
        let mut sealed = session.to_vec();
        sealed.extend_from_slice(&self.seal_of(session));
        URL_SAFE_NO_PAD.encode(sealed)
    }

    /// The session that a text names; `None` if it was not made by [`HashKey::seal`].
    #[must_use]
    pub fn unseal(&self, text: &str) -> Option<[u8; SESSION_BYTES]> {
        let sealed: [u8; SESSION_BYTES + SEAL_BYTES] =
            URL_SAFE_NO_PAD.decode(text).ok()?.try_into().ok()?;
        let mut session = [0; SESSION_BYTES];
        session.copy_from_slice(&sealed[..SESSION_BYTES]);
        // A difference is collected, not returned at the first byte: its place must not be timed.
        let difference = self
            .seal_of(&session)
            .iter()
            .zip(&sealed[SESSION_BYTES..])
            .fold(0, |difference, (ours, theirs)| difference | (ours ^ theirs));
        (difference == 0).then_some(session)
    }

    /// Another session ID of the same shard, which tells nothing of the first. The same parts
    /// give the same ID.
    #[must_use]
    pub fn derive(&self, session: &[u8; SESSION_BYTES], purpose: &str, nth: u64) -> [u8; 24] {
        let mut hasher = SipHasher128::new_with_key(&self.0);
        hasher.write(&[DERIVE_TAG]);
        hasher.write(session);
        hasher.write(&nth.to_be_bytes());
        hasher.write(purpose.as_bytes());
        let mut derived = *session;
        derived[DIGEST_BYTES..].copy_from_slice(&hasher.finish128().as_bytes());
        derived
    }

    fn seal_of(&self, session: &[u8; SESSION_BYTES]) -> [u8; SEAL_BYTES] {
        let mut hasher = self.hasher();
        hasher.write(&[SEAL_TAG]);
        hasher.write(session);
        hasher.finish().to_be_bytes()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const KEY: HashKey = HashKey([7; 16]);
    const SESSION: [u8; SESSION_BYTES] = [3; SESSION_BYTES];

    #[test]
    fn a_sealed_session_is_read_back_and_nothing_else_is() {
        let text = KEY.seal(&SESSION);
        assert_eq!(text.len(), 43);
        assert_eq!(KEY.unseal(&text), Some(SESSION));
        assert_eq!(HashKey([8; 16]).unseal(&text), None);
        for (index, _) in text.char_indices() {
            let mut changed = text.clone();
            let other = if &text[index..=index] == "A" { "B" } else { "A" };
            changed.replace_range(index..=index, other);
            assert_eq!(KEY.unseal(&changed), None, "{changed}");
        }
        for wrong in ["", "AAAA", &text[1..], &format!("{text}A"), "ü"] {
            assert_eq!(KEY.unseal(wrong), None);
        }
    }

    #[test]
    fn a_derived_session_has_the_same_shard_and_another_number_for_each_purpose() {
        let derived = KEY.derive(&SESSION, "/", 1);
        assert_eq!(derived[..8], SESSION[..8]);
        assert_eq!(derived, KEY.derive(&SESSION, "/", 1));
        assert_ne!(derived, KEY.derive(&SESSION, "/", 2));
        assert_ne!(derived, KEY.derive(&SESSION, "/a", 1));
        assert_ne!(derived[8..], SESSION[8..]);
    }
}

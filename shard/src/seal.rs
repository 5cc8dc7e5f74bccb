//! Checkpoints that can be trusted: what a router returns counts only if a shard of this cluster
//! has given it for the same session. Otherwise a router could give its clients any rights.

use aws_lc_rs::hmac;
use bytes::Bytes;
use trunkline_config::HashKey;
use trunkline_core::{Comes, Input, SessionId};

/// What the key is for: the same secrets sign other things too.
const PURPOSE: &[u8] = b"trunkline checkpoint 1";
const TAG_BYTES: usize = 32;

/// Signs checkpoints and checks them, with HMAC-SHA256 (RFC 2104) under a key of the cluster's.
#[derive(Debug)]
pub(crate) struct CheckpointSeal {
    key: hmac::Key,
}

impl CheckpointSeal {
    /// The key is made of all that only the processes of the cluster know.
    pub(crate) fn new(map: HashKey, secret: Option<&str>) -> Self {
        let map = hmac::Key::new(hmac::HMAC_SHA256, &map.0);
        let mut context = hmac::Context::with_key(&map);
        context.update(PURPOSE);
        context.update(secret.unwrap_or_default().as_bytes());
        let key = context.sign();
        Self { key: hmac::Key::new(hmac::HMAC_SHA256, key.as_ref()) }
    }

    /// A session's state, for a router to keep.
    pub(crate) fn seal(&self, session: &SessionId, state: &[u8]) -> Bytes {
        let mut context = hmac::Context::with_key(&self.key);
        context.update(&session.0);
        context.update(state);
        let mut sealed = Vec::with_capacity(TAG_BYTES + state.len());
        sealed.extend_from_slice(context.sign().as_ref());
        sealed.extend_from_slice(state);
        sealed.into()
    }

    /// The state that was sealed for a session; `None` if it was not.
    pub(crate) fn unseal(&self, session: &SessionId, sealed: &Bytes) -> Option<Bytes> {
        let (tag, state) = sealed.split_at_checked(TAG_BYTES)?;
        let signed = [&session.0, state].concat();
        hmac::verify(&self.key, &signed, tag).ok()?;
        Some(sealed.slice(TAG_BYTES..))
    }

    /// A router's input, in which a checkpoint that can't be trusted is empty.
    pub(crate) fn check(&self, mut input: Input) -> Input {
        if let Input::Attach { attach, .. } = &mut input
            && let Comes::Again(adoption) = &mut attach.comes
        {
            let state = self.unseal(&attach.session, &adoption.state);
            adoption.state = state.unwrap_or_default();
        }
        input
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MAP: HashKey = HashKey([7; 16]);
    const SESSION: SessionId = SessionId([1; 24]);

    #[test]
    fn what_was_sealed_is_had_back_for_the_same_session_under_the_same_secrets() {
        let seal = CheckpointSeal::new(MAP, Some("correct horse"));
        let sealed = seal.seal(&SESSION, b"state");
        assert_eq!(seal.unseal(&SESSION, &sealed).as_deref(), Some(&b"state"[..]));
        assert_eq!(seal.unseal(&SessionId([2; 24]), &sealed), None);
        for other in [
            CheckpointSeal::new(MAP, None),
            CheckpointSeal::new(HashKey([8; 16]), Some("correct horse")),
        ] {
            assert_eq!(other.unseal(&SESSION, &sealed), None);
        }
    }

    #[test]
    fn what_was_changed_or_cut_is_not() {
        let seal = CheckpointSeal::new(MAP, None);
        let sealed = seal.seal(&SESSION, b"state");
        for at in 0..sealed.len() {
            let mut changed = sealed.to_vec();
            changed[at] ^= 1;
            assert_eq!(seal.unseal(&SESSION, &changed.into()), None);
            assert_eq!(seal.unseal(&SESSION, &sealed.slice(..at)), None);
        }
    }
}

//! Signing requests by the scheme of Standard Webhooks (<https://www.standardwebhooks.com>), for
//! which there are libraries in most languages: the application can tell that a request is from
//! this cluster, that it is fresh, and by its ID that it is a repeat.

use aws_lc_rs::hmac;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;

/// A secret that begins so is a key in base64; any other is the key itself.
const ENCODED: &str = "whsec_";

/// A secret that can't be used.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "application.secret begins with {ENCODED}, and what follows is not base64; write it as it was generated, or another secret without {ENCODED}"
)]
pub struct SecretError;

/// Signs.
pub(super) struct Signer(hmac::Key);

impl Signer {
    /// # Errors
    /// [`SecretError`] for what looks like an encoded key and is none.
    pub(super) fn new(secret: &str) -> Result<Self, SecretError> {
        let key = match secret.strip_prefix(ENCODED) {
            Some(encoded) => STANDARD.decode(encoded).map_err(|_| SecretError)?,
            None => secret.as_bytes().to_vec(),
        };
        Ok(Self(hmac::Key::new(hmac::HMAC_SHA256, &key)))
    }

    /// The value of `webhook-signature`. `timestamp` is in seconds since 1970.
    pub(super) fn sign(&self, id: &str, timestamp: &str, body: &[u8]) -> String {
        let mut context = hmac::Context::with_key(&self.0);
        for part in [id.as_bytes(), b".", timestamp.as_bytes(), b".", body] {
            context.update(part);
        }
        format!("v1,{}", STANDARD.encode(context.sign()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const BODY: &[u8] = br#"{"event":"note"}"#;

    /// Made with `openssl dgst -sha256 -hmac` and with Python's `hmac`.
    #[test]
    fn signatures_are_those_that_others_compute() {
        let sign = |secret| Signer::new(secret).unwrap().sign("msg_1", "1790000000", BODY);
        assert_eq!(sign("swordfish"), "v1,A6j3FCsE/FSRgVJIVFvbDh+WeT5/c67X0nDRf/+/gdk=");
        assert_eq!(
            sign("whsec_AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8="),
            "v1,5r4/YeG1HEXVYU4iuUSeE+gsxpAfbLoeKaJ5YJPfZZE="
        );
    }

    #[test]
    fn an_encoded_secret_that_is_none_is_noticed() {
        assert!(Signer::new("whsec_!").is_err());
        assert!(Signer::new("whsec").is_ok());
    }
}

//! How the two ends of a stream know each other by the cluster secret.
//!
//! The secret never travels. Who opens a stream sends a token, signed with the secret, that is
//! good for one shard and one minute; the shard answers with a token that names the first, so
//! that both ends have shown that they know it. This keeps out strangers and mistakes. It does
//! not hide the traffic: where the network itself is not trusted, use mutual TLS.

use jsonwebtoken::{Algorithm, DecodingKey, EncodingKey, Header, Validation};
use serde::{Deserialize, Serialize};

/// How far two machines' clocks may be apart, and how long a token is good for, in seconds.
const TOKEN_SECONDS: u64 = 60;

/// The secret that all processes of a cluster share, ready to sign and to check.
#[derive(Clone)]
pub struct ClusterSecret {
    sign: EncodingKey,
    check: DecodingKey,
}

impl std::fmt::Debug for ClusterSecret {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("ClusterSecret(…)")
    }
}

/// A peer that did not show that it knows the cluster secret.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum CredentialError {
    /// No token came.
    #[error("no cluster credential: set cluster.secret to the same value on every process")]
    Missing,
    /// The token was signed with something else, is for another shard, or is too old.
    #[error(
        "the cluster credential is not valid: check that cluster.secret, the shard's address and the machines' clocks agree"
    )]
    Invalid,
}

#[derive(Serialize, Deserialize)]
struct Claims {
    /// The shard that is spoken to.
    shard: String,
    /// When it was made, in seconds since 1970.
    iat: u64,
    /// In an answer: the token that is answered.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    re: Option<String>,
}

impl ClusterSecret {
    /// From the configured secret.
    #[must_use]
    pub fn new(secret: &str) -> Self {
        Self {
            sign: EncodingKey::from_secret(secret.as_bytes()),
            check: DecodingKey::from_secret(secret.as_bytes()),
        }
    }

    /// The token that opens a stream to `shard` at `now_ms` (milliseconds since 1970).
    ///
    /// # Errors
    /// [`CredentialError::Invalid`] if it can't be signed.
    pub fn opening(&self, shard: &str, now_ms: u64) -> Result<String, CredentialError> {
        self.token(&Claims { shard: shard.to_owned(), iat: now_ms / 1000, re: None })
    }

    /// The shard's answer to an opening token.
    ///
    /// # Errors
    /// [`CredentialError::Invalid`] if it can't be signed.
    pub fn answer(
        &self,
        opening: &str,
        shard: &str,
        now_ms: u64,
    ) -> Result<String, CredentialError> {
        let re = Some(opening.to_owned());
        self.token(&Claims { shard: shard.to_owned(), iat: now_ms / 1000, re })
    }

    /// Whether `token` opens a stream to `shard`.
    ///
    /// # Errors
    /// [`CredentialError::Invalid`] if it doesn't.
    pub fn check_opening(
        &self,
        token: &str,
        shard: &str,
        now_ms: u64,
    ) -> Result<(), CredentialError> {
        self.check(token, shard, None, now_ms)
    }

    /// Whether `token` is `shard`'s answer to `opening`.
    ///
    /// # Errors
    /// [`CredentialError::Invalid`] if it isn't.
    pub fn check_answer(
        &self,
        token: &str,
        opening: &str,
        shard: &str,
        now_ms: u64,
    ) -> Result<(), CredentialError> {
        self.check(token, shard, Some(opening), now_ms)
    }

    fn token(&self, claims: &Claims) -> Result<String, CredentialError> {
        jsonwebtoken::encode(&Header::new(Algorithm::HS256), claims, &self.sign)
            .map_err(|_| CredentialError::Invalid)
    }

    fn check(
        &self,
        token: &str,
        shard: &str,
        re: Option<&str>,
        now_ms: u64,
    ) -> Result<(), CredentialError> {
        // The library would read the clock; ours is passed in, so age is checked here.
        let mut validation = Validation::new(Algorithm::HS256);
        validation.validate_exp = false;
        validation.validate_aud = false;
        validation.required_spec_claims.clear();
        let claims = jsonwebtoken::decode::<Claims>(token, &self.check, &validation)
            .map_err(|_| CredentialError::Invalid)?
            .claims;
        let fresh = claims.iat.abs_diff(now_ms / 1000) <= TOKEN_SECONDS;
        if fresh && claims.shard == shard && claims.re.as_deref() == re {
            Ok(())
        } else {
            Err(CredentialError::Invalid)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW_MS: u64 = 1_790_000_000_000;

    #[test]
    fn both_ends_that_know_the_secret_accept_each_other() {
        let secret = ClusterSecret::new("correct horse battery staple");
        let opening = secret.opening("a", NOW_MS).unwrap();
        assert_eq!(secret.check_opening(&opening, "a", NOW_MS + 30_000), Ok(()));
        let answer = secret.answer(&opening, "a", NOW_MS).unwrap();
        assert_eq!(secret.check_answer(&answer, &opening, "a", NOW_MS), Ok(()));
    }

    #[test]
    fn another_secret_shard_or_minute_is_refused() {
        let secret = ClusterSecret::new("correct horse battery staple");
        let opening = secret.opening("a", NOW_MS).unwrap();
        let invalid = Err(CredentialError::Invalid);
        assert_eq!(ClusterSecret::new("other").check_opening(&opening, "a", NOW_MS), invalid);
        assert_eq!(secret.check_opening(&opening, "b", NOW_MS), invalid);
        assert_eq!(secret.check_opening(&opening, "a", NOW_MS + 61_000), invalid);
        assert_eq!(secret.check_opening("", "a", NOW_MS), invalid);
    }

    #[test]
    fn an_opening_token_sent_back_is_no_answer() {
        let secret = ClusterSecret::new("correct horse battery staple");
        let opening = secret.opening("a", NOW_MS).unwrap();
        assert!(secret.check_answer(&opening, &opening, "a", NOW_MS).is_err());
        let answer = secret.answer(&opening, "a", NOW_MS).unwrap();
        assert!(secret.check_opening(&answer, "a", NOW_MS).is_err());
    }
}

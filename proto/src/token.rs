//! Who a token says is speaking, and what they may do. Used by routers at the upgrade and by
//! shards when a client renews, so that both read a token the same way.
//!
//! The clock is handed in: the JWT library's own reading of it is switched off, and `exp` and
//! `nbf` are checked here. It fetches no keys and knows one algorithm, the configured one, so a
//! token can't choose how it is verified (RFC 8725 §3.1).

mod claims;

use jsonwebtoken::errors::ErrorKind;
use jsonwebtoken::{Algorithm, DecodingKey, Validation};
use trunkline_config::name::{NameError, check_user};
use trunkline_config::settings::{JwtAlgorithm, JwtSettings};

use claims::Claims;

/// How far the issuer's clock may be ahead of ours, in milliseconds. There is none for `exp`:
/// connections end with their token, so who came in late would be sent away at once.
const LEEWAY_MS: u64 = 5_000;

/// Verifies tokens by the configured algorithm and key.
#[derive(Clone)]
pub struct TokenVerifier {
    key: DecodingKey,
    validation: Validation,
}

impl std::fmt::Debug for TokenVerifier {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("TokenVerifier").finish_non_exhaustive()
    }
}

/// The key in the configuration is not one of the configured algorithm.
#[derive(Debug, thiserror::Error)]
#[error("auth.jwt.key is no {algorithm} key: {source}; give {expected}")]
pub struct KeyError {
    algorithm: &'static str,
    expected: &'static str,
    source: jsonwebtoken::errors::Error,
}

/// Why a token is not believed.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum TokenError {
    /// Not three parts of base64, or not JSON inside.
    #[error("it is no JWT; send the issuer's token unchanged")]
    Malformed,
    /// Another algorithm than the pinned one, `none` included.
    #[error("it is signed with another algorithm than auth.jwt.algorithm")]
    Algorithm,
    /// Another key, or changed after it was signed.
    #[error("its signature does not fit auth.jwt.key")]
    Signature,
    /// Its time is over.
    #[error("it has expired; get a new one")]
    Expired,
    /// Its time has not come.
    #[error("it is not valid yet; try again later or check the clocks")]
    NotYet,
    /// For someone else.
    #[error("it is meant for another audience than auth.jwt.audience")]
    Audience,
    /// A claim is missing or is not what it should be.
    #[error("its claims can not be used: {0}")]
    Claims(String),
    /// The subject can't be a user's name.
    #[error("its `sub` can not name a user: {0}")]
    Subject(NameError),
}

/// Who a token speaks for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Identity {
    /// The `sub` claim.
    pub user: String,
    /// When the token ends, in milliseconds since 1970.
    pub expires_ms: u64,
    /// The `rooms` claim; without it every room may be joined.
    pub rights: Option<Vec<RoomRight>>,
}

/// What a token allows in the rooms that a pattern names.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RoomRight {
    /// A room, or a prefix followed by `*`.
    pub pattern: String,
    /// Joining.
    pub join: bool,
    /// Publishing, joined or not.
    pub publish: bool,
    /// Reading history, joined or not.
    pub history: bool,
}

impl TokenVerifier {
    /// From `auth.jwt`.
    ///
    /// # Errors
    /// [`KeyError`] when the key doesn't fit the algorithm.
    pub fn new(settings: &JwtSettings) -> Result<Self, KeyError> {
        let pem = "the public key in PEM";
        let (algorithm, expected, key) = match settings.algorithm {
            JwtAlgorithm::Hs256 => {
                (Algorithm::HS256, "the secret", Ok(DecodingKey::from_secret(&settings.key)))
            }
            JwtAlgorithm::Rs256 => {
                (Algorithm::RS256, pem, DecodingKey::from_rsa_pem(&settings.key))
            }
            JwtAlgorithm::Es256 => (Algorithm::ES256, pem, DecodingKey::from_ec_pem(&settings.key)),
            JwtAlgorithm::EdDsa => (Algorithm::EdDSA, pem, DecodingKey::from_ed_pem(&settings.key)),
        };
        let name = match settings.algorithm {
            JwtAlgorithm::Hs256 => "HS256",
            JwtAlgorithm::Rs256 => "RS256",
            JwtAlgorithm::Es256 => "ES256",
            JwtAlgorithm::EdDsa => "EdDSA",
        };
        let key = key.map_err(|source| KeyError { algorithm: name, expected, source })?;
        let mut validation = Validation::new(algorithm);
        validation.validate_exp = false;
        validation.validate_nbf = false;
        validation.set_required_spec_claims(&["exp", "sub"]);
        match &settings.audience {
            Some(audience) => {
                validation.set_audience(&[audience]);
                validation.required_spec_claims.insert("aud".to_owned());
            }
            // Without a configured audience a token's own is nobody's business here.
            None => validation.validate_aud = false,
        }
        Ok(Self { key, validation })
    }

    /// Who `token` speaks for at `now_ms` (milliseconds since 1970).
    ///
    /// # Errors
    /// [`TokenError`] says why it is not believed.
    pub fn verify(&self, token: &str, now_ms: u64) -> Result<Identity, TokenError> {
        let claims = jsonwebtoken::decode::<Claims>(token, &self.key, &self.validation)
            .map_err(|error| refusal(&error))?
            .claims;
        let expires_ms = claims.expires_ms()?;
        if expires_ms <= now_ms {
            return Err(TokenError::Expired);
        }
        if claims.not_before_ms()? > now_ms.saturating_add(LEEWAY_MS) {
            return Err(TokenError::NotYet);
        }
        check_user(&claims.sub).map_err(TokenError::Subject)?;
        let rights = claims.rights()?;
        Ok(Identity { user: claims.sub, expires_ms, rights })
    }
}

fn refusal(error: &jsonwebtoken::errors::Error) -> TokenError {
    match error.kind() {
        ErrorKind::InvalidSignature => TokenError::Signature,
        ErrorKind::InvalidAlgorithm | ErrorKind::InvalidAlgorithmName => TokenError::Algorithm,
        ErrorKind::InvalidAudience => TokenError::Audience,
        ErrorKind::MissingRequiredClaim(claim) if claim == "aud" => TokenError::Audience,
        ErrorKind::MissingRequiredClaim(claim) => {
            TokenError::Claims(format!("`{claim}` is missing"))
        }
        ErrorKind::Json(error) if error.is_data() => TokenError::Claims(error.to_string()),
        _ => TokenError::Malformed,
    }
}

#[cfg(test)]
mod tests;

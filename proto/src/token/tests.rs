use jsonwebtoken::{EncodingKey, Header};
use rcgen::{KeyPair, PKCS_ECDSA_P256_SHA256, PKCS_ED25519, PKCS_RSA_SHA256, SignatureAlgorithm};
use serde_json::{Value, json};

use super::*;

const NOW_S: u64 = 1_790_000_000;
const NOW_MS: u64 = NOW_S * 1000;
const SECRET: &[u8] = b"a secret of the tests, long enough";

fn hs256(audience: Option<&str>) -> TokenVerifier {
    verifier(JwtAlgorithm::Hs256, SECRET, audience)
}

fn verifier(algorithm: JwtAlgorithm, key: &[u8], audience: Option<&str>) -> TokenVerifier {
    let audience = audience.map(str::to_owned);
    TokenVerifier::new(&JwtSettings { algorithm, key: key.to_vec(), audience }).expect("key fits")
}

fn sign(claims: &Value) -> String {
    let key = EncodingKey::from_secret(SECRET);
    jsonwebtoken::encode(&Header::new(Algorithm::HS256), claims, &key).expect("signs")
}

fn alice() -> Value {
    json!({ "sub": "alice", "exp": NOW_S + 60 })
}

fn with(mut claims: Value, name: &str, value: Value) -> Value {
    claims[name] = value;
    claims
}

fn verify(claims: &Value) -> Result<Identity, TokenError> {
    hs256(None).verify(&sign(claims), NOW_MS)
}

#[test]
fn a_good_token_names_its_user_end_and_rights() {
    let rooms = json!([{ "pattern": "team-*", "can": ["join", "history"] }]);
    let identity = verify(&with(alice(), "rooms", rooms)).expect("good");
    assert_eq!(identity.user, "alice");
    assert_eq!(identity.expires_ms, NOW_MS + 60_000);
    let right =
        RoomRight { pattern: "team-*".to_owned(), join: true, publish: false, history: true };
    assert_eq!(identity.rights, Some(vec![right]));
    assert_eq!(verify(&alice()).expect("good").rights, None);
}

#[test]
fn each_algorithm_accepts_its_own_key_and_no_other() {
    type Signer = fn(&[u8]) -> jsonwebtoken::errors::Result<EncodingKey>;
    let cases: [(JwtAlgorithm, Algorithm, &'static SignatureAlgorithm, Signer); 3] = [
        (JwtAlgorithm::Rs256, Algorithm::RS256, &PKCS_RSA_SHA256, EncodingKey::from_rsa_pem),
        (JwtAlgorithm::Es256, Algorithm::ES256, &PKCS_ECDSA_P256_SHA256, EncodingKey::from_ec_pem),
        (JwtAlgorithm::EdDsa, Algorithm::EdDSA, &PKCS_ED25519, EncodingKey::from_ed_pem),
    ];
    for (ours, algorithm, kind, signer) in cases {
        let pair = KeyPair::generate_for(kind).expect("a key");
        let other = KeyPair::generate_for(kind).expect("a key");
        let token = |pair: &KeyPair| {
            let key = signer(pair.serialize_pem().as_bytes()).expect("a signing key");
            jsonwebtoken::encode(&Header::new(algorithm), &alice(), &key).expect("signs")
        };
        let verifier = verifier(ours, pair.public_key_pem().as_bytes(), None);
        assert_eq!(verifier.verify(&token(&pair), NOW_MS).expect("good").user, "alice");
        assert_eq!(verifier.verify(&token(&other), NOW_MS), Err(TokenError::Signature));
        assert_eq!(verifier.verify(&sign(&alice()), NOW_MS), Err(TokenError::Algorithm));
    }
}

#[test]
fn a_public_key_used_as_a_shared_secret_is_refused() {
    let pair = KeyPair::generate_for(&PKCS_RSA_SHA256).expect("a key");
    let public = pair.public_key_pem();
    let key = EncodingKey::from_secret(public.as_bytes());
    let token = jsonwebtoken::encode(&Header::new(Algorithm::HS256), &alice(), &key).expect("ok");
    let verifier = verifier(JwtAlgorithm::Rs256, public.as_bytes(), None);
    assert_eq!(verifier.verify(&token, NOW_MS), Err(TokenError::Algorithm));
}

#[test]
fn a_token_without_signature_is_refused() {
    let token = sign(&alice());
    let claims = token.split('.').nth(1).expect("three parts");
    // {"alg":"none"}
    let none = format!("eyJhbGciOiJub25lIn0.{claims}.");
    assert!(hs256(None).verify(&none, NOW_MS).is_err());
    let cut = &token[..token.rfind('.').expect("three parts") + 1];
    assert_eq!(hs256(None).verify(cut, NOW_MS), Err(TokenError::Signature));
}

#[test]
fn another_key_or_a_changed_claim_is_refused() {
    let other = verifier(JwtAlgorithm::Hs256, b"another secret, also long enough", None);
    assert_eq!(other.verify(&sign(&alice()), NOW_MS), Err(TokenError::Signature));
    let [mine, theirs] = [sign(&alice()), sign(&with(alice(), "sub", json!("bob")))];
    let mut parts: Vec<&str> = mine.split('.').collect();
    parts[1] = theirs.split('.').nth(1).expect("three parts");
    assert_eq!(hs256(None).verify(&parts.join("."), NOW_MS), Err(TokenError::Signature));
}

#[test]
fn time_is_the_callers() {
    let token = sign(&with(alice(), "nbf", json!(NOW_S)));
    let at = |s: u64| hs256(None).verify(&token, s * 1000).map(|identity| identity.user);
    assert_eq!(at(NOW_S - 6), Err(TokenError::NotYet));
    assert_eq!(at(NOW_S - 5), Ok("alice".to_owned()));
    assert_eq!(at(NOW_S + 59), Ok("alice".to_owned()));
    assert_eq!(at(NOW_S + 60), Err(TokenError::Expired));
}

#[test]
fn an_end_is_required() {
    let refused = verify(&json!({ "sub": "alice" })).expect_err("no exp");
    assert!(matches!(refused, TokenError::Claims(_)), "{refused}");
    for exp in [json!("tomorrow"), json!(-1), json!(1e300), json!(null)] {
        assert!(verify(&with(alice(), "exp", exp)).is_err());
    }
}

#[test]
fn a_configured_audience_must_be_named() {
    let verifier = hs256(Some("chat"));
    let at = |claims: &Value| verifier.verify(&sign(claims), NOW_MS).map(|identity| identity.user);
    assert_eq!(at(&with(alice(), "aud", json!("chat"))), Ok("alice".to_owned()));
    assert_eq!(at(&with(alice(), "aud", json!(["mail", "chat"]))), Ok("alice".to_owned()));
    assert_eq!(at(&with(alice(), "aud", json!("mail"))), Err(TokenError::Audience));
    assert_eq!(at(&alice()), Err(TokenError::Audience));
}

#[test]
fn a_subject_must_be_able_to_name_a_user() {
    for sub in [json!(""), json!("~x"), json!("a\nb"), json!("x".repeat(257))] {
        let refused = verify(&with(alice(), "sub", sub)).expect_err("bad sub");
        assert!(matches!(refused, TokenError::Subject(_)), "{refused}");
    }
    assert!(verify(&json!({ "exp": NOW_S + 60 })).is_err());
    assert!(verify(&with(alice(), "sub", json!(7))).is_err());
}

#[test]
fn a_malformed_rooms_claim_makes_the_token_bad() {
    for rooms in [
        json!("lobby"),
        json!([{ "pattern": "a*b", "can": ["join"] }]),
        json!([{ "pattern": "", "can": ["join"] }]),
        json!([{ "pattern": "a", "can": ["fly"] }]),
        json!([{ "pattern": "a" }]),
        json!([{ "pattern": "a", "can": ["join"], "cannot": [] }]),
    ] {
        let refused = verify(&with(alice(), "rooms", rooms.clone())).expect_err("malformed");
        assert!(matches!(refused, TokenError::Claims(_)), "{rooms}: {refused}");
    }
    let everything = json!([{ "pattern": "*", "can": ["join"] }]);
    assert!(verify(&with(alice(), "rooms", everything)).is_ok());
}

#[test]
fn what_is_no_token_at_all_is_refused() {
    for token in ["", ".", "a.b", "a.b.c", "a.b.c.d", "ä.ö.ü"] {
        assert!(hs256(None).verify(token, NOW_MS).is_err(), "{token}");
    }
}

#[test]
fn a_key_of_another_kind_is_noticed_at_the_start() {
    let settings =
        JwtSettings { algorithm: JwtAlgorithm::Es256, key: SECRET.to_vec(), audience: None };
    let refused = TokenVerifier::new(&settings).expect_err("no PEM").to_string();
    assert!(refused.contains("ES256") && refused.contains("public key in PEM"), "{refused}");
}

//! `[auth]`: whether names are believed or tokens are checked, and by which key.

use super::table::{Field, Table};
use crate::settings::{Auth, JwtAlgorithm, JwtSettings};
use crate::value::{Wrong, pem, secret};

const EXAMPLE: &str = "{ algorithm = \"HS256\", key = \"${JWT_KEY}\" }";

enum Mode {
    Open,
    Jwt,
}

/// The mode that the table sets; none if it is wrong.
pub(crate) fn read(table: &mut Table<'_>) -> Option<Auth> {
    let mode = table.field("mode");
    let chosen = match &mode {
        None => Some(Mode::Open),
        Some(field) => field.judge(|f| match f.text()? {
            "open" => Ok(Mode::Open),
            "jwt" => Ok(Mode::Jwt),
            other => Err(Wrong::new(format!("is {other:?}"), "write \"open\" or \"jwt\"")),
        }),
    };
    let has_jwt = table.field("jwt").is_some();
    // Read in either mode: a mistake that waits for the mode to change is one all the same.
    let jwt = table.section("jwt", read_jwt).flatten();
    match (chosen?, mode) {
        (Mode::Jwt, Some(mode)) if !has_jwt => {
            mode.report(&format!("is \"jwt\", but auth.jwt is missing; write jwt = {EXAMPLE}"));
            None
        }
        (Mode::Jwt, _) => jwt.map(Auth::Jwt),
        // Who writes down a key doesn't mean to believe every name.
        (Mode::Open, None) if has_jwt => {
            table.report("auth.jwt is set but auth.mode is not; write mode = \"jwt\"");
            None
        }
        (Mode::Open, _) => Some(Auth::Open),
    }
}

fn read_jwt(table: &mut Table<'_>) -> Option<JwtSettings> {
    let algorithm = table.require("algorithm", "\"HS256\"", algorithm);
    let text = table.require("key", "\"${JWT_KEY}\"", |f| {
        let text = secret(f)?;
        // Without an algorithm there is nothing more to say about the key.
        algorithm.map(|algorithm| pem::public_key(&text, algorithm)).transpose()
    });
    let audience = table.read("audience", |f| match f.text()? {
        "" => Err(Wrong::new("is empty", "write what a token's aud must name, or leave it out")),
        audience => Ok(audience.to_owned()),
    });
    Some(JwtSettings { algorithm: algorithm?, key: text??, audience })
}

fn algorithm(field: &Field<'_>) -> Result<JwtAlgorithm, Wrong> {
    match field.text()? {
        "HS256" => Ok(JwtAlgorithm::Hs256),
        "RS256" => Ok(JwtAlgorithm::Rs256),
        "ES256" => Ok(JwtAlgorithm::Es256),
        "EdDSA" => Ok(JwtAlgorithm::EdDsa),
        other => Err(Wrong::new(
            format!("is {other:?}"),
            "write \"HS256\", \"RS256\", \"ES256\" or \"EdDSA\"",
        )),
    }
}

/// A string that may say where the secret stands instead of being it.
pub(crate) fn secret(field: &Field<'_>) -> Result<String, Wrong> {
    secret::resolve(field.text()?, field.source().folder(), field.source().environment())
}

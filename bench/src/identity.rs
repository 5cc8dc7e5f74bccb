//! As whom a client connects.

use std::time::{SystemTime, UNIX_EPOCH};

use jsonwebtoken::{Algorithm, EncodingKey, Header, encode};
use serde::Serialize;

use crate::plan::Plan;

/// How long a client's token is valid.
const TOKEN_SECONDS: u64 = 24 * 60 * 60;

/// As whom a client connects, and by what it wants to be placed.
#[derive(Clone, Debug)]
pub struct Identity {
    /// Its name.
    pub user: String,
    /// The room that places the connection, if it isn't the user.
    pub room: Option<String>,
    /// What proves the name.
    pub token: Option<String>,
}

#[derive(Serialize)]
struct Claims<'a> {
    sub: &'a str,
    exp: u64,
}

impl Identity {
    /// # Errors
    /// If the token can't be signed.
    pub(crate) fn of(plan: &Plan, client: usize) -> Result<Self, String> {
        let user = plan.user(client);
        let room = plan.by_room.then(|| plan.room(plan.room_of(client)));
        let sign = |key: &Vec<u8>| {
            let now = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |now| now.as_secs());
            let claims = Claims { sub: &user, exp: now + TOKEN_SECONDS };
            encode(&Header::new(Algorithm::HS256), &claims, &EncodingKey::from_secret(key))
                .map_err(|error| format!("cannot sign a token: {error}"))
        };
        let token = plan.jwt_key.as_ref().map(sign).transpose()?;
        Ok(Self { user, room, token })
    }

    /// What the query of the connection says. The user is there beside the token too: balancers
    /// hash by it.
    pub(crate) fn query(&self) -> String {
        let mut query = format!("user={}", self.user);
        for (name, value) in [("room", &self.room), ("token", &self.token)] {
            if let Some(value) = value {
                query.push('&');
                query.push_str(name);
                query.push('=');
                query.push_str(value);
            }
        }
        query
    }
}

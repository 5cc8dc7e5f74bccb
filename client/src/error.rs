//! What can go wrong, by who finds it: connecting, a request, or the bare wire.

use std::time::Duration;

use serde::{Deserialize, Serialize};
use tokio_tungstenite::tungstenite::http::StatusCode;

use crate::{Closed, Malformed};

/// The server's reason to refuse a request.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ErrorCode {
    /// The request is not as the protocol says.
    BadRequest,
    /// The server knows no request of this type.
    UnknownType,
    /// The room must be joined first.
    NotJoined,
    /// The token gives no right to this.
    Forbidden,
    /// An ID or a key is too long.
    TooLarge,
    /// Too many requests in too short a time.
    RateLimited,
    /// The session is in as many rooms as it may be.
    TooManyRooms,
    /// The owner can't be reached now; try again.
    Unavailable,
    /// The server's mistake.
    Internal,
    /// A code that this client doesn't know yet.
    #[serde(untagged)]
    Other(String),
}

/// Why there is no connection.
#[derive(Debug, thiserror::Error)]
pub enum ConnectError {
    /// The options make no URL.
    #[error("{url:?} is no address to connect to ({why}); give one like ws://127.0.0.1:8080")]
    Url {
        /// What was given.
        url: String,
        /// What is wrong with it.
        why: String,
    },
    /// `wss://`, which needs a stream that the program opens.
    #[error("this client opens no TLS itself; open the stream and give it to connect_over")]
    NeedsTls,
    /// The deadline passed before the server's `welcome`.
    #[error("no welcome within {0:?}; check that a router listens there and its shards are up")]
    Timeout(Duration),
    /// The network failed.
    #[error("can't reach the server; check the address and that it runs")]
    Io(#[from] std::io::Error),
    /// The server answered the upgrade with another status: 400 for a bad ID, 403 for a bad Origin.
    #[error("the server refused the connection with {status}: {message}")]
    Refused {
        /// The HTTP status.
        status: StatusCode,
        /// The body of the response.
        message: String,
    },
    /// The server accepted and closed, as it does with 4001 for a bad token.
    #[error(transparent)]
    Closed(#[from] Closed),
    /// What answers is no WebSocket server.
    #[error("the server doesn't speak WebSocket; check the address")]
    Handshake(#[source] Box<tokio_tungstenite::tungstenite::Error>),
    /// What answers is no `trunkline.v1` server.
    #[error("the server doesn't speak trunkline.v1: it began with {0}, not with a welcome")]
    NotWelcome(String),
}

/// Why a request has no reply.
#[derive(Debug, thiserror::Error)]
pub enum RequestError {
    /// The server refused it.
    #[error("{message}")]
    Refused {
        /// Why, for programs.
        code: ErrorCode,
        /// Why, for people.
        message: String,
    },
    /// The connection ended first. Whether the server has acted on the request is not known.
    #[error(transparent)]
    Closed(#[from] Closed),
    /// No reply came in time. Whether the server has acted on the request is not known.
    #[error("no reply within {0:?}; the server may be overloaded, try again with the same key")]
    Timeout(Duration),
    /// No reply came in time because this program doesn't read its events, and what waits behind
    /// them, the reply too, can't be read before.
    #[error("no reply within {0:?} as the events are not read; read them while requesting")]
    EventsNotRead(Duration),
    /// The data of the request can't be JSON.
    #[error("the data can't be JSON; check for maps whose keys are not strings")]
    Encode(#[source] serde_json::Error),
    /// The reply is not as the protocol says.
    #[error("the server's reply is not as trunkline.v1 says; check the versions of both")]
    Reply(#[source] serde_json::Error),
}

impl RequestError {
    /// The server's code, where it was the server who refused.
    #[must_use]
    pub fn code(&self) -> Option<&ErrorCode> {
        match self {
            Self::Refused { code, .. } => Some(code),
            _ => None,
        }
    }
}

/// Why [`Wire`](crate::Wire) has nothing more to give.
#[derive(Debug, thiserror::Error)]
pub enum WireError {
    /// The connection has ended.
    #[error(transparent)]
    Closed(#[from] Closed),
    /// Nothing came, or nothing could be sent, in time.
    #[error("nothing moved on the wire within {0:?}")]
    Timeout(Duration),
    /// A frame came that no server of the protocol sends.
    #[error(transparent)]
    Malformed(#[from] Malformed),
    /// What was to be sent can't be JSON.
    #[error("the object can't be JSON")]
    Encode(#[source] serde_json::Error),
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn codes_have_the_names_of_the_protocol_and_unknown_ones_are_kept() {
        let code: ErrorCode = serde_json::from_str("\"too_many_rooms\"").unwrap();
        assert_eq!(code, ErrorCode::TooManyRooms);
        let code: ErrorCode = serde_json::from_str("\"out_of_tea\"").unwrap();
        assert_eq!(code, ErrorCode::Other("out_of_tea".to_owned()));
    }
}

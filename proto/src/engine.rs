//! Engine.IO protocol 4 as far as routers and shards both speak it: packets as texts, the open
//! packet, and the errors of the handshake. Who sends which when is decided by each of them, and
//! what a message says by the core.

use base64::Engine as _;
use base64::alphabet::STANDARD;
use base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig};
use bytes::Bytes;
use trunkline_config::settings::SocketIo;

/// What is between the packets of a polling payload.
pub const SEPARATOR: u8 = 0x1e;
/// Asks a client whether it is there.
pub const PING: &str = "2";
/// Says that nothing more comes.
pub const CLOSE: &str = "1";
/// Says nothing; it ends a poll.
pub const NOOP: &str = "6";
/// What a client asks over a WebSocket before it changes to it.
pub const PROBE: &[u8] = b"probe";
/// The answer to it.
pub const PROBED: &str = "3probe";

/// Node's decoder, which the reference uses, asks for no padding.
const BASE64: GeneralPurpose = GeneralPurpose::new(
    &STANDARD,
    GeneralPurposeConfig::new()
        .with_decode_padding_mode(DecodePaddingMode::Indifferent)
        .with_decode_allow_trailing_bits(true),
);

/// A packet of a client.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Packet {
    /// `0`
    Open,
    /// `1`: it has nothing more to say.
    Close,
    /// `2`, with what follows.
    Ping(Bytes),
    /// `3`: it is there.
    Pong,
    /// `4`: a message, without the type.
    Message(Bytes),
    /// `b`: a binary message, which polling writes in base64.
    Binary(Bytes),
    /// `5`: the change to the transport that this came by.
    Upgrade,
    /// `6`
    Noop,
}

/// A text that is no packet.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("not a packet of Engine.IO 4; speak protocol 4")]
pub struct NotAPacket;

impl Packet {
    /// Reads a packet from the bytes of a text.
    ///
    /// # Errors
    /// [`NotAPacket`] for an unknown type, none at all, or what is no base64.
    pub fn decode(text: &Bytes) -> Result<Self, NotAPacket> {
        let rest = || text.slice(1..);
        Ok(match text.first().ok_or(NotAPacket)? {
            b'0' => Self::Open,
            b'1' => Self::Close,
            b'2' => Self::Ping(rest()),
            b'3' => Self::Pong,
            b'4' => Self::Message(rest()),
            b'5' => Self::Upgrade,
            b'6' => Self::Noop,
            b'b' => Self::Binary(BASE64.decode(&text[1..]).map_err(|_| NotAPacket)?.into()),
            _ => return Err(NotAPacket),
        })
    }
}

/// How many bytes [`encode_binary`] writes.
#[must_use]
pub fn binary_size(payload: usize) -> usize {
    1 + payload.div_ceil(3) * 4
}

/// Writes a binary message as polling has it.
#[must_use]
pub fn encode_binary(payload: &[u8]) -> String {
    let mut text = String::with_capacity(binary_size(payload.len()));
    text.push('b');
    BASE64.encode_string(payload, &mut text);
    text
}

/// The first packet to a client. `may_upgrade` offers the WebSocket to one that polls.
#[must_use]
pub fn open_packet(sid: &str, may_upgrade: bool, settings: &SocketIo) -> String {
    let upgrades = if may_upgrade { "\"websocket\"" } else { "" };
    format!(
        "0{{\"sid\":\"{sid}\",\"upgrades\":[{upgrades}],\"pingInterval\":{},\"pingTimeout\":{},\
         \"maxPayload\":{}}}",
        settings.ping_interval.as_millis(),
        settings.ping_timeout.as_millis(),
        settings.max_http_buffer_size,
    )
}

/// Why a request is refused, with the numbers of the reference server.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Problem {
    /// 0
    UnknownTransport,
    /// 1
    UnknownSession,
    /// 2
    BadHandshakeMethod,
    /// 3
    BadRequest,
    /// 4
    Forbidden,
    /// 5
    UnsupportedProtocol,
}

impl Problem {
    /// The number that clients are told.
    #[must_use]
    pub fn code(self) -> u8 {
        self as u8
    }

    /// The HTTP status.
    #[must_use]
    pub fn status(self) -> u16 {
        if self == Self::Forbidden { 403 } else { 400 }
    }

    /// The words that clients are told.
    #[must_use]
    pub fn message(self) -> &'static str {
        match self {
            Self::UnknownTransport => "Transport unknown",
            Self::UnknownSession => "Session ID unknown",
            Self::BadHandshakeMethod => "Bad handshake method",
            Self::BadRequest => "Bad request",
            Self::Forbidden => "Forbidden",
            Self::UnsupportedProtocol => "Unsupported protocol version",
        }
    }

    /// The body of the answer, in JSON.
    #[must_use]
    pub fn body(self) -> String {
        format!("{{\"code\":{},\"message\":\"{}\"}}", self.code(), self.message())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn decode(text: &'static str) -> Result<Packet, NotAPacket> {
        Packet::decode(&Bytes::from_static(text.as_bytes()))
    }

    #[test]
    fn a_packet_is_known_by_its_first_character() {
        assert_eq!(decode("4hi"), Ok(Packet::Message("hi".into())));
        assert_eq!(decode("4"), Ok(Packet::Message(Bytes::new())));
        assert_eq!(decode("2probe"), Ok(Packet::Ping("probe".into())));
        assert_eq!(decode("5"), Ok(Packet::Upgrade));
        for wrong in ["", "7", "abc", "ü", "b%", "bA"] {
            assert_eq!(decode(wrong), Err(NotAPacket), "{wrong}");
        }
    }

    #[test]
    fn a_binary_message_is_read_with_or_without_padding() {
        assert_eq!(encode_binary(&[1, 2, 3, 4]), "bAQIDBA==");
        for text in ["bAQIDBA==", "bAQIDBA"] {
            assert_eq!(decode(text), Ok(Packet::Binary(vec![1, 2, 3, 4].into())));
        }
        for length in 0..8 {
            assert_eq!(encode_binary(&vec![7; length]).len(), binary_size(length));
        }
    }

    #[test]
    fn the_open_packet_is_that_of_the_reference() {
        let settings = SocketIo::default();
        assert_eq!(
            open_packet("abc", true, &settings),
            r#"0{"sid":"abc","upgrades":["websocket"],"pingInterval":25000,"pingTimeout":20000,"maxPayload":1000000}"#
        );
        assert!(open_packet("abc", false, &settings).contains(r#""upgrades":[],"#));
    }

    #[test]
    fn problems_have_the_numbers_of_the_reference() {
        assert_eq!(Problem::UnknownSession.body(), r#"{"code":1,"message":"Session ID unknown"}"#);
        assert_eq!(Problem::UnsupportedProtocol.code(), 5);
        assert_eq!((Problem::Forbidden.status(), Problem::BadRequest.status()), (403, 400));
    }
}

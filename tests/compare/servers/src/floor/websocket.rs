//! WebSockets by hand: the upgrade, and frames both ways.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use sha1::{Digest, Sha1};

pub(crate) const TEXT: u8 = 1;
pub(crate) const CLOSE: u8 = 8;
pub(crate) const PING: u8 = 9;
pub(crate) const PONG: u8 = 10;

const LARGEST: usize = 1_000_000;
const LARGEST_HEAD: usize = 16 * 1024;

/// What no client of good will sends.
#[derive(Debug, PartialEq)]
pub(crate) struct Bad;

/// A request to speak WebSocket: where, and the answer.
#[derive(Debug)]
pub(crate) struct Upgrade {
    pub(crate) target: String,
    pub(crate) answer: Vec<u8>,
    /// How many bytes it took.
    pub(crate) length: usize,
}

/// Reads a request, if it is whole.
pub(crate) fn upgrade(input: &[u8]) -> Result<Option<Upgrade>, Bad> {
    let Some(end) = input.windows(4).position(|bytes| bytes == b"\r\n\r\n") else {
        return if input.len() > LARGEST_HEAD { Err(Bad) } else { Ok(None) };
    };
    let head = std::str::from_utf8(&input[..end]).map_err(|_| Bad)?;
    let mut lines = head.split("\r\n");
    let mut words = lines.next().unwrap_or_default().split(' ');
    let (Some("GET"), Some(target)) = (words.next(), words.next()) else { return Err(Bad) };
    let headers: Vec<(&str, &str)> = lines.filter_map(|line| line.split_once(':')).collect();
    let header = |name: &str| {
        let mut of_name = headers.iter().filter(|header| header.0.eq_ignore_ascii_case(name));
        of_name.next().map(|header| header.1.trim())
    };
    let mut hash = Sha1::new();
    hash.update(header("Sec-WebSocket-Key").ok_or(Bad)?);
    hash.update("258EAFA5-E914-47DA-95CA-C5AB0DC85B11");
    let accept = STANDARD.encode(hash.finalize());
    // The one subprotocol of Trunkline's own clients, whose libraries insist on an answer.
    let offered = header("Sec-WebSocket-Protocol").is_some_and(|it| it.contains("trunkline.v1"));
    let protocol = if offered { "Sec-WebSocket-Protocol: trunkline.v1\r\n" } else { "" };
    let answer = format!(
        "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
         Sec-WebSocket-Accept: {accept}\r\n{protocol}\r\n"
    );
    Ok(Some(Upgrade { target: target.to_owned(), answer: answer.into_bytes(), length: end + 4 }))
}

/// A frame, without its mask.
#[derive(Debug, PartialEq)]
pub(crate) struct Frame<'a> {
    pub(crate) kind: u8,
    pub(crate) payload: &'a [u8],
    /// How many bytes it took.
    pub(crate) length: usize,
}

/// Reads a client's frame, if it is whole. Messages in fragments are not taken: no client of ours
/// sends them.
pub(crate) fn frame(input: &mut [u8]) -> Result<Option<Frame<'_>>, Bad> {
    let [first, second, ..] = *input else { return Ok(None) };
    if first & 0xf0 != 0x80 || second & 0x80 == 0 {
        return Err(Bad);
    }
    let (size, start) = match second & 0x7f {
        126 => match *input {
            [_, _, a, b, ..] => (usize::from(u16::from_be_bytes([a, b])), 4),
            _ => return Ok(None),
        },
        127 => match *input {
            [_, _, 0, 0, 0, 0, a, b, c, d, ..] => {
                (usize::try_from(u32::from_be_bytes([a, b, c, d])).map_err(|_| Bad)?, 10)
            }
            _ => return if input.len() < 10 { Ok(None) } else { Err(Bad) },
        },
        size => (usize::from(size), 2),
    };
    if size > LARGEST {
        return Err(Bad);
    }
    let length = start + 4 + size;
    let Some(body) = input.get_mut(start..length) else { return Ok(None) };
    let (mask, payload) = body.split_at_mut(4);
    let mask = [mask[0], mask[1], mask[2], mask[3]];
    for (byte, mask) in payload.iter_mut().zip(mask.into_iter().cycle()) {
        *byte ^= mask;
    }
    Ok(Some(Frame { kind: first & 0x0f, payload, length }))
}

/// A server's frame.
pub(crate) fn framed(kind: u8, payload: &[u8]) -> Vec<u8> {
    let mut frame = Vec::with_capacity(payload.len() + 10);
    frame.push(0x80 | kind);
    match (u8::try_from(payload.len()), u16::try_from(payload.len())) {
        (Ok(size @ 0..=125), _) => frame.push(size),
        (_, Ok(size)) => {
            frame.push(126);
            frame.extend_from_slice(&size.to_be_bytes());
        }
        _ => {
            frame.push(127);
            frame.extend_from_slice(&(payload.len() as u64).to_be_bytes());
        }
    }
    frame.extend_from_slice(payload);
    frame
}

#[cfg(test)]
mod tests {
    use super::*;

    fn masked(kind: u8, payload: &[u8]) -> Vec<u8> {
        let mut frame = framed(kind, payload);
        let start = frame.len() - payload.len();
        frame[1] |= 0x80;
        let mask = [7, 0, 255, 90];
        for (byte, mask) in frame[start..].iter_mut().zip(mask.into_iter().cycle()) {
            *byte ^= mask;
        }
        frame.splice(start..start, mask);
        frame
    }

    #[test]
    fn frames_of_every_size_are_read_once_they_are_whole() {
        for size in [0, 1, 125, 126, 65_535, 65_536, LARGEST] {
            let payload = vec![b'x'; size];
            let whole = masked(TEXT, &payload);
            for short in [0, 1, 2, 5, 9, 13, whole.len() - 1] {
                if short < whole.len() {
                    assert_eq!(frame(&mut whole[..short].to_vec()), Ok(None), "{short} of {size}");
                }
            }
            let mut more = [whole.clone(), b"more".to_vec()].concat();
            let read = frame(&mut more).unwrap().unwrap();
            assert_eq!((read.kind, read.payload, read.length), (TEXT, &payload[..], whole.len()));
        }
        assert_eq!(frame(&mut masked(TEXT, &vec![0; LARGEST + 1])), Err(Bad));
        assert_eq!(frame(&mut framed(TEXT, b"without a mask")), Err(Bad));
        assert_eq!(frame(&mut [0x01, 0x80, 0, 0, 0, 0]), Err(Bad));
        assert_eq!(frame(&mut [0x81, 0xff, 1, 0, 0, 0, 0, 0, 0, 0]), Err(Bad));
    }

    #[test]
    fn the_example_of_the_standard_is_answered_as_there() {
        let request = b"GET /ws?user=a HTTP/1.1\r\nsec-websocket-key: dGhlIHNhbXBsZSBub25jZQ==\r\n";
        assert!(upgrade(request).unwrap().is_none());
        let whole = upgrade(&[request, &b"\r\nmore"[..]].concat()).unwrap().unwrap();
        assert_eq!((&whole.target[..], whole.length), ("/ws?user=a", request.len() + 2));
        let answer = String::from_utf8(whole.answer).unwrap();
        assert!(answer.contains("Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n"));
        assert_eq!(upgrade(b"POST / HTTP/1.1\r\n\r\n").unwrap_err(), Bad);
        assert_eq!(upgrade(&[b'x'; LARGEST_HEAD + 1]).unwrap_err(), Bad);
    }
}

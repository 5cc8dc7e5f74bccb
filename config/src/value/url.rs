//! URLs: the one of an HTTP endpoint, and the path under which something is served.
//!
//! What can't be part of a request's target is refused, so that whoever uses a checked URL need
//! not expect a failure. Whether anything answers there is not judged.

use super::{Wrong, network};

/// The first segments of the router's own paths.
const TAKEN: [&str; 6] = ["ws", "echo", "api", "demo", "healthz", "readyz"];

/// An absolute `http` or `https` URL. User, password and fragment have no place in it.
pub(crate) fn http(text: &str) -> Result<String, Wrong> {
    let rest = text.strip_prefix("http://").or_else(|| text.strip_prefix("https://"));
    let is_good = rest.is_some_and(|rest| {
        let (authority, target) = rest.split_at(rest.find(['/', '?']).unwrap_or(rest.len()));
        network::is_authority(authority) && target.bytes().all(|b| is_plain(b) || b == b'?')
    });
    if is_good {
        return Ok(text.to_owned());
    }
    Err(Wrong::new(
        format!("is {text:?}, which is not an http or https URL"),
        "write one such as \"https://app.example.com/events\"",
    ))
}

/// The URL of a NATS server.
pub(crate) fn nats(field: &str) -> Result<String, Wrong> {
    let rest = field.strip_prefix("nats://").or_else(|| field.strip_prefix("tls://"));
    if rest.is_some_and(network::is_authority) {
        return Ok(field.to_owned());
    }
    Err(Wrong::new(
        format!("is {field:?}, which is not a NATS server's URL"),
        "write one such as \"nats://10.0.0.1:4222\", or tls:// in place of nats://",
    ))
}

/// A path with a slash at both ends that no other page of the router has.
pub(crate) fn served_path(text: &str) -> Result<String, Wrong> {
    let wrong = |what: &str| {
        Wrong::new(format!("is {text:?}, {what}"), "write a path such as \"/socket.io/\"")
    };
    let inner = text
        .strip_prefix('/')
        .and_then(|rest| rest.strip_suffix('/'))
        .ok_or_else(|| wrong("which does not begin and end with a slash of its own"))?;
    if inner.split('/').any(str::is_empty) {
        return Err(wrong("which has an empty segment"));
    }
    if !inner.bytes().all(|b| is_plain(b) && b != b'%') {
        return Err(wrong("which has characters that a path can't have"));
    }
    // Segments of dots are resolved by browsers before they ask.
    if inner.split('/').any(|segment| segment == "." || segment == "..") {
        return Err(wrong("which has a segment of dots"));
    }
    match inner.split('/').next() {
        Some(first) if TAKEN.contains(&first) => {
            Err(wrong(&format!("but what begins with /{first} is served already")))
        }
        _ => Ok(text.to_owned()),
    }
}

/// Whether a byte may stand in a URL's path: RFC 3986 §3.3, with `%` and `/`.
fn is_plain(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b"-._~!$&'()*+,;=:@%/".contains(&byte)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_endpoint_is_an_absolute_http_or_https_url() {
        for text in [
            "http://127.0.0.1:3000",
            "https://app.example.com/events",
            "http://[::1]:80/a%20b?c=d",
            "https://app.internal?x=1",
        ] {
            assert_eq!(http(text).as_deref(), Ok(text));
        }
        for text in [
            "",
            "app.example.com",
            "ftp://a",
            "http://",
            "http:///x",
            "http://a:99999/",
            "http://u:p@a/",
            "http://a/#b",
            "http://a/b c",
            "http://a/ü",
            "HTTP//a",
        ] {
            assert!(http(text).is_err(), "{text:?} was taken");
        }
    }

    #[test]
    fn a_served_path_has_a_slash_at_both_ends_and_is_nobody_else_s() {
        for text in ["/socket.io/", "/a/b/", "/wsx/", "/chat/ws/"] {
            assert_eq!(served_path(text).as_deref(), Ok(text));
        }
        for (text, why) in [
            ("", "slash"),
            ("/", "slash"),
            ("/socket.io", "slash"),
            ("socket.io/", "slash"),
            ("//", "empty segment"),
            ("/a//b/", "empty segment"),
            ("/a b/", "characters"),
            ("/a?b/", "characters"),
            ("/a%20b/", "characters"),
            ("/a/../b/", "dots"),
            ("/ws/", "/ws is served"),
            ("/echo/", "/echo is served"),
            ("/api/", "/api is served"),
            ("/demo/x/", "/demo is served"),
            ("/healthz/", "/healthz is served"),
            ("/readyz/", "/readyz is served"),
        ] {
            let wrong = served_path(text).unwrap_err().to_string();
            assert!(wrong.contains(why), "{text:?}: {wrong}");
        }
    }
}

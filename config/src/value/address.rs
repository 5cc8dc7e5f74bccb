//! Addresses: `IP:PORT` to listen on, `HOST:PORT` to be reached at.

use std::net::{Ipv4Addr, SocketAddr};

use super::Wrong;

/// An address that this process binds: an IP and a port, with no name to resolve.
pub(crate) fn listen(text: &str) -> Result<SocketAddr, Wrong> {
    text.parse().map_err(|_| {
        Wrong::new(
            format!("is {text:?}, which is not IP:PORT"),
            "write an address such as \"127.0.0.1:8080\" or \"[::1]:8080\"",
        )
    })
}

/// An address that others dial: an IP or the name of a host, and a port.
pub(crate) fn reachable(text: &str) -> Result<String, Wrong> {
    if text.parse::<SocketAddr>().is_ok() {
        return Ok(text.to_owned());
    }
    match text.rsplit_once(':') {
        Some((host, port)) if is_host_name(host) && port.parse::<u16>().is_ok() => {
            Ok(text.to_owned())
        }
        _ => Err(Wrong::new(
            format!("is {text:?}, which is not HOST:PORT"),
            "write an address such as \"127.0.0.1:7101\" or \"shard-a.internal:7101\"",
        )),
    }
}

/// Whether a checked `HOST:PORT` can only be reached from its own machine.
pub(crate) fn is_loopback(address: &str) -> bool {
    if let Ok(address) = address.parse::<SocketAddr>() {
        return address.ip().to_canonical().is_loopback();
    }
    address.rsplit_once(':').is_some_and(|(host, _)| host.eq_ignore_ascii_case("localhost"))
}

/// Whether a checked `HOST:PORT` leaves the port open.
pub(crate) fn has_port_zero(address: &str) -> bool {
    address.rsplit_once(':').is_some_and(|(_, port)| port.parse::<u16>() == Ok(0))
}

/// Whether this is a host's name: RFC 1123 §2.1. All digits and dots would be a mistyped IP.
pub(crate) fn is_host_name(host: &str) -> bool {
    let label = |label: &str| {
        (1..=63).contains(&label.len())
            && label.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-' || b == b'_')
            && !label.starts_with('-')
            && !label.ends_with('-')
    };
    let looks_like_ip = host.bytes().all(|b| b.is_ascii_digit() || b == b'.');
    host.len() <= 253
        && (host.parse::<Ipv4Addr>().is_ok() || (!looks_like_ip && host.split('.').all(label)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_to_dial_are_ips_or_names_with_a_port() {
        for text in ["127.0.0.1:7101", "[::1]:7101", "localhost:0", "shard-a.internal:65535"] {
            assert_eq!(reachable(text).as_deref(), Ok(text));
        }
        for text in [
            "",
            "7101",
            ":7101",
            "a:",
            "a:65536",
            "1.2.3:7101",
            "::1:7101",
            "a b:1",
            "-a:1",
            "a..b:1",
        ] {
            assert!(reachable(text).is_err(), "{text:?} was taken");
        }
    }

    #[test]
    fn an_address_to_listen_on_is_never_a_name() {
        assert!(listen("127.0.0.1:0").is_ok());
        let wrong = listen("localhost:8080").unwrap_err().to_string();
        assert!(wrong.contains("\"127.0.0.1:8080\""), "{wrong}");
    }

    #[test]
    fn only_loopback_ips_and_localhost_stay_on_the_machine() {
        for text in ["127.0.0.1:1", "127.8.8.8:1", "[::1]:1", "[::ffff:127.0.0.1]:1", "LocalHost:1"]
        {
            assert!(is_loopback(text), "{text}");
        }
        for text in ["10.0.0.1:1", "0.0.0.0:1", "[::]:1", "localhost.example:1", "a:1"] {
            assert!(!is_loopback(text), "{text}");
        }
    }
}

//! Who may connect, and whose word is believed: origins and networks.

use std::net::{IpAddr, Ipv6Addr};

use ipnet::IpNet;

use super::{Wrong, address};

/// An origin as browsers send it (RFC 6454 §6.2): `scheme://host[:port]`, made lower case.
pub(crate) fn origin(text: &str) -> Result<String, Wrong> {
    let wrong = || {
        Wrong::new(
            format!("is {text:?}, which is not an origin"),
            "write scheme://host[:port] with no path, such as \"https://chat.example.com\"",
        )
    };
    let (scheme, authority) = text.split_once("://").ok_or_else(wrong)?;
    let scheme_is_good = scheme.starts_with(|c: char| c.is_ascii_alphabetic())
        && scheme.bytes().all(|b| b.is_ascii_alphanumeric() || b"+-.".contains(&b));
    if scheme_is_good && is_authority(authority) {
        Ok(text.to_ascii_lowercase())
    } else {
        Err(wrong())
    }
}

/// Whether this is `HOST` or `HOST:PORT`, as in a URL.
pub(crate) fn is_authority(authority: &str) -> bool {
    let (host, port) = match authority.strip_prefix('[') {
        Some(rest) => match rest.split_once(']') {
            Some((ip, port)) if ip.parse::<Ipv6Addr>().is_ok() => ("ip", port),
            _ => return false,
        },
        None => authority.split_at(authority.find(':').unwrap_or(authority.len())),
    };
    let port_is_good = port.is_empty()
        || port.strip_prefix(':').is_some_and(|port| port.parse::<u16>().is_ok_and(|p| p > 0));
    address::is_host_name(host) && port_is_good
}

/// A network in CIDR notation; a lone address is the network of itself.
pub(crate) fn network(text: &str) -> Result<IpNet, Wrong> {
    let lone = || text.parse::<IpAddr>().ok().map(IpNet::from);
    text.parse().ok().or_else(lone).ok_or_else(|| {
        Wrong::new(
            format!("is {text:?}, which is not a network"),
            "write ADDRESS/BITS, such as \"10.0.0.0/8\"",
        )
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn origins_are_scheme_host_and_port() {
        for text in
            ["https://chat.example.com", "http://127.0.0.1:8080", "http://[::1]:80", "app://x"]
        {
            assert_eq!(origin(text).as_deref(), Ok(text));
        }
        assert_eq!(origin("HTTPS://Chat.Example").as_deref(), Ok("https://chat.example"));
    }

    #[test]
    fn what_no_browser_would_send_is_refused() {
        for text in [
            "",
            "chat.example.com",
            "https://",
            "https://a/",
            "https://a/b",
            "https://a:0",
            "https://a:x",
            "https://*.example.com",
            "https://u@a",
            "://a",
            "http://[::1",
            "*",
            "null",
        ] {
            assert!(origin(text).is_err(), "{text:?} was taken");
        }
    }

    #[test]
    fn networks_are_cidrs_or_single_addresses() {
        assert_eq!(network("10.0.0.0/8").map(|n| n.prefix_len()), Ok(8));
        assert_eq!(network("::1").map(|n| n.prefix_len()), Ok(128));
        for text in ["", "10.0.0.0/33", "10.0.0/8", "localhost"] {
            assert!(network(text).is_err(), "{text:?} was taken");
        }
    }
}

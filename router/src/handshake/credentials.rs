//! Where a request's token is, and whose address it came from.

use std::net::IpAddr;

use hyper::header::{AUTHORIZATION, HeaderMap, HeaderName};
use ipnet::IpNet;

const FORWARDED_FOR: HeaderName = HeaderName::from_static("x-forwarded-for");

/// The token of `Authorization: Bearer` (RFC 6750 §2.1).
pub(crate) fn bearer(headers: &HeaderMap) -> Option<&str> {
    let (scheme, token) = headers.get(AUTHORIZATION)?.to_str().ok()?.split_once(' ')?;
    scheme.eq_ignore_ascii_case("bearer").then(|| token.trim_start())
}

/// The client's address for logs: the last one of `X-Forwarded-For` that no trusted proxy has,
/// if the peer is such a proxy. What is before it could have been made up by the client.
pub(super) fn client_address(headers: &HeaderMap, peer: IpAddr, trusted: &[IpNet]) -> IpAddr {
    let is_trusted = |address: IpAddr| trusted.iter().any(|net| net.contains(&address));
    let mut client = peer;
    let values: Vec<&str> =
        headers.get_all(FORWARDED_FOR).iter().filter_map(|value| value.to_str().ok()).collect();
    for hop in values.iter().rev().flat_map(|value| value.rsplit(',')) {
        if !is_trusted(client) {
            break;
        }
        let Ok(address) = hop.trim().parse() else { break };
        client = address;
    }
    client
}

#[cfg(test)]
mod tests {
    use super::*;
    use hyper::header::HeaderValue;

    fn client(forwarded: &[&'static str], peer: &str) -> String {
        let mut headers = HeaderMap::new();
        for value in forwarded {
            headers.append(FORWARDED_FOR, HeaderValue::from_static(value));
        }
        let trusted = ["10.0.0.0/8".parse().expect("a net")];
        client_address(&headers, peer.parse().expect("an address"), &trusted).to_string()
    }

    #[test]
    fn only_a_trusted_proxy_is_believed() {
        assert_eq!(client(&["1.2.3.4"], "10.0.0.1"), "1.2.3.4");
        assert_eq!(client(&["1.2.3.4"], "192.0.2.1"), "192.0.2.1");
        assert_eq!(client(&[], "10.0.0.1"), "10.0.0.1");
    }

    #[test]
    fn what_a_client_made_up_is_not_reached() {
        assert_eq!(client(&["6.6.6.6, 1.2.3.4, 10.0.0.2"], "10.0.0.1"), "1.2.3.4");
        assert_eq!(client(&["6.6.6.6", "1.2.3.4"], "10.0.0.1"), "1.2.3.4");
        assert_eq!(client(&["1.2.3.4, nonsense"], "10.0.0.1"), "10.0.0.1");
    }

    #[test]
    fn a_bearer_token_is_found_whatever_the_case_of_its_scheme() {
        let mut headers = HeaderMap::new();
        assert_eq!(bearer(&headers), None);
        headers.insert(AUTHORIZATION, HeaderValue::from_static("bearer  a.b.c"));
        assert_eq!(bearer(&headers), Some("a.b.c"));
        headers.insert(AUTHORIZATION, HeaderValue::from_static("Basic a.b.c"));
        assert_eq!(bearer(&headers), None);
    }
}

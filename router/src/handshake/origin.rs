//! Which pages may connect (RFC 6455 §10.2). A browser sends the page's origin; other clients
//! send none and could claim any, so this protects people in browsers, not the service.

use hyper::header::{HOST, HeaderMap, ORIGIN};
use trunkline_config::settings::AllowedOrigins;

use super::Refusal;

/// Checks a request's Origin.
///
/// # Errors
/// A [`Refusal`] with 403.
pub(super) fn check(headers: &HeaderMap, allowed: &AllowedOrigins) -> Result<(), Refusal> {
    let mut origins = headers.get_all(ORIGIN).iter();
    let Some(origin) = origins.next() else { return Ok(()) };
    let permitted = match (allowed, origin.to_str(), origins.next()) {
        (AllowedOrigins::Any, _, _) => true,
        (_, Ok(origin), None) => {
            let origin = origin.to_ascii_lowercase();
            let listed = matches!(allowed, AllowedOrigins::Listed(list) if list.contains(&origin));
            listed || is_same(&origin, headers)
        }
        _ => false,
    };
    if permitted {
        Ok(())
    } else {
        Err(Refusal::forbidden(
            "pages of this origin may not connect; list it in router.allowed_origins",
        ))
    }
}

/// Whether the page came from the host and port that this request went to. Its scheme is not
/// compared: behind a proxy that ends TLS the router doesn't know its own.
fn is_same(origin: &str, headers: &HeaderMap) -> bool {
    let Some((scheme, origin)) = origin.split_once("://") else { return false };
    let default_port = match scheme {
        "http" => ":80",
        "https" => ":443",
        _ => return false,
    };
    let mut hosts = headers.get_all(HOST).iter();
    let (Some(host), None) = (hosts.next().and_then(|host| host.to_str().ok()), hosts.next())
    else {
        return false;
    };
    let bare = |host: &str| host.strip_suffix(default_port).unwrap_or(host).to_ascii_lowercase();
    bare(origin) == bare(host)
}

#[cfg(test)]
mod tests {
    use super::*;
    use hyper::header::HeaderValue;

    fn is_allowed(origin: &'static str, host: &'static str, allowed: &AllowedOrigins) -> bool {
        let mut headers = HeaderMap::new();
        headers.insert(ORIGIN, HeaderValue::from_static(origin));
        headers.insert(HOST, HeaderValue::from_static(host));
        check(&headers, allowed).is_ok()
    }

    #[test]
    fn the_same_host_and_port_is_the_same_origin() {
        for (origin, host) in [
            ("http://127.0.0.1:8080", "127.0.0.1:8080"),
            ("https://Chat.Example", "chat.example"),
            ("https://chat.example", "chat.example:443"),
            ("http://chat.example:80", "chat.example"),
            ("http://[::1]:8080", "[::1]:8080"),
        ] {
            assert!(is_allowed(origin, host, &AllowedOrigins::Same), "{origin} {host}");
        }
    }

    #[test]
    fn everything_else_is_another_origin() {
        for (origin, host) in [
            ("http://127.0.0.1:8081", "127.0.0.1:8080"),
            ("https://chat.example", "chat.example:80"),
            ("https://chat.example.evil", "chat.example"),
            ("null", "chat.example"),
            ("file://chat.example", "chat.example"),
            ("", "chat.example"),
        ] {
            assert!(!is_allowed(origin, host, &AllowedOrigins::Same), "{origin} {host}");
        }
    }

    #[test]
    fn a_listed_origin_is_allowed_besides_the_same() {
        let listed = AllowedOrigins::Listed(vec!["https://app.example".to_owned()]);
        assert!(is_allowed("https://App.example", "chat.example", &listed));
        assert!(is_allowed("https://chat.example", "chat.example", &listed));
        assert!(!is_allowed("http://app.example", "chat.example", &listed));
        assert!(is_allowed("null", "chat.example", &AllowedOrigins::Any));
    }

    #[test]
    fn a_request_without_origin_is_allowed_and_one_with_two_is_not() {
        assert_eq!(check(&HeaderMap::new(), &AllowedOrigins::Same), Ok(()));
        let mut headers = HeaderMap::new();
        headers.insert(HOST, HeaderValue::from_static("a"));
        headers.append(ORIGIN, HeaderValue::from_static("http://a"));
        headers.append(ORIGIN, HeaderValue::from_static("http://b"));
        assert!(check(&headers, &AllowedOrigins::Same).is_err());
    }
}

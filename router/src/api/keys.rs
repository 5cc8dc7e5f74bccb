//! Which callers are let in: those who show one of the configured keys.

use aws_lc_rs::constant_time::verify_slices_are_equal;
use hyper::HeaderMap;

use super::Problem;
use crate::handshake::bearer;

/// Checks the key of a request, over HTTP or gRPC.
///
/// # Errors
/// `unauthenticated`, whatever is wrong with it.
pub(crate) fn check(keys: &[String], headers: &HeaderMap) -> Result<(), Problem> {
    let given = bearer(headers).ok_or_else(Problem::unauthenticated)?;
    if holds(keys, given) { Ok(()) } else { Err(Problem::unauthenticated()) }
}

/// Compares with every key, each in a time that does not depend on what is equal: how long it
/// took tells nothing.
fn holds(keys: &[String], given: &str) -> bool {
    keys.iter().fold(false, |found, key| {
        found | verify_slices_are_equal(key.as_bytes(), given.as_bytes()).is_ok()
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use hyper::header::{AUTHORIZATION, HeaderValue};

    #[test]
    fn only_one_of_the_keys_opens() {
        let keys = ["first".to_owned(), "second".to_owned()];
        let open = |value: Option<&'static str>| {
            let mut headers = HeaderMap::new();
            if let Some(value) = value {
                headers.insert(AUTHORIZATION, HeaderValue::from_static(value));
            }
            check(&keys, &headers).is_ok()
        };
        assert!(open(Some("Bearer first")) && open(Some("bearer second")));
        for wrong in ["Bearer", "Bearer ", "Bearer firs", "Bearer first ", "first", "Basic first"] {
            assert!(!open(Some(wrong)), "{wrong}");
        }
        assert!(!open(None));
        assert!(!holds(&[], ""));
    }
}

//! The room or user that a path names.

use percent_encoding::percent_decode_str;

use crate::api::Problem;

/// Decodes a path's segment (RFC 3986 §2.1), in which a `+` is a plus sign.
///
/// # Errors
/// `bad_request` for what is not UTF-8.
pub(super) fn decode(segment: &str) -> Result<String, Problem> {
    match percent_decode_str(segment).decode_utf8() {
        Ok(name) => Ok(name.into_owned()),
        Err(_) => Err(Problem::bad("the path is not UTF-8; encode it as such")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_is_percent_decoded() {
        assert_eq!(decode("caf%C3%A9+1%2F2%20"), Ok("café+1/2 ".to_owned()));
        assert!(decode("%FF").is_err());
    }
}

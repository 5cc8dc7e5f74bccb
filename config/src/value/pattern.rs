//! Patterns of namespaces: `"/"`, `"/game-*"`.

use super::Wrong;
use crate::events::Pattern;
use crate::name::check_id;

/// A namespace, or its beginning and `*`.
pub(crate) fn namespace(text: &str) -> Result<Pattern, Wrong> {
    let wrong =
        |what: String| Wrong::new(what, "write one such as \"/\", \"/chat\" or \"/game-*\"");
    if !text.starts_with('/') {
        return Err(wrong(format!("is {text:?}, which does not begin with a slash")));
    }
    if text.strip_suffix('*').unwrap_or(text).contains('*') {
        return Err(wrong(format!("is {text:?}, which has a * before its end")));
    }
    check_id(text).map_err(|error| wrong(format!("is not a namespace: {error}")))?;
    Ok(Pattern(text.to_owned()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_namespace_begins_with_a_slash_and_may_end_with_a_star() {
        for text in ["/", "/*", "/game-*", "/a/b"] {
            assert_eq!(namespace(text), Ok(Pattern(text.to_owned())));
        }
        let long = format!("/{}", "x".repeat(256));
        for text in ["", "*", "chat", "/a*b", "/a**", "/a\n", &long] {
            assert!(namespace(text).is_err(), "{text:?} was taken");
        }
    }
}

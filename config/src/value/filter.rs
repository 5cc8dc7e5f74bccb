//! Log filters: `info`, or `info,trunkline_router=debug`.
//!
//! Stricter than the logging library's own language, which takes a mistyped level for the name
//! of a module and then logs everything of it: nothing.

use super::Wrong;

const LEVELS: [&str; 6] = ["off", "error", "warn", "info", "debug", "trace"];

/// A level, and levels of single modules.
pub(crate) fn parse(text: &str) -> Result<String, Wrong> {
    let directive = |directive: &str| match directive.split_once('=') {
        None => LEVELS.contains(&directive),
        Some((module, level)) => {
            let plain = |b: u8| b.is_ascii_alphanumeric() || b"_:-".contains(&b);
            !module.is_empty() && module.bytes().all(plain) && LEVELS.contains(&level)
        }
    };
    if text.split(',').all(directive) {
        Ok(text.to_owned())
    } else {
        Err(Wrong::new(
            format!("is {text:?}, which is not a log filter"),
            format!(
                "write one of {}, or a list such as \"info,trunkline_router=debug\"",
                LEVELS.join(", ")
            ),
        ))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn levels_and_levels_of_modules_are_taken() {
        for text in ["off", "info", "warn,trunkline_router=debug,hyper::proto=off"] {
            assert_eq!(parse(text).as_deref(), Ok(text));
        }
    }

    #[test]
    fn a_mistyped_level_is_refused_rather_than_taken_for_a_module() {
        for text in ["", "inof", "INFO", "info,", "a=", "=info", "a b=info", "a=verbose"] {
            assert!(parse(text).is_err(), "{text:?} was taken");
        }
    }
}

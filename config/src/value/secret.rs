//! Secrets that stand elsewhere: `${NAME}` is an environment variable, `file:PATH` a file.
//!
//! A secret's value is never part of a message.

use std::path::Path;

use super::Wrong;

/// How environment variables are looked up; tests pass their own.
pub(crate) type Environment = fn(&str) -> Option<String>;

/// The value that `text` stands for. A path is relative to `folder`; a line break at a file's
/// end, which editors and `echo` leave, is not part of it.
pub(crate) fn resolve(
    text: &str,
    folder: &Path,
    environment: Environment,
) -> Result<String, Wrong> {
    let value = if let Some(rest) = text.strip_prefix("${") {
        let name = rest.strip_suffix('}').filter(|name| is_variable(name)).ok_or_else(|| {
            Wrong::new("begins with ${ but names no variable", "write \"${NAME}\" and nothing else")
        })?;
        environment(name).ok_or_else(|| {
            Wrong::new(
                format!("takes ${{{name}}}, which is not set"),
                format!("set the environment variable {name}"),
            )
        })?
    } else if let Some(path) = text.strip_prefix("file:") {
        let path = folder.join(path);
        let content = std::fs::read_to_string(&path).map_err(|error| {
            Wrong::new(
                format!("takes the file {}, which can't be read: {error}", path.display()),
                "write file: and the path of a readable text file",
            )
        })?;
        content.trim_end_matches(['\r', '\n']).to_owned()
    } else {
        text.to_owned()
    };
    if value.is_empty() {
        return Err(Wrong::new("is empty", "write a value, \"${NAME}\" or \"file:PATH\""));
    }
    Ok(value)
}

fn is_variable(name: &str) -> bool {
    name.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_')
        && name.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_')
}

#[cfg(test)]
mod tests {
    use super::*;

    fn environment(name: &str) -> Option<String> {
        (name == "SECRET").then(|| "from the environment".to_owned())
    }

    #[test]
    fn a_secret_comes_from_the_text_the_environment_or_a_file() {
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join("secret"), "from the file\r\n").unwrap();
        let resolve = |text| resolve(text, folder.path(), environment);
        assert_eq!(resolve("plain $text").as_deref(), Ok("plain $text"));
        assert_eq!(resolve("${SECRET}").as_deref(), Ok("from the environment"));
        assert_eq!(resolve("file:secret").as_deref(), Ok("from the file"));
    }

    #[test]
    fn what_is_missing_or_empty_is_named() {
        let folder = tempfile::tempdir().unwrap();
        let wrong =
            |text| resolve(text, folder.path(), environment).map_err(|wrong| wrong.to_string());
        assert!(wrong("${OTHER}").unwrap_err().contains("set the environment variable OTHER"));
        assert!(wrong("file:none").unwrap_err().contains("none, which can't be read"));
        assert!(wrong("").is_err());
        for text in ["${", "${}", "${1A}", "${SECRET}x", "${A B}"] {
            assert!(wrong(text).unwrap_err().contains("names no variable"), "{text:?} was taken");
        }
    }
}

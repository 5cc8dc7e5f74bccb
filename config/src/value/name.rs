//! Names and keys of the shard map.

use super::Wrong;
use crate::key::HashKey;

/// A shard's ID: 1 to 64 bytes that need no quoting in a URL, a metric's label or a file's name.
pub(crate) fn shard_id(text: &str) -> Result<String, Wrong> {
    let good = (1..=64).contains(&text.len())
        && text.bytes().all(|b| b.is_ascii_alphanumeric() || b"._-".contains(&b));
    if good {
        Ok(text.to_owned())
    } else {
        Err(Wrong::new(
            format!("is {text:?}, which is not a shard's ID"),
            "write 1 to 64 letters, digits, '.', '_' or '-', such as \"a\"",
        ))
    }
}

/// 128 bits in hexadecimal. The text itself is never repeated: it is a secret.
pub(crate) fn hash_key(text: &str) -> Result<HashKey, Wrong> {
    let wrong = || {
        Wrong::new(
            "is not 32 hexadecimal digits",
            "write the output of `openssl rand -hex 16`, the same in every copy of the map",
        )
    };
    // from_str_radix alone would take a sign.
    if text.len() != 32 || !text.bytes().all(|b| b.is_ascii_hexdigit()) {
        return Err(wrong());
    }
    let number = u128::from_str_radix(text, 16).map_err(|_| wrong())?;
    Ok(HashKey(number.to_be_bytes()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_of_64_plain_bytes_are_taken_and_nothing_else() {
        assert!(shard_id(&"x".repeat(64)).is_ok());
        assert!(shard_id("Shard_1.eu-west").is_ok());
        for text in ["", "a b", "a/b", "ä", &"x".repeat(65)] {
            assert!(shard_id(text).is_err(), "{text:?} was taken");
        }
    }

    #[test]
    fn a_hash_key_is_32_hex_digits_most_significant_first() {
        let key = hash_key("0123456789abcdef0123456789ABCDEF").unwrap();
        assert_eq!(key.0[..8], [0x01, 0x23, 0x45, 0x67, 0x89, 0xab, 0xcd, 0xef]);
        for text in
            ["", "+123456789abcdef0123456789abcdef", "0123", "g123456789abcdef0123456789abcdef"]
        {
            assert!(hash_key(text).is_err(), "{text:?} was taken");
        }
    }
}

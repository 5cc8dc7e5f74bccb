//! Finds the places of binary in JSON values without taking them apart.
//!
//! The text has been parsed before, so it is known to be JSON: it is enough to tell strings from
//! the rest. An object is taken for binary only if it is nothing else.

use std::ops::Range;

/// The placeholders, in order: where each stands and its number.
pub(super) fn placeholders(json: &str) -> impl Iterator<Item = (Range<usize>, usize)> + '_ {
    objects(json).filter_map(move |start| {
        let mut cursor = Cursor { json: json.as_bytes(), at: start + 1 };
        let number = cursor.placeholder()?;
        Some((start..cursor.at, number))
    })
}

/// The objects `{"$base64":"…"}`, in order: where each stands, and where its text does.
pub(super) fn base64_texts(json: &str) -> impl Iterator<Item = (Range<usize>, Range<usize>)> + '_ {
    // Most messages have none, and looking for the word is much faster than walking.
    let starts = json.contains("\"$base64\"").then(|| objects(json)).into_iter().flatten();
    starts.filter_map(move |start| {
        let mut cursor = Cursor { json: json.as_bytes(), at: start + 1 };
        let text = cursor.base64()?;
        Some((start..cursor.at, text))
    })
}

/// Where objects begin: each `{` that is in no string.
fn objects(json: &str) -> impl Iterator<Item = usize> + '_ {
    let mut in_string = false;
    let mut escaped = false;
    json.bytes().enumerate().filter_map(move |(index, byte)| {
        if in_string {
            match byte {
                _ if escaped => escaped = false,
                b'\\' => escaped = true,
                b'"' => in_string = false,
                _ => {}
            }
            return None;
        }
        in_string = byte == b'"';
        (byte == b'{').then_some(index)
    })
}

/// Reads on from a place in the text.
struct Cursor<'a> {
    json: &'a [u8],
    at: usize,
}

impl Cursor<'_> {
    /// The rest of `{"_placeholder":true,"num":N}`, its fields in either order.
    fn placeholder(&mut self) -> Option<usize> {
        let marked_first = self.token(b"\"_placeholder\"").is_some();
        let number = if marked_first {
            self.mark()?;
            self.token(b",")?;
            self.token(b"\"num\"")?;
            self.number()?
        } else {
            self.token(b"\"num\"")?;
            let number = self.number()?;
            self.token(b",")?;
            self.token(b"\"_placeholder\"")?;
            self.mark()?;
            number
        };
        self.token(b"}")?;
        Some(number)
    }

    fn mark(&mut self) -> Option<()> {
        self.token(b":")?;
        self.token(b"true")
    }

    fn number(&mut self) -> Option<usize> {
        self.token(b":")?;
        self.skip_space();
        let rest = &self.json[self.at..];
        let digits = rest.iter().take_while(|byte| byte.is_ascii_digit()).count();
        let number = std::str::from_utf8(&rest[..digits]).ok()?.parse().ok()?;
        self.at += digits;
        Some(number)
    }

    /// The rest of `{"$base64":"…"}`, and where the text stands.
    fn base64(&mut self) -> Option<Range<usize>> {
        self.token(b"\"$base64\"")?;
        self.token(b":")?;
        self.token(b"\"")?;
        let start = self.at;
        let length = self.json[start..].iter().position(|byte| *byte == b'"')?;
        self.at = start + length;
        let text = start..self.at;
        self.token(b"\"")?;
        self.token(b"}")?;
        Some(text)
    }

    fn token(&mut self, token: &[u8]) -> Option<()> {
        let before = self.at;
        self.skip_space();
        if self.json[self.at..].starts_with(token) {
            self.at += token.len();
            return Some(());
        }
        self.at = before;
        None
    }

    fn skip_space(&mut self) {
        let rest = &self.json[self.at..];
        self.at += rest.iter().take_while(|byte| byte.is_ascii_whitespace()).count();
    }
}

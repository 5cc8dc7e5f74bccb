//! As much of JSON as a server needs that passes values on and never looks inside.

/// The elements of an array, as they were written.
pub(crate) fn elements(text: &str) -> Option<Vec<&str>> {
    let mut rest = text.trim_start().strip_prefix('[')?.trim_start();
    let mut elements = Vec::with_capacity(4);
    while !rest.starts_with(']') {
        let (value, after) = rest.split_at(end(rest)?);
        elements.push(value);
        rest = after_comma(after)?;
    }
    Some(elements)
}

/// The fields of an object, names without their quotes.
pub(crate) fn fields(text: &str) -> Option<Vec<(&str, &str)>> {
    let mut rest = text.trim_start().strip_prefix('{')?.trim_start();
    let mut fields = Vec::with_capacity(8);
    while !rest.starts_with('}') {
        let (name, after) = rest.split_at(end(rest)?);
        let after = after.trim_start().strip_prefix(':')?.trim_start();
        let (value, after) = after.split_at(end(after)?);
        fields.push((string(name)?, value));
        rest = after_comma(after)?;
    }
    Some(fields)
}

/// What is between the quotes of a string, as it was written.
pub(crate) fn string(text: &str) -> Option<&str> {
    text.strip_prefix('"')?.strip_suffix('"')
}

fn after_comma(text: &str) -> Option<&str> {
    let text = text.trim_start();
    match text.strip_prefix(',') {
        Some(rest) => Some(rest.trim_start()),
        None => text.starts_with(['}', ']']).then_some(text),
    }
}

/// Where the value ends with which the text begins.
fn end(text: &str) -> Option<usize> {
    let bytes = text.as_bytes();
    let (mut at, mut depth) = (0, 0_usize);
    loop {
        match bytes.get(at)? {
            b'"' => at = end_of_string(bytes, at)?,
            b'{' | b'[' => {
                depth += 1;
                at += 1;
            }
            b'}' | b']' if depth > 0 => {
                depth -= 1;
                at += 1;
            }
            b',' | b'}' | b']' if depth == 0 => return (at > 0).then_some(at),
            b':' | b' ' | b'\t' | b'\r' | b'\n' if depth == 0 => return (at > 0).then_some(at),
            _ => {
                at += 1;
                continue;
            }
        }
        if depth == 0 {
            return Some(at);
        }
    }
}

fn end_of_string(bytes: &[u8], start: usize) -> Option<usize> {
    let mut at = start + 1;
    loop {
        match bytes.get(at)? {
            b'"' => return Some(at + 1),
            b'\\' => at += 2,
            _ => at += 1,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_are_cut_out_as_they_were_written() {
        let text = r#"["message", "a \" ]", {"t": [1, {"x": "}"}]},-1.5e3 ]"#;
        let expected = [r#""message""#, r#""a \" ]""#, r#"{"t": [1, {"x": "}"}]}"#, "-1.5e3"];
        assert_eq!(elements(text).unwrap(), expected);
        let expected = [("id", "7"), ("data", "[1,2]"), ("é", "null")];
        assert_eq!(fields(r#" {"id":7,"data" : [1,2], "é":null}"#).unwrap(), expected);
        assert_eq!(elements("[]").unwrap(), [""; 0]);
    }

    #[test]
    fn what_is_cut_short_is_no_value() {
        let text = r#"["m",{"a":"é\""}]"#;
        for length in (0..text.len()).filter(|length| text.is_char_boundary(*length)) {
            assert_eq!(elements(&text[..length]), None, "{length}");
            assert_eq!(fields(&text[..length]), None, "{length}");
        }
        for bad in ["[,]", "[1 2]", "{1:2}", "{\"a\"}", "{\"a\":}", "{\"", "{\":1}", "[}"] {
            assert_eq!(fields(bad), None, "{bad}");
            let _ = elements(bad);
        }
    }
}

//! What a mistyped word was probably meant to be.

/// How alike (0 to 1) two words must be for one to be taken for the other.
const LIKENESS: f64 = 0.7;

/// The word among `words` that is most like `written`; none if none is like it.
pub(crate) fn closest<'a>(
    written: &str,
    words: impl IntoIterator<Item = &'a str>,
) -> Option<&'a str> {
    words
        .into_iter()
        .map(|word| (strsim::jaro_winkler(word, written), word))
        .filter(|(likeness, _)| *likeness >= LIKENESS)
        .max_by(|a, b| a.0.total_cmp(&b.0))
        .map(|(_, word)| word)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_mistyped_word_is_found_and_a_strange_one_is_not() {
        let words = ["join", "leave", "broadcast"];
        assert_eq!(closest("brodcast", words), Some("broadcast"));
        assert_eq!(closest("leaf", words), Some("leave"));
        assert_eq!(closest("zebra", words), None);
    }
}

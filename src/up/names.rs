//! Names for shards that the map doesn't have: a, b, … z, aa, ab, …, as columns of a sheet.

/// The names in order, without end.
pub(crate) fn names() -> impl Iterator<Item = String> {
    (0..).map(name)
}

fn name(mut index: u32) -> String {
    let mut letters = Vec::new();
    loop {
        letters.push(char::from(b'a' + u8::try_from(index % 26).unwrap_or_default()));
        if index < 26 {
            break;
        }
        index = index / 26 - 1;
    }
    letters.into_iter().rev().collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn after_z_comes_aa_and_after_zz_aaa() {
        let names: Vec<String> = names().take(26 * 27 + 1).collect();
        assert_eq!(names[..3], ["a", "b", "c"]);
        assert_eq!(names[25..29], ["z", "aa", "ab", "ac"]);
        assert_eq!(names[51..53], ["az", "ba"]);
        assert_eq!(names[26 * 27 - 1..], ["zz", "aaa"]);
    }
}

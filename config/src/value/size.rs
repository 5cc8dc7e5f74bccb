//! Sizes with a unit: `"64KiB"`, `"1MiB"`. Powers of 1024 only, and named as such.

use super::Wrong;

const UNITS: [(&str, usize); 4] = [("B", 1), ("KiB", 1 << 10), ("MiB", 1 << 20), ("GiB", 1 << 30)];

/// The number of bytes that `text` says.
pub(crate) fn parse(text: &str) -> Result<usize, Wrong> {
    let wrong = |what: &str| {
        Wrong::new(what, "write a whole number and B, KiB, MiB or GiB, such as \"64KiB\"")
    };
    let digits = text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len());
    let (number, unit) = text.split_at(digits);
    if unit.is_empty() {
        return Err(wrong("has no unit"));
    }
    let (_, scale) =
        UNITS.into_iter().find(|(name, _)| *name == unit).ok_or_else(|| wrong("is not a size"))?;
    let number: usize = number.parse().map_err(|_| wrong("is not a size"))?;
    number.checked_mul(scale).ok_or_else(|| wrong("is too large a size"))
}

/// A size as it is written in a file, in the largest unit that needs no fraction.
pub(crate) fn render(bytes: usize) -> String {
    let (unit, scale) = UNITS
        .into_iter()
        .rev()
        .find(|(_, scale)| bytes > 0 && bytes.is_multiple_of(*scale))
        .unwrap_or(("B", 1));
    format!("{}{unit}", bytes / scale)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_unit_is_read_and_written_back() {
        for (text, bytes) in
            [("17B", 17), ("64KiB", 65_536), ("1MiB", 1_048_576), ("2GiB", 2 << 30)]
        {
            assert_eq!(parse(text), Ok(bytes));
            assert_eq!(render(bytes), text);
        }
    }

    #[test]
    fn powers_of_a_thousand_and_bare_numbers_are_refused() {
        for text in ["", "64", "64KB", "64K", "1.5MiB", "-1B", "99999999999999999999B"] {
            assert!(parse(text).is_err(), "{text:?} was taken");
        }
        assert!(parse("18446744073709551615GiB").is_err());
    }
}

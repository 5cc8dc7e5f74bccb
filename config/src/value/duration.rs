//! Durations with a unit: `"25s"`, `"100ms"`.
//!
//! One number and one unit, so that the same duration is always written the same way and a bare
//! number, whose unit one would have to guess, is refused.

use std::time::Duration;

use super::Wrong;

const UNITS: [(&str, u64); 5] =
    [("ms", 1), ("s", 1000), ("m", 60_000), ("h", 3_600_000), ("d", 86_400_000)];

/// The duration that `text` says.
pub(crate) fn parse(text: &str) -> Result<Duration, Wrong> {
    let wrong =
        |what: &str| Wrong::new(what, "write a whole number and ms, s, m, h or d, such as \"25s\"");
    let digits = text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len());
    let (number, unit) = text.split_at(digits);
    if unit.is_empty() {
        return Err(wrong("has no unit"));
    }
    let (_, scale) = UNITS
        .into_iter()
        .find(|(name, _)| *name == unit)
        .ok_or_else(|| wrong("is not a duration"))?;
    let number: u64 = number.parse().map_err(|_| wrong("is not a duration"))?;
    let millis = number.checked_mul(scale).ok_or_else(|| wrong("is too long a duration"))?;
    Ok(Duration::from_millis(millis))
}

/// A duration as it is written in a file, in the largest unit that needs no fraction.
pub(crate) fn render(duration: Duration) -> String {
    let millis = duration.as_millis();
    let (unit, scale) = UNITS
        .into_iter()
        .rev()
        .find(|(_, scale)| millis > 0 && millis.is_multiple_of(u128::from(*scale)))
        .unwrap_or(("ms", 1));
    format!("{}{unit}", millis / u128::from(scale))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_unit_is_read_and_written_back() {
        for (text, millis) in [
            ("100ms", 100),
            ("25s", 25_000),
            ("3m", 180_000),
            ("5h", 18_000_000),
            ("7d", 604_800_000),
        ] {
            assert_eq!(parse(text), Ok(Duration::from_millis(millis)));
            assert_eq!(render(Duration::from_millis(millis)), text);
        }
    }

    #[test]
    fn a_number_without_a_unit_is_refused() {
        assert!(parse("25").unwrap_err().to_string().starts_with("has no unit; write"));
    }

    #[test]
    fn what_is_not_one_number_and_one_unit_is_refused() {
        for text in ["", "s", "1.5s", "-1s", "1 s", "1s2ms", "1w", "99999999999999999999s"] {
            assert!(parse(text).is_err(), "{text:?} was taken");
        }
        assert!(parse("18446744073709551615d").is_err());
    }
}

//! How often a counted unit is done: as often as `tests/cost/check` asks. As a test among others it
//! is done a few times, which shows that it still does what it is counted for.

/// Does a unit so many times.
pub(crate) fn repeat(mut unit: impl FnMut()) {
    let asked = std::env::var("COST_UNITS");
    let units: usize = asked.map_or(3, |units| units.parse().expect("a number"));
    for _ in 0..units {
        unit();
    }
}

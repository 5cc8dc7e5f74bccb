//! How often a counted scenario is done: as often as `tests/cost/check` asks. As a test among others
//! it is done a few times, which shows that it still does what it is counted for.

/// Does it so many times.
#[allow(clippy::disallowed_methods)] // how often is for whoever runs the test to say
pub(crate) fn repeat(mut scenario: impl FnMut()) {
    let asked = std::env::var("COST_TIMES");
    let times: usize = asked.map_or(3, |times| times.parse().expect("a number"));
    for _ in 0..times {
        scenario();
    }
}

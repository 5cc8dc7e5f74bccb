//! Faults that no seed shows, since it takes more to come together than any has, or since something
//! else mends in the end what they do. Each is seen by a fact.

use std::panic::catch_unwind;

use trunkline_planted::with;

use super::{attachments, in_between};

/// The faults, and the facts that are none then.
const SEEN: [(&str, fn()); 5] = [
    (
        "forget who has left",
        attachments::an_earlier_home_does_not_bring_back_who_has_left_by_another,
    ),
    (
        "believe what was lacked before",
        in_between::what_a_peer_lacked_in_another_view_it_may_have_by_now,
    ),
    (
        // Who wants it hears in the end that nothing is left here, when all has gone that is another's.
        "answer for another view",
        in_between::who_wants_something_too_early_is_answered_before_all_else_when_the_view_has_come,
    ),
    (
        "tell of it before its answer",
        in_between::who_has_published_what_the_next_owner_tells_of_is_answered_first,
    ),
    (
        "let in by whom nobody hears",
        in_between::who_is_let_in_by_another_owner_than_the_one_that_is_heard_isnt_in,
    ),
];

#[test]
fn what_no_seed_shows_is_seen_by_a_fact() {
    for (fault, fact) in SEEN {
        fact();
        assert!(with(fault, || catch_unwind(fact)).is_err(), "nothing is seen of: {fault}");
    }
}

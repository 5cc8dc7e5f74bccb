//! What every store does, whatever it is made of: one suite, run over each of them.
#![allow(clippy::unwrap_used, reason = "a helper that fails is a test that fails")]

mod durable;
mod embedded;
mod facts;
mod hand;
mod jetstream;
mod memory;
mod moves;
#[path = "../../../../tests/cluster/harness/ports.rs"]
mod ports;

use std::time::Duration;

use trunkline_config::settings::Retention;
use trunkline_log::{LogSettings, TopicLog};

use ports::free;

/// A store that the suite can make.
trait Store {
    /// A fresh one that keeps this much.
    async fn new(settings: LogSettings) -> Self;
    /// The log that a shard would have.
    async fn log(&self) -> Box<dyn TopicLog>;
}

/// Twenty records of a room, ten of an inbox, for a minute each; who published for half of that.
fn settings() -> LogSettings {
    let age = Duration::from_secs(60);
    LogSettings {
        rooms: Retention { messages: 20, bytes: 64 * 1024, age },
        inboxes: Retention { messages: 10, bytes: usize::MAX, age },
        window: Duration::from_secs(30),
    }
}

/// A test for each fact, about one store. `own` has those of stores that each shard has for itself,
/// `durable` those of stores that outlive the process.
macro_rules! conformance {
    ($store:ty: $facts:ident { $($fact:ident,)* }) => {
        $(
            #[tokio::test]
            async fn $fact() {
                crate::$facts::$fact::<$store>().await;
            }
        )*
    };
    ($store:ty) => {
        crate::conformance!($store: facts {
            a_topic_that_nobody_wrote_to_stands_at_nothing_in_one_epoch,
            what_was_appended_is_read_as_it_was,
            an_append_that_expects_another_place_is_refused_and_keeps_nothing,
            an_append_to_another_history_is_refused,
            what_is_read_lies_between_its_bounds,
            topics_do_not_mix,
            count_bounds_what_is_kept,
            bytes_bound_what_is_kept,
            age_bounds_what_is_kept,
            an_inbox_knows_what_was_handed_over,
            who_published_is_told_within_the_window,
            each_of_many_requests_has_one_outcome,
            appends_submitted_one_after_the_other_are_kept_in_that_order,
            a_topic_of_which_nothing_is_left_comes_again_as_another_history,
        });
    };
    ($store:ty, own) => {
        crate::conformance!($store);
        crate::conformance!($store: moves {
            a_topic_stands_and_reads_where_it_is_imported_as_it_did_where_it_was,
            an_import_takes_the_place_of_what_is_there,
            an_import_keeps_no_more_than_its_own_bounds,
            an_import_whose_records_are_not_what_it_says_is_refused_and_changes_nothing,
            who_published_what_has_gone_is_remembered_where_it_is_imported,
            nothing_is_held_of_a_topic_that_nobody_wrote_to,
            what_has_reached_its_age_is_not_exported,
            a_removed_topic_comes_again_as_another_history,
            a_topic_that_is_given_away_before_anybody_wrote_to_it_comes_again_as_another_history,
            a_removed_topic_leaves_those_that_nobody_has_written_to_where_they_are,
            a_removed_topic_leaves_the_others_as_they_are,
            topics_are_listed_in_order_and_page_by_page,
            only_topics_of_which_something_is_kept_are_listed,
            requests_about_one_topic_are_carried_out_in_their_order,
            a_list_sees_what_was_submitted_before_it,
            an_append_after_an_import_goes_on_where_the_topic_stands,
            what_a_store_keeps_is_counted,
            a_store_of_a_shard_s_own_cedes_nothing_and_opens_what_is_taken_up,
        });
    };
    ($store:ty, own, durable) => {
        crate::conformance!($store, own);
        crate::conformance!($store: durable);
        crate::conformance!($store: moves {
            what_was_imported_is_there_after_a_restart,
            a_topic_that_came_before_anybody_wrote_to_it_is_after_a_restart_where_it_was,
            what_was_removed_is_not_there_after_a_restart,
            a_note_is_given_back_when_the_store_is_opened,
            a_note_that_is_too_long_is_not_kept,
        });
    };
    ($store:ty, durable) => {
        crate::conformance!($store);
        crate::conformance!($store: durable);
    };
    ($store:ty: durable) => {
        crate::conformance!($store: durable {
            a_topic_stands_where_it_stood_before_the_restart,
            a_topic_that_nobody_wrote_to_keeps_its_epoch_over_a_restart,
            an_inbox_knows_after_a_restart_what_was_handed_over,
            a_key_is_remembered_longer_than_its_message,
            who_published_is_remembered_over_a_restart,
            bounds_hold_over_a_restart,
        });
    };
}
pub(crate) use conformance;

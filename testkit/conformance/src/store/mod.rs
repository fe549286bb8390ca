//! The promises of [`dozen_store::Engine`], by topic.

mod bench;
mod crashes;
mod dead_letters;
mod faults;
mod journal;
mod keys;
mod leases;
mod moments;
mod outbox;
mod readers;
mod tables;
mod upkeep;
mod wake_ups;

pub use bench::{Bench, Harness};
pub use crashes::*;
pub use dead_letters::*;
pub use faults::*;
pub use journal::*;
pub use keys::*;
pub use leases::*;
pub use moments::*;
pub use outbox::*;
pub use readers::*;
pub use tables::*;
pub use upkeep::*;
pub use wake_ups::*;

/// All cases as tests of the crate that names it, with a harness of type `$harness`.
#[macro_export]
macro_rules! store_suite {
    ($harness:ty) => {
        $crate::store_suite!(@ $harness:
            // journal
            append_is_the_callers what_is_committed_outlives_the_handle commit_order_is_read_order
            a_failed_operation_leaves_nothing a_dropped_transaction_leaves_nothing rows_and_entries_commit_together
            // readers
            readers_progress_alone what_is_sifted_out_leaves_no_trace nothing_is_sifted_that_was_not_looked_at
            a_paused_reader_gets_nothing claims_are_told_in_pages
            // keys
            per_key_order_is_strict a_key_has_as_many_out_as_it_may a_dead_letter_stops_a_key_with_several_out
            a_long_run_of_held_messages_is_passed
            // leases
            a_claim_is_fenced a_lease_that_ends_is_handed_out_again
            a_reader_with_nothing_in_hand_has_no_moment_to_wait_for what_is_taken_together_ends_one_by_one
            a_batch_whose_lease_ends_is_handed_out_again a_reader_that_is_moved_forgets_what_it_leased
            // dead letters
            a_parked_key_holds_what_follows an_edit_is_the_readers_own
            // moments
            a_delay_holds_one_message a_clock_that_is_set_back_holds_nothing_up
            a_released_message_keeps_its_own_delay
            // wake-ups
            a_wake_up_is_a_hint what_comes_again_is_hinted an_end_is_hinted other_processes_are_woken
            a_lost_wake_up_is_made_up_for
            // tables
            a_put_expects_what_it_says a_requirement_fails_the_whole versions_grow_from_handle_to_handle a_lease_has_one_holder
            a_mark_is_made_once
            // outbox
            an_outbox_refuses_what_its_topic_does_not_take an_outbox_completes_what_is_inserted
            // upkeep
            a_trim_spares_what_is_needed a_trim_by_size_spares_what_is_needed compaction_keeps_the_last_of_a_key
            compaction_spares_what_is_needed
            // faults
            nothing_is_lost_under_faults a_crash_at_any_call_has_one_effect a_crash_at_any_await_has_one_effect);
    };
    (@ $harness:ty: $($case:ident)*) => {
        $(#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
        async fn $case() {
            let harness = <$harness as $crate::store::Harness>::fresh().await;
            $crate::store::$case(&harness).await;
        })*
    };
}

//! One suite for every store: each must do to its record what `apply` does, whatever it is made of.
//!
//! ```text
//!   suite (the claims) ──▶ Fixture ──▶ memory | memory, forgetful | SQLite | SQLite, a user each | Redis
//!          └─▶ Model (apply, and what strangers and losses do to a record)
//! ```

#[path = "../support/mod.rs"]
mod support;

mod cases;
mod deletions;
mod fixtures;
mod leftovers;
mod losses;
mod model;
mod operators;
mod orders;
mod processes;
mod random;
mod requests;
mod suite;

use fixtures::Fixture;

/// Runs the whole suite against one kind of store.
macro_rules! conformance {
    ($store:ident, $fixture:expr) => {
        mod $store {
            use super::{deletions, fixtures::*, losses, orders, random, suite};

            conformance!(@tests random, $store, $fixture,
                does_what_the_record_function_does_on_random_sequences,
            );
            conformance!(@tests suite, $store, $fixture,
                grants_and_refuses_by_each_guard,
                of_many_claims_of_one_mark_exactly_one_is_granted,
                a_claim_that_is_sent_again_is_refused_and_shows_that_it_was_granted,
                keeps_elections_apart_and_lists_them,
                shows_the_holder_and_who_campaigns,
                lists_nobody_who_has_withdrawn,
                keeps_a_history_newest_first,
                tells_of_each_release_why_and_of_each_takeover_when_the_holder_last_beat,
                wakes_standbys_on_release,
                wakes_who_has_only_begun_to_listen,
                a_record_outlives_the_instance_that_wrote_it,
                a_counter_that_a_stranger_touched_is_foreign,
                garbage_is_told_with_its_place_and_spoils_one_election_only,
            );
            conformance!(@tests losses, $store, $fixture,
                a_young_memory_is_as_old_as_candidates_vouch_for_and_no_older_than_a_day,
                whatever_expects_another_memory_is_refused,
                an_absence_from_before_a_takeover_is_another_one,
                terms_of_a_lost_record_are_granted_to_no_one_and_can_be_joined,
                after_each_loss_the_memory_is_another_one,
            );
            conformance!(@tests deletions, $store, $fixture,
                a_deletion_leaves_nothing_and_wakes_the_standbys,
                a_record_with_an_order_or_a_term_far_ahead_is_released_and_stays,
                an_only_store_numbers_rising_terms_for_those_who_know_nothing_of_it,
                an_operator_forgets_exactly_what_was_seen_and_no_one_holds,
            );
            conformance!(@tests orders, $store, $fixture,
                a_pause_refuses_claims_but_joins_until_it_is_lifted,
                a_pause_that_replaces_none_is_refused_while_that_of_another_holds,
                a_pause_is_over_by_the_clock_of_the_store,
                a_pause_of_what_was_never_held_leaves_it_absent,
                an_order_to_resign_names_one_term_and_prefers_its_successor,
                a_deposition_vacates_exactly_what_was_seen,
                a_foreign_holder_can_be_deposed,
                lifting_a_pause_wakes_the_standbys,
                a_release_wakes_two_standbys_and_an_order_wakes_all,
                orders_stand_in_the_history_by_whose_they_are,
                the_history_tells_what_an_order_said,
            );
        }
    };
    (@tests $suite:ident, $store:ident, $fixture:expr, $($claim:ident,)*) => {
        $(
            #[test]
            fn $claim() {
                let place = concat!(
                    "--test store_conformance ", stringify!($store), "::", stringify!($claim)
                );
                super::run($suite::$claim($fixture, place));
            }
        )*
    };
}

conformance!(memory, Memory::durable());
conformance!(memory_that_forgets, Memory::forgetful());
conformance!(sqlite, Sqlite::one_user());
conformance!(sqlite_with_a_user_each, Sqlite::a_user_each());
conformance!(redis, Redis::start());

fn run(test: impl Future<Output = ()>) {
    tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()
        .expect("a runtime")
        .block_on(test);
}

//! Faults of the candidates: asked to end, killed, paused, and two that claim to be the same.

use rustix::process::Signal;

use crate::field::bed::{Bed, MIXED, Made, ONE_FILE, ONE_REDIS, THREE_REDIS};
use crate::field::candidate::Kind::{self, Library, Wrapper};

/// One test per place and kind of candidate, all of them with the same story.
macro_rules! everywhere {
    ($story:ident: $($name:ident = $stores:expr, $kind:expr;)*) => {
        mod $story {
            use super::*;
            $(#[test] fn $name() { super::$story($stores, $kind); })*
        }
    };
}

everywhere! { a_leader_that_is_asked_to_end_hands_over_at_once:
    library_on_a_file = ONE_FILE, Library;
    library_on_a_redis = ONE_REDIS, Library;
    library_on_three_stores = MIXED, Library;
    wrapper_on_a_file = ONE_FILE, Wrapper;
    wrapper_on_a_redis = ONE_REDIS, Wrapper;
    wrapper_on_three_stores = THREE_REDIS, Wrapper;
}

fn a_leader_that_is_asked_to_end_hands_over_at_once(stores: &[Made], kind: Kind) {
    let mut bed = Bed::new(stores, &[kind, kind]);
    let first = bed.fleet.leader();
    bed.fleet.campaigning();
    // A store that was joined is proven after a window; until then its successor may have to wait.
    let window = bed.window();
    bed.fleet.still_led_by(&first, window * 2);
    bed.fleet.signal(&first.who, Signal::TERM);
    let second = bed.fleet.next_leader(&first);
    assert_ne!(second.who, first.who);
    bed.fleet.ended(&first.who);
    let gap = bed.fleet.gap(&first, &second);
    assert!(gap < window, "{gap:?}");
    bed.verdict();
}

everywhere! { a_killed_leader_is_replaced:
    library_on_a_file = ONE_FILE, Library;
    library_on_a_redis = ONE_REDIS, Library;
    library_on_three_stores = MIXED, Library;
}

fn a_killed_leader_is_replaced(stores: &[Made], kind: Kind) {
    let mut bed = Bed::new(stores, &[kind, kind]);
    let first = bed.fleet.leader();
    bed.fleet.signal(&first.who, Signal::KILL);
    bed.fleet.ended(&first.who);
    let second = bed.fleet.next_leader(&first);
    assert!(second.token > first.token);
    bed.verdict();
}

everywhere! { a_leader_paused_past_its_window_is_replaced_and_does_not_act_when_it_resumes:
    library_on_a_file = ONE_FILE, Library;
    library_on_a_redis = ONE_REDIS, Library;
    library_on_three_stores = MIXED, Library;
}

fn a_leader_paused_past_its_window_is_replaced_and_does_not_act_when_it_resumes(
    stores: &[Made],
    kind: Kind,
) {
    let mut bed = Bed::new(stores, &[kind, kind]);
    let first = bed.fleet.leader();
    bed.fleet.signal(&first.who, Signal::STOP);
    let second = bed.fleet.next_leader(&first);
    assert_ne!(second.who, first.who);
    bed.fleet.signal(&first.who, Signal::CONT);
    let window = bed.window();
    bed.fleet.still_led_by(&second, window);
    bed.verdict();
}

#[test]
fn candidates_of_the_same_label_are_kept_apart() {
    let mut bed = Bed::new(ONE_REDIS, &[]);
    for kind in [Library, Library] {
        bed.fleet.start_labelled(kind, "the-same");
    }
    let first = bed.fleet.leader();
    let window = bed.window();
    bed.fleet.still_led_by(&first, window);
    bed.fleet.signal(&first.who, Signal::KILL);
    let second = bed.fleet.next_leader(&first);
    assert_ne!(second.who, first.who);
    bed.verdict();
}

#[test]
fn a_program_that_stands_still_keeps_the_election_of_its_wrapper() {
    let mut bed = Bed::new(ONE_REDIS, &[Wrapper, Wrapper]);
    let first = bed.fleet.leader();
    let window = bed.window();
    bed.fleet
        .candidate(&first.who)
        .signal_descendants(Signal::STOP);
    std::thread::sleep(window * 2);
    bed.fleet
        .candidate(&first.who)
        .signal_descendants(Signal::CONT);
    bed.fleet.leader();
    bed.verdict();
}

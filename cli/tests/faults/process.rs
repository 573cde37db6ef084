//! Faults of the candidates: asked to end, killed, paused, and two that claim to be the same.

use std::time::Duration;

use rustix::process::Signal;

use crate::field::bed::{Bed, Made, ONE_FILE, ONE_REDIS, THREE_REDIS};
use crate::field::candidate::Kind::{self, Library, Wrapper};
use crate::field::history::Span;
use crate::support::redis::RedisServer;

/// One test per place and kind of candidate, all of them with the same story.
macro_rules! everywhere {
    ($story:ident: $($name:ident = $stores:expr, $kind:expr;)*) => {
        mod $story {
            use super::*;
            $(#[test] fn $name() { super::$story($stores, $kind); })*
        }
    };
}

/// A leader for two windows. The memory of each store is then older than a probation; until then a successor may
/// have to outwait what the store forgot.
fn settled(bed: &mut Bed) -> Span {
    let leader = bed.fleet.leader();
    bed.fleet.campaigning();
    let window = bed.window();
    bed.fleet.still_led_by(&leader, window * 2);
    leader
}

/// The interval of a standby that must lead because it was woken: its next poll is far away.
const RARELY: Duration = Duration::from_secs(10);

/// A leader as [`settled`] leaves it, and a standby that polls rarely.
fn settled_beside_a_rare_poll(stores: &[Made], kind: Kind) -> (Bed, Span) {
    let mut bed = Bed::new(stores, &[kind]);
    let leader = settled(&mut bed);
    // A candidate that waits for long wants an old memory.
    bed.servers.iter().for_each(RedisServer::grow_old);
    bed.fleet.settings().interval = RARELY;
    bed.fleet.start(kind);
    bed.fleet.campaigning();
    (bed, leader)
}

/// Fails unless the standby led long before its next poll.
fn assert_followed_at_once(bed: &mut Bed, first: &Span, second: &Span) {
    assert_ne!(second.who, first.who);
    let gap = bed.fleet.gap(first, second);
    assert!(gap < RARELY / 4, "{gap:?}: {}", bed.fleet.story());
}

everywhere! { a_leader_that_is_asked_to_end_hands_over_at_once:
    library_on_a_file = ONE_FILE, Library;
    library_on_a_redis = ONE_REDIS, Library;
    library_on_three_stores = THREE_REDIS, Library;
    wrapper_on_a_file = ONE_FILE, Wrapper;
    wrapper_on_a_redis = ONE_REDIS, Wrapper;
    wrapper_on_three_stores = THREE_REDIS, Wrapper;
}

fn a_leader_that_is_asked_to_end_hands_over_at_once(stores: &[Made], kind: Kind) {
    let (mut bed, first) = settled_beside_a_rare_poll(stores, kind);
    bed.fleet.signal(&first.who, Signal::TERM);
    let second = bed.fleet.next_leader(&first);
    bed.fleet.ended(&first.who);
    assert_followed_at_once(&mut bed, &first, &second);
    bed.verdict();
}

everywhere! { a_killed_leader_is_replaced:
    library_on_a_file = ONE_FILE, Library;
    library_on_a_redis = ONE_REDIS, Library;
    library_on_three_stores = THREE_REDIS, Library;
}

fn a_killed_leader_is_replaced(stores: &[Made], kind: Kind) {
    let mut bed = Bed::new(stores, &[kind, kind]);
    let first = settled(&mut bed);
    bed.fleet.signal(&first.who, Signal::KILL);
    bed.fleet.ended(&first.who);
    let second = bed.fleet.next_leader(&first);
    assert!(second.token > first.token);
    let gap = bed.fleet.gap(&first, &second);
    // L3: within a window and two intervals. A standby that waited for a second window would take longer.
    let most = bed.window() * 2 - bed.fleet.settings().interval;
    assert!(gap < most, "{gap:?}: {}", bed.fleet.story());
    bed.verdict();
}

everywhere! { a_killed_wrapper_is_followed_at_once:
    wrapper_on_a_file = ONE_FILE, Wrapper;
    wrapper_on_a_redis = ONE_REDIS, Wrapper;
    wrapper_on_three_stores = THREE_REDIS, Wrapper;
}

/// Its keeper ends the program and releases the election (`L2`).
fn a_killed_wrapper_is_followed_at_once(stores: &[Made], kind: Kind) {
    let (mut bed, first) = settled_beside_a_rare_poll(stores, kind);
    bed.fleet.signal(&first.who, Signal::KILL);
    bed.fleet.ended(&first.who);
    let second = bed.fleet.next_leader(&first);
    assert_followed_at_once(&mut bed, &first, &second);
    bed.verdict();
}

everywhere! { a_leader_paused_past_its_window_is_replaced_and_does_not_act_when_it_resumes:
    library_on_a_file = ONE_FILE, Library;
    library_on_a_redis = ONE_REDIS, Library;
    library_on_three_stores = THREE_REDIS, Library;
    wrapper_on_a_file = ONE_FILE, Wrapper;
    wrapper_on_a_redis = ONE_REDIS, Wrapper;
    wrapper_on_three_stores = THREE_REDIS, Wrapper;
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
    for kind in [Library, Wrapper, Library] {
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
fn a_killed_keeper_takes_its_program_along_and_the_next_leads() {
    let mut bed = Bed::new(ONE_REDIS, &[Wrapper, Wrapper]);
    let first = bed.fleet.leader();
    bed.fleet.candidate(&first.who).signal_keeper(Signal::KILL);
    let second = bed.fleet.next_leader(&first);
    assert!(second.token > first.token);
    bed.verdict();
}

#[test]
fn a_killed_program_ends_its_wrapper_and_the_next_leads_at_once() {
    let (mut bed, first) = settled_beside_a_rare_poll(ONE_REDIS, Wrapper);
    bed.fleet.candidate(&first.who).signal_program(Signal::KILL);
    let second = bed.fleet.next_leader(&first);
    assert_eq!(bed.fleet.ended(&first.who).code(), Some(128 + 9));
    assert_followed_at_once(&mut bed, &first, &second);
    bed.verdict();
}

#[test]
fn a_program_that_stands_still_keeps_the_election_of_its_wrapper() {
    let mut bed = Bed::new(ONE_REDIS, &[Wrapper, Wrapper]);
    let first = bed.fleet.leader();
    let window = bed.window();
    bed.fleet.candidate(&first.who).signal_program(Signal::STOP);
    bed.fleet.idle(window * 2);
    bed.fleet.candidate(&first.who).signal_program(Signal::CONT);
    bed.fleet.still_led_by(&first, window);
    bed.verdict();
}

/// The elector ends what a stopped keeper cannot end.
#[test]
fn a_paused_keeper_of_a_leader_without_stores_never_lets_two_act() {
    let mut bed = Bed::new(ONE_REDIS, &[Wrapper, Library]);
    loop {
        let leader = bed.fleet.leader();
        if leader.who.starts_with("wrapper") {
            break;
        }
        bed.fleet.signal(&leader.who, Signal::TERM);
        bed.fleet.ended(&leader.who);
        bed.fleet.next_leader(&leader);
    }
    let wrapper = bed.fleet.leader();
    bed.fleet.start(Library);
    bed.fleet.campaigning();
    bed.fleet
        .candidate(&wrapper.who)
        .signal_keeper(Signal::STOP);
    bed.servers[0].freeze();
    let window = bed.window();
    bed.fleet.idle(window * 2);
    bed.servers[0].thaw();
    let next = bed.fleet.next_leader(&wrapper);
    assert!(next.token > wrapper.token);
    bed.verdict();
}

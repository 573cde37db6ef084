//! What a hint may do: it wakes, and nothing that is decided rests on what it says.

use std::time::Duration;

use incumbent::protocol::{
    Beat, Electorate, Event, Input, LossReason, Memory, MemoryId, Occupancy, Prospect, Record,
    Role, StoreIndex, Term, WallMillis,
};

use crate::kept::Durability;
use crate::rules::{SECOND, Stage, window};

fn first_store() -> StoreIndex {
    let mut stores = Electorate::new(1).unwrap().stores();
    stores.next().unwrap()
}

fn vacant(floor: u64, term: u64, beat: i64) -> Record {
    Record {
        floor: Term::new(floor).unwrap(),
        term: Term::new(term).unwrap(),
        beat: Beat::new(beat),
        occupancy: Occupancy::Vacant,
        ..Record::ABSENT
    }
}

const NEARLY_THE_LAST: u64 = (1 << 53) - 2;

/// An elected leader, and a standby that has seen it.
fn led(clock: u64) -> (Stage, usize, usize) {
    let mut stage = Stage::new(Durability::Durable);
    stage.clock = WallMillis::new(clock).unwrap();
    let first = stage.enter("first");
    stage.pass(SECOND / 3);
    let second = stage.enter("second");
    stage.pass(SECOND * 2);
    assert_eq!(stage.role(first), Role::Leading);
    assert_eq!(stage.role(second), Role::Standby);
    (stage, first, second)
}

/// Any client that may publish on a server can send these, at any time, and repeatedly.
#[test]
fn forged_releases_neither_number_a_term_nor_keep_anybody_from_leading() {
    let forged = [
        vacant(NEARLY_THE_LAST, 1, 1),
        vacant(NEARLY_THE_LAST, NEARLY_THE_LAST, 1),
        vacant(NEARLY_THE_LAST + 1, NEARLY_THE_LAST + 1, i64::MAX),
        vacant(1 << 50, 1 << 50, 1 << 60),
        vacant(9, 8, 1 << 60),
    ];
    for record in forged {
        let (mut stage, first, second) = led(1_000_000);
        for _ in 0..40 {
            let told = stage.release(record.clone(), None);
            stage.hand_in(second, told);
            stage.pass(SECOND / 20);
            assert_eq!(stage.role(first), Role::Leading, "{record:?}");
        }
        stage.players[first].alive = false;
        let died = stage.now;
        for _ in 0..160 {
            let told = stage.release(record.clone(), None);
            stage.hand_in(second, told);
            stage.pass(SECOND / 20);
        }
        let (at, term) = stage.elected(second).expect("no one else is there");
        assert!(at.since(died) <= window() + 2 * SECOND, "{record:?}");
        // The store's clock is stopped here, so terms are numbered by the time that passes.
        assert!(
            term.get() < (1_000_000 + 20_000) * 1000,
            "{term} after {record:?}"
        );
    }
}

/// Each of them makes it claim, and is refused: what was refused everywhere counts for nothing.
#[test]
fn a_flood_of_forged_releases_does_not_lift_the_next_term() {
    let (mut stage, first, second) = led(1_000_000);
    for _ in 0..50_000 {
        let told = stage.release(vacant(2_000_000_000, 2, 1 << 60), None);
        stage.hand_in(second, told);
        stage.pass(Duration::ZERO);
    }
    assert!(stage.failed_claims(second) > 10_000);
    stage.hand_in(first, Input::WorkEnded(LossReason::Resigned));
    stage.pass(SECOND * 2);
    let (_, term) = stage.elected(second).expect("the record is vacant");
    assert!(term.get() < (1_000_000 + 20_000) * 1000, "{term}");
}

/// A token that was lifted would fall when the store loses its data.
#[test]
fn a_release_is_claimed_in_one_round_trip_under_a_term_that_the_replies_number() {
    let (mut stage, first, second) = led(1_000_000);
    stage.hand_in(first, Input::WorkEnded(LossReason::Resigned));
    stage.pass(Duration::ZERO);
    assert_eq!(stage.record.occupancy, Occupancy::Vacant);
    let told_of = Record {
        floor: Term::new(NEARLY_THE_LAST).unwrap(),
        ..stage.record.clone()
    };
    let sent = stage.sent;
    let told = stage.release(told_of, None);
    stage.hand_in(second, told);
    stage.pass(Duration::ZERO);
    assert_eq!(stage.sent, sent + 1, "it claims without looking first");
    let (at, term) = stage.elected(second).expect("the record is vacant");
    assert_eq!(at, stage.now);
    assert!(term.get() < (1_000_000 + 20_000) * 1000, "{term}");
}

/// `R2`: a frozen candidate knows too little to number a term, whatever it hears on waking up.
#[test]
fn a_release_that_was_told_over_a_pause_is_looked_at_before_it_is_claimed() {
    let (mut stage, first, second) = led(1_000_000);
    stage.players[second].alive = false;
    stage.pass(SECOND * 100);
    stage.hand_in(first, Input::WorkEnded(LossReason::Resigned));
    stage.pass(Duration::ZERO);
    // The clock of the store has run faster than that of the frozen candidate.
    stage.clock = WallMillis::new(1_000_000 + 103_000).unwrap();
    stage.players[second].alive = true;
    let record = stage.record.clone();
    let told = stage.release(record, None);
    stage.hand_in(second, told);
    stage.pass(SECOND / 100);
    let (_, term) = stage.elected(second).expect("the record is vacant");
    assert!(term.get() >= 1_103_000_000, "{term}");
}

/// It happens only through interference, so those concerned learn of it, once.
#[test]
fn a_floor_at_the_end_of_its_range_is_reported() {
    let mut stage = Stage::new(Durability::Durable);
    stage.record = vacant(Term::MAX.get(), 7, 7);
    let candidate = stage.enter("candidate");
    stage.pass(SECOND * 30);
    assert_eq!(stage.role(candidate), Role::Standby);
    let happened = stage.players[candidate].happened.iter();
    let reports = happened.filter(
        |(_, event)| matches!(event, Event::TermsUsedUp { store } if *store == first_store()),
    );
    assert_eq!(reports.count(), 1);
    let prospect = stage.players[candidate].candidate.prospect();
    assert_eq!(prospect, Prospect::TermsUsedUp);
}

/// `L1` is of no use to who has lost its data: the leader finds that out by its next heartbeat.
#[test]
fn a_store_that_forgot_a_live_leader_is_left_to_it() {
    // The record is gone, or is an older one in which no one led.
    for record in [Record::ABSENT, vacant(1, 1, 1)] {
        for seed in 0..40 {
            let mut stage = Stage::new(Durability::Forgetful);
            stage.clock = WallMillis::new(1_000_000).unwrap();
            let first = stage.enter("first");
            stage.pass(SECOND * 7 + SECOND / 40 * seed);
            let second = stage.enter("second");
            stage.pass(SECOND * 5 / 2);
            assert_eq!(stage.role(first), Role::Leading);
            stage.record = record.clone();
            stage.kept.restarted = true;
            stage.pass(SECOND * 20);
            let roles = (stage.role(first), stage.role(second));
            assert_eq!(roles, (Role::Leading, Role::Standby), "{record:?} {seed}");
        }
    }
}

/// A leader that is dead, too, is waited for no longer than it could come back.
#[test]
fn a_store_that_forgot_a_dead_leader_is_claimed_an_interval_and_a_half_later() {
    let mut stage = Stage::new(Durability::Forgetful);
    let first = stage.enter("first");
    stage.pass(SECOND * 7);
    let second = stage.enter("second");
    stage.pass(SECOND * 5 / 2);
    stage.players[first].alive = false;
    stage.record = Record::ABSENT;
    let wiped = stage.now;
    stage.pass(SECOND * 20);
    let (at, _) = stage.elected(second).expect("no one else is there");
    let took = at.since(wiped);
    assert!(took <= window() + SECOND * 5 / 2 + SECOND, "{took:?}");
}

/// The clock of the store was read before, perhaps long before it lost what a leader had been granted.
#[test]
fn a_release_under_a_memory_that_was_never_seen_is_looked_at_before_it_is_claimed() {
    let (mut stage, _, second) = led(1_000_000);
    let unseen = Memory::mature(MemoryId {
        made: WallMillis::ZERO,
        nonce: 77,
    });
    let mut told = stage.release(vacant(2_000_000_000, 2, 1 << 60), None);
    stage.hand_in(second, told.clone());
    stage.pass(Duration::ZERO);
    assert_eq!(stage.failed_claims(second), 1, "a memory that it knows");
    if let Input::Woken { memory, .. } = &mut told {
        *memory = unseen;
    }
    stage.hand_in(second, told);
    stage.pass(Duration::ZERO);
    assert_eq!(stage.failed_claims(second), 1);
}

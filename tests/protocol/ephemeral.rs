//! Elections that leave nothing behind: what a store deletes and keeps, and what a candidate concludes from it.

use std::time::Duration;

use incumbent::protocol::{
    Beat, CandidateId, Claim, ClaimKind, Handover, Input, LossReason, Mark, Memory, MemoryId,
    Occupancy, Order, Orders, Pause, Record, Reply, Request, Role, State, Term, Timing, Verdict,
    WallMillis, apply,
};

use super::kept::Durability;
use super::rules::Stage;

const CLOCK_MS: u64 = 1_700_000_000_000;
/// The first term of that moment.
const CLOCK_TERM: u64 = CLOCK_MS * 1000;
const FRESH: MemoryId = MemoryId {
    made: WallMillis::ZERO,
    nonce: 1,
};

fn clock() -> WallMillis {
    WallMillis::new(CLOCK_MS).expect("a clock")
}

fn term(number: u64) -> Term {
    Term::new(number).expect("a valid term")
}

fn me() -> CandidateId {
    "me".parse().expect("a valid id")
}

/// A record that I hold, on a store that lists it.
fn held(record: Record) -> State {
    State {
        memory: Some(Memory::mature(FRESH)),
        listed: Some(record.floor),
        restarted: false,
        record: Record {
            occupancy: Occupancy::Held {
                holder: me(),
                window: Duration::from_secs(5),
            },
            ..record
        },
    }
}

fn release(state: &State) -> (State, Verdict) {
    let request = Request::Release {
        holder: me(),
        term: state.record.term,
        reason: LossReason::Resigned,
        delete: true,
    };
    apply(state, &request, FRESH, clock())
}

fn numbered(floor: u64, counter: i64) -> Record {
    Record {
        floor: term(floor),
        term: term(5),
        beat: Beat::new(counter),
        ..Record::ABSENT
    }
}

/// R9.
#[test]
fn a_deletion_leaves_the_highest_term_and_counter_to_the_memory_and_nothing_else() {
    for (floor, counter, kept) in [(9, 5, 9), (5, 8, 8)] {
        let (after, verdict) = release(&held(numbered(floor, counter)));
        assert_eq!(verdict, Verdict::Granted);
        assert_eq!((after.record, after.listed), (Record::ABSENT, None));
        let memory = after.memory.expect("it stays");
        assert_eq!((memory.id, memory.floor), (FRESH, term(kept)));
    }
}

/// R9: an order that stands would be lost, and a term far ahead would use up those of all elections.
#[test]
fn a_record_that_is_needed_is_released_and_not_deleted() {
    let orders = |orders: Orders| Record {
        orders,
        ..numbered(9, 9)
    };
    let pause = Pause {
        until: None,
        by: me(),
        reason: None,
    };
    let handover = Handover {
        term: term(5),
        to: None,
    };
    let ahead = |ms: u64| (CLOCK_MS + ms) * 1000;
    let counter = |ms: u64| i64::try_from(ahead(ms)).expect("a counter");
    for (record, stays) in [
        (
            orders(Orders {
                paused: Some(pause),
                ..Orders::NONE
            }),
            true,
        ),
        (
            orders(Orders {
                handover: Some(handover),
                ..Orders::NONE
            }),
            true,
        ),
        (numbered(ahead(59_000), 9), false),
        (numbered(ahead(61_000), 9), true),
        (numbered(9, counter(59_000)), false),
        (numbered(9, counter(61_000)), true),
    ] {
        let before = held(record);
        let (after, verdict) = release(&before);
        assert_eq!(verdict, Verdict::Granted);
        let vacant = Record {
            occupancy: Occupancy::Vacant,
            ..before.record.clone()
        };
        let left = if stays { vacant } else { Record::ABSENT };
        assert_eq!(after.record, left);
        assert_eq!(after.memory == before.memory, stays);
    }
}

/// Where the store numbers the term, it is above everything and not behind its clock.
#[test]
fn an_only_store_numbers_the_term_and_lets_an_absent_record_be_claimed_unseen() {
    let claim = |proposed: u64, kind| {
        Request::Claim(Claim {
            holder: me(),
            term: term(proposed),
            expected: Mark::UNKNOWN,
            kind,
            after: Beat::default(),
            window: Duration::from_secs(5),
            attested: None,
            ephemeral: true,
        })
    };
    let ahead = CLOCK_TERM + 50_000_000;
    for (proposed, floor, granted) in [(1, 0, CLOCK_TERM), (1, ahead, ahead + 1), (ahead, 7, ahead)]
    {
        let memory = Memory {
            floor: term(floor),
            taken: 3,
            ..Memory::mature(FRESH)
        };
        let state = State {
            memory: Some(memory),
            ..State::EMPTY
        };
        let (after, verdict) = apply(&state, &claim(proposed, ClaimKind::Sole), FRESH, clock());
        assert_eq!(
            (verdict, after.record.term),
            (Verdict::Granted, term(granted))
        );
        assert!(
            after.record.beat.get().unsigned_abs() > floor,
            "no counter comes again"
        );
        for other in [ClaimKind::Shared, ClaimKind::Join] {
            let (_, verdict) = apply(&state, &claim(proposed, other), FRESH, clock());
            assert_eq!(verdict, Verdict::Refused, "{other:?}");
        }
        // Only an absent one.
        let (_, again) = apply(&after, &claim(proposed, ClaimKind::Sole), FRESH, clock());
        assert_eq!(again, Verdict::Refused);
    }
    let state = State {
        memory: Some(Memory {
            floor: Term::MAX,
            ..Memory::mature(FRESH)
        }),
        ..State::EMPTY
    };
    let (_, verdict) = apply(&state, &claim(1, ClaimKind::Sole), FRESH, clock());
    assert_eq!(verdict, Verdict::Refused, "the numbers are used up");
}

/// A counter that came again would pass for one that stalled.
#[test]
fn a_leader_that_joins_where_a_record_was_deleted_counts_on_from_there() {
    let (gone, _) = release(&held(numbered(5, 40)));
    let memory = gone.memory.expect("it stays");
    let join = Request::Claim(Claim {
        holder: me(),
        term: term(6),
        expected: gone.record.mark(&memory),
        kind: ClaimKind::Join,
        after: Beat::default(),
        window: Duration::from_secs(5),
        attested: None,
        ephemeral: true,
    });
    let (joined, verdict) = apply(&gone, &join, FRESH, clock());
    assert_eq!((verdict, joined.record.term), (Verdict::Granted, term(6)));
    assert_eq!(joined.record.beat, Beat::new(41));
}

#[test]
fn an_operator_forgets_what_no_one_holds_as_it_was_seen() {
    let forget = |state: &State, expected: Mark| {
        let order = Request::Order(Order::Forget { expected });
        apply(state, &order, FRESH, clock())
    };
    let holds = held(numbered(9, 12));
    let memory = holds.memory.expect("a memory");
    let (_, verdict) = forget(&holds, holds.record.mark(&memory));
    assert_eq!(verdict, Verdict::Refused, "it is held");
    let vacant = State {
        record: Record {
            occupancy: Occupancy::Vacant,
            ..numbered(9, 12)
        },
        ..holds
    };
    let seen = vacant.record.mark(&memory);
    let earlier = Mark {
        beat: Beat::new(11),
        ..seen
    };
    assert_eq!(
        forget(&vacant, earlier).1,
        Verdict::Refused,
        "it has changed since"
    );
    let (after, verdict) = forget(&vacant, seen);
    assert_eq!((verdict, after.record), (Verdict::Granted, Record::ABSENT));
    assert_eq!(after.memory.map(|memory| memory.floor), Some(term(12)));
    assert_eq!(after.listed, None);
}

/// The first claim of a name takes one round trip, whatever the process knows of the store.
#[test]
fn a_candidate_that_leaves_nothing_behind_leads_after_one_request_and_is_gone_after_another() {
    let mut stage = Stage::new(Durability::Durable);
    stage.clock = clock();
    let me = stage.enter_ephemeral("me");
    stage.pass(Duration::from_millis(1));
    assert_eq!((stage.role(me), stage.sent), (Role::Leading, 1));
    let (_, led) = stage.elected(me).expect("a term");
    assert_eq!(
        (led, stage.record.term),
        (term(CLOCK_TERM), term(CLOCK_TERM))
    );
    stage.hand_in(me, Input::WorkEnded(LossReason::Resigned));
    stage.pass(Duration::from_millis(1));
    assert_eq!((stage.role(me), stage.sent), (Role::Done, 2));
    assert_eq!(stage.record, Record::ABSENT);
    let next = stage.enter_ephemeral("next");
    stage.pass(Duration::from_millis(1));
    assert!(stage.elected(next).is_some_and(|(_, term)| term > led));
}

/// A refusal shows as much as a poll, so the claim is not sent again. It polls, so that the store lists it.
#[test]
fn a_candidate_that_claims_a_held_name_unseen_waits_for_it_like_any_other() {
    let mut stage = Stage::new(Durability::Durable);
    let leader = stage.enter_ephemeral("leader");
    stage.pass(Duration::from_millis(10));
    let sent = stage.sent;
    let standby = stage.enter_ephemeral("standby");
    stage.pass(Duration::from_millis(500));
    assert_eq!((stage.role(standby), stage.sent), (Role::Standby, sent + 2));
    stage.hand_in(leader, Input::WorkEnded(LossReason::Resigned));
    stage.pass(Duration::from_secs(1));
    assert_eq!(
        stage.role(standby),
        Role::Leading,
        "its poll finds the record absent"
    );
}

/// L1.
#[test]
fn a_standby_that_hears_of_a_deletion_leads_after_one_round_trip() {
    let mut stage = Stage::new(Durability::Durable);
    stage.clock = clock();
    let leader = stage.enter_ephemeral("leader");
    stage.pass(Duration::from_millis(10));
    let standby = stage.enter_ephemeral("standby");
    stage.pass(Duration::from_millis(500));
    stage.hand_in(leader, Input::WorkEnded(LossReason::Resigned));
    let woken = stage.release(Record::ABSENT, None);
    stage.hand_in(standby, woken);
    stage.pass(Duration::from_millis(1));
    assert_eq!(stage.role(standby), Role::Leading);
}

/// Of a loss the store does not say that the record was released: its leader may come back.
#[test]
fn a_word_of_a_deletion_under_another_memory_is_looked_into_first() {
    let mut stage = Stage::new(Durability::Durable);
    let leader = stage.enter_ephemeral("leader");
    let standby = stage.enter_ephemeral("standby");
    stage.pass(Duration::from_millis(500));
    assert_eq!(stage.role(leader), Role::Leading);
    let sent = stage.sent;
    stage.record = Record::ABSENT;
    stage.kept.begin_again();
    // Deletions in other elections have raised it.
    stage.kept.memory = stage.kept.memory.map(|memory| Memory {
        floor: term(CLOCK_TERM),
        ..memory
    });
    let woken = stage.release(Record::ABSENT, None);
    stage.hand_in(standby, woken);
    stage.pass(Duration::from_millis(1));
    let polled = (Role::Standby, sent + 1);
    assert_eq!(
        (stage.role(standby), stage.sent),
        polled,
        "it claims nothing"
    );
    stage.pass(Duration::from_secs(2));
    assert_eq!(stage.role(leader), Role::Leading, "it has joined again");
}

/// The term is the store's, and so is that of the release.
#[test]
fn a_claim_whose_grant_was_lost_is_released_under_the_term_that_the_store_gave_it() {
    for leaves in [false, true] {
        let mut stage = Stage::new(Durability::Durable);
        stage.clock = clock();
        // The answer to the claim takes longer than any timeout.
        stage.delay = |request| match request {
            Request::Claim(_) => Duration::from_secs(3600),
            _ => Duration::ZERO,
        };
        let me = stage.enter_ephemeral("me");
        stage.pass(Duration::from_millis(10));
        assert_eq!(
            stage.record.term,
            term(CLOCK_TERM),
            "granted, and it does not know"
        );
        if leaves {
            stage.hand_in(me, Input::Resign(LossReason::Resigned));
            stage.pass(Duration::from_millis(10));
            assert_eq!(stage.role(me), Role::Done);
        } else {
            stage.pass(Timing::default().op_timeout() + Duration::from_millis(10));
        }
        assert_eq!(stage.record, Record::ABSENT, "leaves: {leaves}");
    }
}

/// It was released by someone who knows its work to be dead, as a supervisor does.
#[test]
fn a_leader_whose_record_is_absent_under_the_memory_that_acknowledged_it_is_over() {
    let mut stage = Stage::new(Durability::Durable);
    let leader = stage.enter_ephemeral("leader");
    stage.pass(Duration::from_millis(1500));
    let (_, led) = stage.elected(leader).expect("it leads");
    let released: Reply = stage.execute(&Request::Release {
        holder: "leader".parse().expect("a valid id"),
        term: led,
        reason: LossReason::ElectorDied,
        delete: true,
    });
    assert_eq!(released.verdict, Verdict::Granted);
    stage.pass(Duration::from_secs(3));
    assert_eq!(stage.role(leader), Role::Draining);
    assert_eq!(stage.record, Record::ABSENT, "it does not join again");
}

//! `apply`, the specification: what no sequence of requests can bring about.

use std::collections::BTreeSet;
use std::time::Duration;

use incumbent::protocol::{
    Attestation, Beat, CandidateId, Claim, ClaimKind, LossReason, Mark, Memory, MemoryId,
    Occupancy, Order, Orders, Record, Request, Shape, State, Term, Verdict, WallMillis, apply,
};
use proptest::prelude::*;

use super::support::seed;

const WINDOW: Duration = Duration::from_secs(5);
const CLOCK: WallMillis = WallMillis::ZERO;

fn id(number: u8) -> CandidateId {
    CandidateId::new(&format!("c{number}")).expect("a valid id")
}

fn term(number: u64) -> Term {
    Term::new(number).expect("a valid term")
}

/// A request relative to the record that it meets: mostly one that is granted.
#[derive(Clone, Debug)]
enum Attempt {
    Observe,
    Claim {
        stale: bool,
        rise: i8,
        kind: ClaimKind,
        vouches: Vouches,
    },
    Beat {
        other_term: bool,
        vouches: Vouches,
    },
    Release {
        other_term: bool,
        delete: bool,
    },
    Pause,
    Resume,
    Resign {
        other_term: bool,
    },
    Depose {
        stale: bool,
    },
    Forget {
        stale: bool,
    },
    /// Not a request: the record alone is lost, or the memory alone.
    Lose {
        record: bool,
    },
}

/// Of which memory a candidate says how old it is, if of any.
#[derive(Clone, Copy, Debug)]
enum Vouches {
    No,
    This { seconds: u64 },
    Another { seconds: u64 },
}

fn attempts() -> impl Strategy<Value = Vec<(u8, Attempt)>> {
    let rare = || prop::bool::weighted(0.2);
    let seconds = || prop_oneof![0..10_u64, 0..1_000_000_u64];
    let vouches = prop_oneof![
        1 => Just(Vouches::No),
        3 => seconds().prop_map(|seconds| Vouches::This { seconds }),
        1 => seconds().prop_map(|seconds| Vouches::Another { seconds }),
    ];
    let kind = prop_oneof![
        1 => Just(ClaimKind::Shared),
        1 => Just(ClaimKind::Sole),
        2 => Just(ClaimKind::Join),
    ];
    let attempt = prop_oneof![
        1 => any::<bool>().prop_map(|record| Attempt::Lose { record }),
        1 => Just(Attempt::Observe),
        4 => (rare(), -2..5_i8, kind, vouches.clone())
            .prop_map(|(stale, rise, kind, vouches)| Attempt::Claim { stale, rise, kind, vouches }),
        6 => (rare(), vouches)
            .prop_map(|(other_term, vouches)| Attempt::Beat { other_term, vouches }),
        2 => (rare(), any::<bool>())
            .prop_map(|(other_term, delete)| Attempt::Release { other_term, delete }),
        1 => Just(Attempt::Pause),
        2 => Just(Attempt::Resume),
        1 => rare().prop_map(|other_term| Attempt::Resign { other_term }),
        1 => rare().prop_map(|stale| Attempt::Depose { stale }),
        1 => rare().prop_map(|stale| Attempt::Forget { stale }),
    ];
    prop::collection::vec((0..3_u8, attempt), 1..60)
}

const NOBODYS: MemoryId = MemoryId {
    made: CLOCK,
    nonce: u64::MAX,
};

fn fresh(nonce: usize) -> MemoryId {
    MemoryId {
        made: CLOCK,
        nonce: nonce as u64,
    }
}

/// What happens to a state: a request, or `None` for a loss.
fn request(by: u8, attempt: &Attempt, state: &State) -> Option<Request> {
    let State { memory, record, .. } = state;
    let memory = memory.unwrap_or(Memory::young(NOBODYS));
    let attested = |vouches: Vouches| {
        let word = |memory, seconds| {
            let age = Duration::from_secs(seconds);
            Some(Attestation { memory, age })
        };
        match vouches {
            Vouches::No => None,
            Vouches::This { seconds } => word(memory.id, seconds),
            Vouches::Another { seconds } => word(NOBODYS, seconds),
        }
    };
    let own = |other: bool| term(record.term.get() + u64::from(other));
    let mark = |stale: bool| {
        let mark = record.mark(&memory);
        let beat = Beat::new(mark.beat.get() - i64::from(stale));
        Mark { beat, ..mark }
    };
    Some(match *attempt {
        Attempt::Lose { .. } => return None,
        Attempt::Observe => Request::Observe,
        Attempt::Claim {
            stale,
            rise,
            kind,
            vouches,
        } => Request::Claim(Claim {
            holder: id(by),
            term: term(
                record
                    .floor
                    .max(memory.floor)
                    .get()
                    .saturating_add_signed(i64::from(rise))
                    .max(1),
            ),
            expected: mark(stale),
            kind,
            after: Beat::default(),
            window: WINDOW,
            attested: attested(vouches),
            ephemeral: false,
        }),
        Attempt::Beat {
            other_term,
            vouches,
        } => Request::Beat {
            holder: id(by),
            term: own(other_term),
            attested: attested(vouches),
        },
        Attempt::Release { other_term, delete } => Request::Release {
            holder: id(by),
            term: own(other_term),
            reason: LossReason::Resigned,
            delete,
        },
        Attempt::Pause => Request::Order(Order::Pause {
            lasts: None,
            by: id(by),
            reason: None,
            replaces: true,
        }),
        Attempt::Resume => Request::Order(Order::Resume),
        Attempt::Resign { other_term } => Request::Order(Order::Resign {
            term: own(other_term),
            to: None,
        }),
        Attempt::Depose { stale } => Request::Order(Order::Depose {
            expected: mark(stale),
        }),
        Attempt::Forget { stale } => Request::Order(Order::Forget {
            expected: mark(stale),
        }),
    })
}

/// Shows each step of random sequences to `judge`: before, the request, after, the verdict.
fn each_step(
    test: &str,
    judge: impl Fn(&State, &Request, &State, Verdict) -> Result<(), TestCaseError>,
) {
    let place = format!("--test protocol {test}");
    seed::check(&place, 1000, &attempts(), |attempts| {
        let mut state = State::EMPTY;
        for (step, (by, attempt)) in attempts.iter().enumerate() {
            match request(*by, attempt, &state) {
                None => lose(&mut state, attempt),
                Some(request) => {
                    let (after, verdict) = apply(&state, &request, fresh(step), CLOCK);
                    judge(&state, &request, &after, verdict)?;
                    state = after;
                }
            }
        }
        Ok(())
    });
}

fn lose(state: &mut State, attempt: &Attempt) {
    if matches!(attempt, Attempt::Lose { record: true }) {
        state.record = Record::ABSENT;
    } else {
        (state.memory, state.listed) = (None, None);
    }
}

fn memory(state: &State) -> Memory {
    state.memory.expect("a request makes a memory")
}

/// The highest term that a store knows to have been granted.
fn highest(state: &State) -> Term {
    let all = state.memory.map(|memory| memory.floor).max(state.listed);
    state.record.floor.max(all.unwrap_or_default())
}

/// S2, R8 and R9 within one store, over deletions and losses of the record.
#[test]
fn no_term_is_granted_twice_and_a_claim_that_is_no_join_rises_above_every_floor() {
    each_step(
        "no_term_is_granted_twice",
        |before, request, after, verdict| {
            prop_assert!(after.record.term <= after.record.floor);
            prop_assert!(highest(after) >= highest(before));
            let leads = matches!(request, Request::Claim(claim) if claim.kind != ClaimKind::Join);
            if leads && verdict == Verdict::Granted {
                prop_assert!(after.record.term > highest(before));
            }
            Ok(())
        },
    );
}

/// S3.
#[test]
fn nobody_but_its_holder_beats_or_releases_a_record() {
    each_step("nobody_but_its_holder", |state, request, next, verdict| {
        let (before, after) = (&state.record, &next.record);
        // A memory that begins with the request is not the one expected.
        let memory = memory(next);
        let known = state.memory.is_some_and(|before| before.id == memory.id);
        let mark = before.mark(&state.memory.unwrap_or(Memory::young(NOBODYS)));
        match request {
            Request::Beat { holder, term, .. } | Request::Release { holder, term, .. } => {
                let holds = before.is_held_by(holder, *term);
                prop_assert_eq!(verdict == Verdict::Granted, holds);
            }
            Request::Observe => prop_assert_eq!((before, verdict), (after, Verdict::Granted)),
            Request::Claim(claim) => {
                let joins = claim.kind == ClaimKind::Join;
                let sole = claim.kind == ClaimKind::Sole;
                let absent = |mark: &Mark| matches!(mark.shape, Shape::Absent { .. });
                let seen = known && claim.expected == mark
                    || sole && absent(&claim.expected) && absent(&mark);
                let rises = joins || sole || claim.term > before.floor.max(memory.floor);
                let free = joins || before.orders.paused.is_none();
                prop_assert_eq!(verdict == Verdict::Granted, seen && rises && free);
                if verdict == Verdict::Granted {
                    prop_assert!(after.is_held_by(&claim.holder, after.term));
                    prop_assert!(after.term == claim.term || sole && after.term > claim.term);
                }
            }
            // An order vacates what stands as it was seen, and makes no one a holder.
            Request::Order(Order::Depose { expected }) => {
                let held = before.holder().is_some() && known && mark == *expected;
                prop_assert_eq!(verdict == Verdict::Granted, held);
                prop_assert!(!held || after.occupancy == Occupancy::Vacant);
            }
            Request::Order(Order::Forget { expected }) => {
                let left = before.is_free() && known && mark == *expected;
                let forgotten = left && before.orders == Orders::NONE;
                prop_assert_eq!(verdict == Verdict::Granted, forgotten);
                prop_assert!(!forgotten || *after == Record::ABSENT);
            }
            Request::Order(_) => prop_assert_eq!(before.mark(&memory), after.mark(&memory)),
        }
        if verdict == Verdict::Refused {
            prop_assert_eq!(before, after, "a refusal changes no record");
        }
        Ok(())
    });
}

/// Otherwise a contender could take the counter of a new holder for the stalled one.
#[test]
fn under_one_memory_no_counter_is_written_twice() {
    let place = "--test protocol under_one_memory_no_counter";
    seed::check(place, 500, &attempts(), |attempts| {
        let mut state = State::EMPTY;
        let mut written = BTreeSet::new();
        for (step, (by, attempt)) in attempts.iter().enumerate() {
            let Some(request) = request(*by, attempt, &state) else {
                lose(&mut state, attempt);
                continue;
            };
            let (after, verdict) = apply(&state, &request, fresh(step), CLOCK);
            let writes = matches!(request, Request::Claim(_) | Request::Beat { .. });
            if writes && verdict == Verdict::Granted {
                let new = written.insert((memory(&after).id, after.record.beat));
                prop_assert!(new, "{:?} again", after.record.beat);
                prop_assert!(after.record.beat > state.record.beat);
            }
            state = after;
        }
        Ok(())
    });
}

/// R7, and what R5 rests on.
#[test]
fn a_memory_begins_anew_where_the_record_is_missed_and_grows_old_by_what_is_said_of_it_alone() {
    each_step("a_memory_begins_anew", |before, request, after, verdict| {
        let now = memory(after);
        let lists = matches!(request, Request::Claim(_) | Request::Beat { .. });
        if verdict == Verdict::Granted && lists {
            prop_assert_eq!(after.listed, Some(after.record.floor));
        }
        let missed = before.listed.is_some() && before.record.floor == Term::ZERO;
        let Some(then) = before.memory.filter(|_| !missed) else {
            let word = match request {
                Request::Claim(claim) => claim.attested,
                Request::Beat { attested, .. } => *attested,
                _ => None,
            };
            prop_assert!(word.is_none_or(|word| word.memory != now.id));
            prop_assert!(before.memory.is_none_or(|then| then.id != now.id));
            prop_assert_eq!(now.age, Duration::ZERO);
            prop_assert!(Some(now.floor) >= before.listed.filter(|_| before.memory.is_some()));
            return Ok(());
        };
        prop_assert_eq!(then.id, now.id);
        prop_assert!(now.floor >= then.floor);
        let word = match (request, verdict) {
            (Request::Claim(claim), Verdict::Granted) => claim.attested,
            (Request::Beat { attested, .. }, Verdict::Granted) => *attested,
            _ => None,
        };
        let said = word
            .filter(|word| word.memory == now.id)
            .map(|word| word.age);
        let oldest = said.unwrap_or_default().max(then.age).min(Memory::MATURE);
        prop_assert_eq!(now.age, oldest);
        let granted = verdict == Verdict::Granted;
        let hands = matches!(
            request,
            Request::Claim(_) | Request::Order(Order::Depose { .. })
        );
        let taken = granted && hands && !before.record.is_free();
        prop_assert_eq!(now.taken, then.taken + u64::from(taken));
        Ok(())
    });
}

#[test]
fn a_foreign_counter_is_taken_over_by_its_exact_value_and_never_written_again() {
    let place = "--test protocol a_foreign_counter";
    let counters = prop::option::of(prop_oneof![
        any::<i64>(),
        Just(i64::MAX),
        Just(i64::MIN),
        (0..10_i64).prop_map(|below| (1 << 60) - below),
    ]);
    seed::check(
        place,
        500,
        &(counters, 1..1_000_000_u64),
        |(counter, number)| {
            let counter = counter.map(Beat::new);
            let memory = Memory::young(fresh(1));
            let record = Record {
                occupancy: Occupancy::Foreign {
                    counter,
                    window: WINDOW,
                },
                ..Record::ABSENT
            };
            let claim = |expected| {
                Request::Claim(Claim {
                    holder: id(1),
                    term: term(number),
                    expected,
                    kind: ClaimKind::Shared,
                    after: Beat::default(),
                    window: WINDOW,
                    attested: None,
                    ephemeral: false,
                })
            };
            let other = counter.map_or(Beat::new(0), |seen| Beat::new(seen.get().wrapping_add(1)));
            let moved = Mark {
                shape: Shape::Foreign(Some(other)),
                ..record.mark(&memory)
            };
            for (by, request) in [
                (Verdict::Refused, claim(moved)),
                (Verdict::Refused, claim(Record::ABSENT.mark(&memory))),
                (Verdict::Granted, claim(record.mark(&memory))),
            ] {
                let state = State {
                    memory: Some(memory),
                    restarted: false,
                    listed: None,
                    record: record.clone(),
                };
                let (after, verdict) = apply(&state, &request, NOBODYS, CLOCK);
                prop_assert_eq!(verdict, by);
                prop_assert!(verdict == Verdict::Refused || Some(after.record.beat) != counter);
            }
            Ok(())
        },
    );
}

/// Whoever may write can forge a floor, and delete the record after that.
#[test]
fn a_floor_far_ahead_of_the_clock_does_not_reach_the_memory() {
    for (ahead, kept) in [(59_000, true), (61_000, false)] {
        let clock = WallMillis::new(1_000_000).expect("a clock");
        let floor = term((1_000_000 + ahead) * 1000);
        let state = State {
            memory: Some(Memory::young(fresh(1))),
            listed: Some(floor),
            ..State::EMPTY
        };
        let (after, _) = apply(&state, &Request::Observe, fresh(2), clock);
        assert_eq!(memory(&after).id, fresh(2));
        assert_eq!(memory(&after).floor == floor, kept, "{ahead} ms ahead");
    }
}

/// A foreign program sets its counter to 1, deletes it, and sets it to 1 again. Between the two the record was held,
/// taken over and deleted: a claim that saw the first must not take the second for it.
#[test]
fn a_foreign_counter_without_a_record_differs_once_hands_have_changed() {
    let touched = Record {
        occupancy: Occupancy::Foreign {
            counter: Some(Beat::new(1)),
            window: Duration::ZERO,
        },
        ..Record::ABSENT
    };
    let before = Memory::mature(fresh(1));
    let after = Memory {
        taken: before.taken + 1,
        ..before
    };
    assert_ne!(touched.mark(&before), touched.mark(&after));
}

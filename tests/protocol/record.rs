//! `apply`, the specification: what no sequence of requests can bring about.

use std::collections::BTreeSet;
use std::time::Duration;

use incumbent::protocol::{
    Beat, CandidateId, Claim, Durability, LossReason, Mark, Occupancy, Order, Record, Request,
    Shape, Term, Verdict, WallMillis, apply,
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
    Claim { stale: bool, rise: i8, join: bool },
    Beat { other_term: bool, proven: bool },
    Release { other_term: bool },
    Pause,
    Resume,
    Resign { other_term: bool },
    Depose { stale: bool },
}

fn attempts() -> impl Strategy<Value = Vec<(u8, Attempt)>> {
    let rare = || prop::bool::weighted(0.2);
    let attempt = prop_oneof![
        1 => Just(Attempt::Observe),
        4 => (rare(), -2..5_i8, any::<bool>())
            .prop_map(|(stale, rise, join)| Attempt::Claim { stale, rise, join }),
        6 => (rare(), any::<bool>())
            .prop_map(|(other_term, proven)| Attempt::Beat { other_term, proven }),
        2 => rare().prop_map(|other_term| Attempt::Release { other_term }),
        1 => Just(Attempt::Pause),
        2 => Just(Attempt::Resume),
        1 => rare().prop_map(|other_term| Attempt::Resign { other_term }),
        1 => rare().prop_map(|stale| Attempt::Depose { stale }),
    ];
    prop::collection::vec((0..3_u8, attempt), 1..60)
}

fn request(by: u8, attempt: &Attempt, record: &Record) -> Request {
    let own = |other: bool| term(record.term.get() + u64::from(other));
    let mark = |stale: bool| {
        let mark = record.mark();
        let beat = Beat::new(mark.beat.get() - i64::from(stale));
        Mark { beat, ..mark }
    };
    match *attempt {
        Attempt::Observe => Request::Observe,
        Attempt::Claim { stale, rise, join } => Request::Claim(Claim {
            holder: id(by),
            term: term(
                record
                    .floor
                    .get()
                    .saturating_add_signed(i64::from(rise))
                    .max(1),
            ),
            expected: mark(stale),
            join,
            after: Beat::default(),
            window: WINDOW,
        }),
        Attempt::Beat { other_term, proven } => Request::Beat {
            holder: id(by),
            term: own(other_term),
            proven,
        },
        Attempt::Release { other_term } => Request::Release {
            holder: id(by),
            term: own(other_term),
            reason: LossReason::Resigned,
        },
        Attempt::Pause => Request::Order(Order::Pause {
            lasts: None,
            by: id(by),
            reason: None,
        }),
        Attempt::Resume => Request::Order(Order::Resume),
        Attempt::Resign { other_term } => Request::Order(Order::Resign {
            term: own(other_term),
            to: None,
        }),
        Attempt::Depose { stale } => Request::Order(Order::Depose {
            expected: mark(stale),
        }),
    }
}

/// Shows each step of random sequences to `judge`: before, the request, after, the verdict.
fn each_step(
    test: &str,
    judge: impl Fn(&Record, &Request, &Record, Verdict, Durability) -> Result<(), TestCaseError>,
) {
    let durability = prop_oneof![Just(Durability::Durable), Just(Durability::Forgetful)];
    let place = format!("--test protocol {test}");
    seed::check(
        &place,
        500,
        &(durability, attempts()),
        |(durability, attempts)| {
            let mut record = Record::ABSENT;
            for (by, attempt) in &attempts {
                let request = request(*by, attempt, &record);
                let (after, verdict) = apply(&record, &request, durability, CLOCK);
                judge(&record, &request, &after, verdict, durability)?;
                record = after;
            }
            Ok(())
        },
    );
}

/// S2 within one store.
#[test]
fn the_floor_never_falls_and_a_claim_that_is_no_join_rises_above_it() {
    each_step(
        "the_floor_never_falls",
        |before, request, after, verdict, _| {
            prop_assert!(after.floor >= before.floor);
            prop_assert!(after.term <= after.floor);
            if let (Request::Claim(Claim { join: false, .. }), Verdict::Granted) =
                (request, verdict)
            {
                prop_assert!(after.term > before.floor);
            }
            Ok(())
        },
    );
}

/// S3.
#[test]
fn nobody_but_its_holder_beats_or_releases_a_record() {
    each_step(
        "nobody_but_its_holder",
        |before, request, after, verdict, _| {
            match request {
                Request::Beat { holder, term, .. } | Request::Release { holder, term, .. } => {
                    let holds = before.is_held_by(holder, *term);
                    prop_assert_eq!(verdict == Verdict::Granted, holds);
                }
                Request::Observe => prop_assert_eq!((before, verdict), (after, Verdict::Granted)),
                Request::Claim(claim) => {
                    let rises = claim.join || claim.term > before.floor;
                    let free = claim.join || before.orders.paused.is_none();
                    let granted = claim.expected == before.mark() && rises && free;
                    prop_assert_eq!(verdict == Verdict::Granted, granted);
                    prop_assert!(!granted || after.is_held_by(&claim.holder, claim.term));
                }
                // An order vacates what stands as it was seen, and makes no one a holder.
                Request::Order(Order::Depose { expected }) => {
                    let held = before.holder().is_some() && before.mark() == *expected;
                    prop_assert_eq!(verdict == Verdict::Granted, held);
                    prop_assert!(!held || after.occupancy == Occupancy::Vacant);
                }
                Request::Order(_) => prop_assert_eq!(before.mark(), after.mark()),
            }
            if verdict == Verdict::Refused {
                prop_assert_eq!(before, after, "a refusal changes nothing");
            }
            Ok(())
        },
    );
}

/// Otherwise a contender could take the counter of a new holder for the stalled one.
#[test]
fn no_counter_is_written_twice() {
    let place = "--test protocol no_counter_is_written_twice";
    seed::check(place, 500, &attempts(), |attempts| {
        let mut record = Record::ABSENT;
        let mut written = BTreeSet::new();
        for (by, attempt) in &attempts {
            let request = request(*by, attempt, &record);
            let (after, verdict) = apply(&record, &request, Durability::Forgetful, CLOCK);
            let writes = matches!(request, Request::Claim(_) | Request::Beat { .. });
            if writes && verdict == Verdict::Granted {
                prop_assert!(written.insert(after.beat), "{:?} again", after.beat);
                prop_assert!(after.beat > record.beat);
            }
            record = after;
        }
        Ok(())
    });
}

/// R8, and R7's end of it.
#[test]
fn unproven_comes_from_nothing_on_a_forgetful_store_and_goes_by_a_proven_beat_only() {
    each_step(
        "unproven_comes_from_nothing",
        |before, request, after, verdict, durability| {
            let granted = verdict == Verdict::Granted;
            match (before.unproven, after.unproven) {
                (false, true) => {
                    prop_assert!(granted && matches!(request, Request::Claim(_)));
                    prop_assert_eq!(before.term, Term::ZERO);
                    prop_assert_eq!(durability, Durability::Forgetful);
                }
                (true, false) => {
                    let proves = matches!(request, Request::Beat { proven: true, .. });
                    prop_assert!(granted && proves);
                }
                (false, false) => {
                    let first = granted
                        && before.term == Term::ZERO
                        && matches!(request, Request::Claim(_));
                    prop_assert!(!first || durability == Durability::Durable);
                }
                (true, true) => {}
            }
            Ok(())
        },
    );
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
                    join: false,
                    after: Beat::default(),
                    window: WINDOW,
                })
            };
            let other = counter.map_or(Beat::new(0), |seen| Beat::new(seen.get().wrapping_add(1)));
            let moved = Mark {
                shape: Shape::Foreign(Some(other)),
                ..record.mark()
            };
            for (by, request) in [
                (Verdict::Refused, claim(moved)),
                (Verdict::Refused, claim(Record::ABSENT.mark())),
                (Verdict::Granted, claim(record.mark())),
            ] {
                let (after, verdict) = apply(&record, &request, Durability::Forgetful, CLOCK);
                prop_assert_eq!(verdict, by);
                prop_assert!(verdict == Verdict::Refused || Some(after.beat) != counter);
            }
            Ok(())
        },
    );
}

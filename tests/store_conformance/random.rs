//! Random sequences of what can happen to a record and to the memory of its store.

use std::time::Duration;

use incumbent::protocol::{
    Attestation, Beat, Claim, ClaimKind, HostName, LossReason, Mark, Order, Reason, Request, Shape,
    Successor, Term,
};
use incumbent::store::Identity;
use proptest::prelude::*;

use super::Fixture;
use super::model::Model;
use super::requests::{granted, name, term, who};
use super::support::seed;

/// One thing that happens to a record, relative to what it is by then.
#[derive(Clone, Debug)]
enum Happening {
    Observe,
    Claim {
        aim: Aim,
        /// The term above, at or below the floors; `None` is the highest there is.
        rise: Option<i8>,
        kind: ClaimKind,
        after: i64,
        window_ms: u64,
        word: Option<Word>,
        ephemeral: bool,
    },
    Beat {
        own_term: bool,
        word: Option<Word>,
    },
    Release {
        own_term: bool,
        delete: bool,
    },
    Pause {
        lasts_ms: Option<u64>,
        reason: Option<String>,
        replaces: bool,
    },
    Resume,
    Resign {
        own_term: bool,
        to: u8,
    },
    Depose {
        aim: Aim,
    },
    ForgetRecord {
        aim: Aim,
    },
    Touch(Touch),
    Lose,
    ChangeRole,
    Forget,
}

/// How a claim's expectation differs from what is there.
#[derive(Clone, Debug)]
enum Aim {
    Exact,
    Beat(i8),
    Term(i8),
    Shape(Shape),
    /// Where no record is there, how often others have changed hands.
    Taken(i8),
    EarlierMemory,
    Earlier(prop::sample::Index),
}

/// What a candidate says about the age of the memory.
#[derive(Clone, Debug)]
struct Word {
    of_this_memory: bool,
    /// In milliseconds.
    age: Age,
}

#[derive(Clone, Debug)]
enum Age {
    More(i8),
    Exactly(u64),
}

/// What a stranger does to the counter.
#[derive(Clone, Debug)]
enum Touch {
    Delete,
    Set(i64),
    FromBeat(i8),
}

fn aims() -> impl Strategy<Value = Aim> + Clone {
    let shape = prop_oneof![
        any::<u64>().prop_map(|taken| Shape::Absent { taken }),
        Just(Shape::Vacant),
        Just(Shape::Held),
        Just(Shape::Foreign(None)),
        any::<i64>().prop_map(|counter| Shape::Foreign(Some(Beat::new(counter)))),
    ];
    prop_oneof![
        16 => Just(Aim::Exact),
        2 => (-2..3_i8).prop_map(Aim::Beat),
        2 => (-2..3_i8).prop_map(Aim::Term),
        2 => shape.prop_map(Aim::Shape),
        1 => (-1..2_i8).prop_map(Aim::Taken),
        1 => Just(Aim::EarlierMemory),
        2 => any::<prop::sample::Index>().prop_map(Aim::Earlier),
    ]
}

fn words() -> impl Strategy<Value = Option<Word>> + Clone {
    let age = prop_oneof![
        2 => (-2..3_i8).prop_map(Age::More),
        1 => (0..100_000_000_u64).prop_map(Age::Exactly),
        1 => prop_oneof![Just(0), Just(86_400_000), Just(u64::MAX)].prop_map(Age::Exactly),
    ];
    let mostly = prop_oneof![3 => Just(true), 1 => Just(false)];
    let word = (mostly, age).prop_map(|(of_this_memory, age)| Word {
        of_this_memory,
        age,
    });
    prop::option::of(word)
}

fn happenings() -> impl Strategy<Value = Vec<(u8, Happening)>> {
    let after = prop_oneof![
        3 => Just(0),
        1 => any::<i64>(),
        1 => (0..3_i64).prop_map(|near| (1 << 53) + near),
        1 => (-1..2_i64).prop_map(|near| (1 << 60) + near),
    ];
    let rise = prop_oneof![
        16 => (1..100_i8).prop_map(Some),
        4 => (-2..1_i8).prop_map(Some),
        1 => Just(None),
    ];
    let kind = prop_oneof![
        1 => Just(ClaimKind::Shared),
        1 => Just(ClaimKind::Sole),
        2 => Just(ClaimKind::Join),
    ];
    let window_ms = 1..86_400_000_u64;
    let claim = (aims(), rise, kind, after, window_ms, words(), any::<bool>()).prop_map(
        |(aim, rise, kind, after, window_ms, word, ephemeral)| Happening::Claim {
            aim,
            rise,
            kind,
            after,
            window_ms,
            word,
            ephemeral,
        },
    );
    let touch = prop_oneof![
        2 => Just(Touch::Delete),
        2 => (-1..3_i8).prop_map(Touch::FromBeat),
        1 => any::<i64>().prop_map(Touch::Set),
        1 => prop_oneof![Just(i64::MAX), Just(i64::MIN), Just(0), Just(1 << 60)].prop_map(Touch::Set),
    ];
    let own = prop_oneof![5 => Just(true), 1 => Just(false)];
    // Those that are over at once, or after a step or two, are as good as none.
    let lasts = prop_oneof![
        Just(None),
        Just(Some(0)),
        (1..20_u64).prop_map(Some),
        Just(Some(3_600_000)),
        Just(Some(u64::MAX)),
    ];
    let happening = prop_oneof![
        4 => Just(Happening::Observe),
        12 => claim,
        12 => (own.clone(), words())
            .prop_map(|(own_term, word)| Happening::Beat { own_term, word }),
        6 => (own.clone(), any::<bool>())
            .prop_map(|(own_term, delete)| Happening::Release { own_term, delete }),
        2 => (lasts, prop::option::of("[^\\pC]{1,40}"), any::<bool>())
            .prop_map(|(lasts_ms, reason, replaces)| Happening::Pause { lasts_ms, reason, replaces }),
        2 => Just(Happening::Resume),
        4 => (own, 0..3_u8).prop_map(|(own_term, to)| Happening::Resign { own_term, to }),
        2 => aims().prop_map(|aim| Happening::Depose { aim }),
        2 => aims().prop_map(|aim| Happening::ForgetRecord { aim }),
        4 => touch.prop_map(Happening::Touch),
        2 => Just(Happening::Lose),
        1 => Just(Happening::ChangeRole),
        1 => Just(Happening::Forget),
    ];
    // Mostly the same candidate, so that what needs a holder finds it.
    let by = prop_oneof![3 => Just(0_u8), 1 => 1..3_u8];
    prop::collection::vec((by, happening), 1..40)
}

fn successor(number: u8) -> Option<Successor> {
    match number {
        0 => None,
        1 => Some(Successor::Candidate("b".parse().expect("a valid id"))),
        _ => Some(Successor::Host(HostName::new("a-host").expect("a name"))),
    }
}

fn request(
    who: &Identity,
    happening: &Happening,
    model: &Model,
    earlier: &[Mark],
) -> Option<Request> {
    let record = model.record();
    let shifted = |number: u64, by: i8| {
        Term::new(number.saturating_add_signed(i64::from(by))).unwrap_or(Term::MAX)
    };
    let number = |own_term: bool| {
        if own_term {
            record.term
        } else {
            shifted(record.term.get(), 1)
        }
    };
    let aimed = |aim: &Aim| {
        let mark = model.mark();
        match aim {
            Aim::Exact => mark,
            Aim::Beat(by) => Mark {
                beat: Beat::new(mark.beat.get().wrapping_add(i64::from(*by))),
                ..mark
            },
            Aim::Term(by) => Mark {
                term: shifted(mark.term.get(), *by),
                ..mark
            },
            Aim::Shape(shape) => Mark {
                shape: *shape,
                ..mark
            },
            Aim::Taken(by) => Mark {
                shape: match mark.shape {
                    Shape::Absent { taken } => Shape::Absent {
                        taken: taken.saturating_add_signed(i64::from(*by)),
                    },
                    shape => shape,
                },
                ..mark
            },
            Aim::EarlierMemory => Mark {
                memory: model.earlier_memory(),
                ..mark
            },
            Aim::Earlier(index) if !earlier.is_empty() => *index.get(earlier),
            Aim::Earlier(_) => mark,
        }
    };
    let said = |word: &Option<Word>| {
        let (word, memory) = (word.as_ref()?, model.memory()?);
        let now = u64::try_from(memory.age.as_millis()).expect("at most a day");
        Some(Attestation {
            memory: match word.of_this_memory {
                true => memory.id,
                false => model.earlier_memory(),
            },
            age: Duration::from_millis(match word.age {
                Age::More(by) => now.saturating_add_signed(i64::from(by)),
                Age::Exactly(age) => age,
            }),
        })
    };
    Some(match happening {
        Happening::Observe => Request::Observe,
        Happening::Claim {
            aim,
            rise,
            kind,
            after,
            window_ms,
            word,
            ephemeral,
        } => {
            let floor = model.memory().map_or(Term::ZERO, |memory| memory.floor);
            let rises = |by| shifted(record.floor.max(floor).get(), by);
            Request::Claim(Claim {
                holder: who.id().clone(),
                // A candidate claims no term of zero.
                term: rise.map_or(Term::MAX, rises).max(term(1)),
                expected: aimed(aim),
                kind: *kind,
                after: Beat::new(*after),
                window: Duration::from_millis(*window_ms),
                attested: said(word),
                ephemeral: *ephemeral,
            })
        }
        Happening::Beat { own_term, word } => Request::Beat {
            holder: who.id().clone(),
            term: number(*own_term),
            attested: said(word),
        },
        Happening::Release { own_term, delete } => Request::Release {
            holder: who.id().clone(),
            term: number(*own_term),
            reason: LossReason::Resigned,
            delete: *delete,
        },
        Happening::Pause {
            lasts_ms,
            reason,
            replaces,
        } => Request::Order(Order::Pause {
            lasts: lasts_ms.map(Duration::from_millis),
            by: who.id().clone(),
            reason: reason.as_ref().and_then(|text| Reason::new(text).ok()),
            replaces: *replaces,
        }),
        Happening::Resume => Request::Order(Order::Resume),
        Happening::Resign { own_term, to } => Request::Order(Order::Resign {
            // No one leads a term of zero.
            term: number(*own_term).max(term(1)),
            to: successor(*to),
        }),
        Happening::Depose { aim } => Request::Order(Order::Depose {
            expected: aimed(aim),
        }),
        Happening::ForgetRecord { aim } => Request::Order(Order::Forget {
            expected: aimed(aim),
        }),
        Happening::Touch(_) | Happening::Lose | Happening::ChangeRole | Happening::Forget => {
            return None;
        }
    })
}

/// Every reply to every request, refused ones, foreign counters and all kinds of losses included.
pub(crate) async fn does_what_the_record_function_does_on_random_sequences<F: Fixture>(
    fixture: F,
    place: &str,
) {
    let users = [fixture.user(), fixture.user()];
    let candidates = [who("a"), who("b"), who("c")];
    let runtime = tokio::runtime::Handle::current();
    let number = std::sync::atomic::AtomicU32::new(0);
    let run = |happenings: Vec<(u8, Happening)>| async {
        let number = number.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
        let election = name(&format!("random-{number}"));
        // The elections before it have left the store with the memory that it has.
        let store = users[0].as_ref();
        let first = granted(store, &election, &candidates[0], &Request::Observe).await;
        let mut model = Model::new(first.memory);
        let mut earlier = Vec::new();
        for (step, (by, happening)) in happenings.into_iter().enumerate() {
            let who = &candidates[usize::from(by)];
            let mut changed = model.clone();
            let has_changed = match &happening {
                Happening::Touch(touch) => {
                    let beat = model.record().beat.get();
                    let counter = match touch {
                        Touch::Delete => None,
                        Touch::Set(counter) => Some(Beat::new(*counter)),
                        Touch::FromBeat(by) => Some(Beat::new(beat.wrapping_add(i64::from(*by)))),
                    };
                    changed.touch(counter);
                    fixture.touch(&election, counter, &changed.record()).await
                }
                Happening::Lose => {
                    changed.lose();
                    fixture.lose(&election).await
                }
                Happening::ChangeRole => {
                    changed.change_role();
                    fixture.change_role().await
                }
                Happening::Forget => {
                    changed.forget();
                    fixture.forget().await
                }
                request_of => {
                    let request = request(who, request_of, &model, &earlier);
                    let request = request.expect("all else is a request");
                    earlier.push(model.mark());
                    let store = users[step % users.len()].as_ref();
                    let reply = store.execute(&election, who, &request).await;
                    let reply = reply.map_err(|error| TestCaseError::fail(error.to_string()))?;
                    let expected = model.execute(&request, &reply);
                    prop_assert_eq!(reply, expected, "step {}: {:?}", step, request);
                    false
                }
            };
            if has_changed {
                model = changed;
            }
            // Another user of the store sees the same.
            let store = users[(step + 1) % users.len()].as_ref();
            let seen = store.inspect(&election).await;
            let seen = seen.map_err(|error| TestCaseError::fail(error.to_string()))?;
            let expected = model.record().seen_at(seen.clock);
            prop_assert_eq!(
                (seen.record, seen.memory),
                (expected, model.memory()),
                "inspected after step {}",
                step
            );
        }
        Ok(())
    };
    tokio::task::block_in_place(|| {
        seed::check(place, F::CASES, &happenings(), |case| {
            runtime.block_on(run(case))
        });
    });
}

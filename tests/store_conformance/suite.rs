//! What every store must do.

use std::time::Duration;

use incumbent::protocol::{
    Beat, CandidateId, Claim, Durability, ElectionName, HostName, LossReason, Mark, Occupancy,
    Order, Reason, Record, Reply, Request, Shape, Successor, Term, Verdict, WallMillis,
};
use incumbent::store::Identity;
use incumbent::store::{Change, Note, Store};
use proptest::prelude::*;

use super::Fixture;
use super::model::Model;
use super::support::seed;

pub(crate) const WINDOW: Duration = Duration::from_millis(1234);

pub(crate) fn name(text: &str) -> ElectionName {
    text.parse().expect("a valid name")
}

pub(crate) fn who(id: &str) -> Identity {
    let id = CandidateId::new(id).expect("a valid id");
    Identity::new(id, "a-host", 42, "0.1.0").expect("a valid identity")
}

pub(crate) fn term(number: u64) -> Term {
    Term::new(number).expect("a valid term")
}

pub(crate) fn claim(who: &Identity, number: u64, expected: Mark) -> Request {
    Request::Claim(Claim {
        holder: who.id().clone(),
        term: term(number),
        expected,
        join: false,
        after: Beat::default(),
        window: WINDOW,
    })
}

pub(crate) fn join(who: &Identity, number: u64, expected: Mark) -> Request {
    match claim(who, number, expected) {
        Request::Claim(claim) => Request::Claim(Claim {
            join: true,
            ..claim
        }),
        other => other,
    }
}

pub(crate) fn beat(who: &Identity, number: u64) -> Request {
    Request::Beat {
        holder: who.id().clone(),
        term: term(number),
        proven: false,
    }
}

pub(crate) fn release(who: &Identity, number: u64) -> Request {
    Request::Release {
        holder: who.id().clone(),
        term: term(number),
        reason: LossReason::Resigned,
    }
}

pub(crate) async fn ask(
    store: &dyn Store,
    election: &ElectionName,
    who: &Identity,
    request: &Request,
) -> Reply {
    let reply = store.execute(election, who, request).await;
    reply.unwrap_or_else(|error| panic!("{request:?}: {error}"))
}

async fn granted(
    store: &dyn Store,
    election: &ElectionName,
    who: &Identity,
    request: &Request,
) -> Record {
    let reply = ask(store, election, who, request).await;
    assert_eq!(
        reply.verdict,
        Verdict::Granted,
        "{request:?} on {:?}",
        reply.record
    );
    reply.record
}

async fn refused(
    store: &dyn Store,
    election: &ElectionName,
    who: &Identity,
    request: &Request,
) -> Record {
    let reply = ask(store, election, who, request).await;
    assert_eq!(
        reply.verdict,
        Verdict::Refused,
        "{request:?} on {:?}",
        reply.record
    );
    reply.record
}

/// One thing that happens to a record, relative to what it is by then.
#[derive(Clone, Debug)]
enum Act {
    Observe,
    Claim {
        aim: Aim,
        /// The term above, at or below the floor.
        rise: i8,
        join: bool,
        after: i64,
        window_ms: u64,
    },
    Beat {
        own_term: bool,
        proven: bool,
    },
    Release {
        own_term: bool,
    },
    Pause {
        lasts_ms: Option<u64>,
        reason: Option<String>,
    },
    Resume,
    Resign {
        own_term: bool,
        to: u8,
    },
    Depose {
        aim: Aim,
    },
    Touch(Touch),
    Forget,
}

/// How a claim's expectation differs from the record.
#[derive(Clone, Debug)]
enum Aim {
    Exact,
    Beat(i8),
    Term(i8),
    Shape(Shape),
    Earlier(prop::sample::Index),
}

/// What a stranger does to the counter.
#[derive(Clone, Debug)]
enum Touch {
    Delete,
    Set(i64),
    FromBeat(i8),
}

fn acts() -> impl Strategy<Value = Vec<(u8, Act)>> {
    let shape = prop_oneof![
        Just(Shape::Absent),
        Just(Shape::Vacant),
        Just(Shape::Held),
        Just(Shape::Foreign(None)),
        any::<i64>().prop_map(|counter| Shape::Foreign(Some(Beat::new(counter)))),
    ];
    let aim = prop_oneof![
        8 => Just(Aim::Exact),
        1 => (-2..3_i8).prop_map(Aim::Beat),
        1 => (-2..3_i8).prop_map(Aim::Term),
        1 => shape.prop_map(Aim::Shape),
        1 => any::<prop::sample::Index>().prop_map(Aim::Earlier),
    ];
    let after = prop_oneof![
        3 => Just(0),
        1 => any::<i64>(),
        1 => (0..3_i64).prop_map(|near| (1 << 53) + near),
        1 => (-1..2_i64).prop_map(|near| (1 << 60) + near),
    ];
    let claim = (
        aim.clone(),
        prop_oneof![4 => 1..100_i8, 1 => -2..1_i8],
        any::<bool>(),
        after,
        1..86_400_000_u64,
    )
        .prop_map(|(aim, rise, join, after, window_ms)| Act::Claim {
            aim,
            rise,
            join,
            after,
            window_ms,
        });
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
    let act = prop_oneof![
        2 => Just(Act::Observe),
        6 => claim,
        6 => (own.clone(), any::<bool>())
            .prop_map(|(own_term, proven)| Act::Beat { own_term, proven }),
        3 => own.clone().prop_map(|own_term| Act::Release { own_term }),
        1 => (lasts, prop::option::of("[^\\pC]{1,40}"))
            .prop_map(|(lasts_ms, reason)| Act::Pause { lasts_ms, reason }),
        1 => Just(Act::Resume),
        2 => (own, 0..3_u8).prop_map(|(own_term, to)| Act::Resign { own_term, to }),
        1 => aim.prop_map(|aim| Act::Depose { aim }),
        2 => touch.prop_map(Act::Touch),
        1 => Just(Act::Forget),
    ];
    // Mostly the same candidate, so that what needs a holder finds it.
    let by = prop_oneof![3 => Just(0_u8), 1 => 1..3_u8];
    prop::collection::vec((by, act), 1..40)
}

fn successor(number: u8) -> Option<Successor> {
    match number {
        0 => None,
        1 => Some(Successor::Candidate("b".parse().expect("a valid id"))),
        _ => Some(Successor::Host(HostName::new("a-host").expect("a name"))),
    }
}

fn request(who: &Identity, act: &Act, record: &Record, earlier: &[Mark]) -> Option<Request> {
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
        let mark = record.mark();
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
            Aim::Earlier(index) if !earlier.is_empty() => *index.get(earlier),
            Aim::Earlier(_) => mark,
        }
    };
    Some(match act {
        Act::Observe => Request::Observe,
        Act::Claim {
            aim,
            rise,
            join,
            after,
            window_ms,
        } => {
            let expected = aimed(aim);
            Request::Claim(Claim {
                holder: who.id().clone(),
                // A candidate claims no term of zero.
                term: shifted(record.floor.get(), *rise).max(term(1)),
                expected,
                join: *join,
                after: Beat::new(*after),
                window: Duration::from_millis(*window_ms),
            })
        }
        Act::Beat { own_term, proven } => Request::Beat {
            holder: who.id().clone(),
            term: number(*own_term),
            proven: *proven,
        },
        Act::Release { own_term } => Request::Release {
            holder: who.id().clone(),
            term: number(*own_term),
            reason: LossReason::Resigned,
        },
        Act::Pause { lasts_ms, reason } => Request::Order(Order::Pause {
            lasts: lasts_ms.map(Duration::from_millis),
            by: who.id().clone(),
            reason: reason.as_ref().and_then(|text| Reason::new(text).ok()),
        }),
        Act::Resume => Request::Order(Order::Resume),
        Act::Resign { own_term, to } => Request::Order(Order::Resign {
            // No one leads a term of zero.
            term: number(*own_term).max(term(1)),
            to: successor(*to),
        }),
        Act::Depose { aim } => Request::Order(Order::Depose {
            expected: aimed(aim),
        }),
        Act::Touch(_) | Act::Forget => return None,
    })
}

/// Every reply to every request, refused ones, foreign counters and lost data included.
pub(crate) async fn does_what_the_record_function_does_on_random_sequences(
    fixture: impl Fixture,
    place: &str,
) {
    let users = [fixture.user(), fixture.user()];
    let durability = users[0].durability();
    let candidates = [who("a"), who("b"), who("c")];
    let runtime = tokio::runtime::Handle::current();
    let number = std::sync::atomic::AtomicU32::new(0);
    let run = |acts: Vec<(u8, Act)>| async {
        let number = number.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
        let election = name(&format!("random-{number}"));
        let mut model = Model::new(durability);
        let mut earlier = Vec::new();
        for (step, (by, act)) in acts.into_iter().enumerate() {
            let before = model.record();
            let who = &candidates[usize::from(by)];
            match (&act, request(who, &act, &before, &earlier)) {
                (_, Some(request)) => {
                    earlier.push(before.mark());
                    let store = users[step % users.len()].as_ref();
                    let reply = store.execute(&election, who, &request).await;
                    let reply = reply.map_err(|error| TestCaseError::fail(error.to_string()))?;
                    let expected = model.execute(&request, reply.clock);
                    let told = (reply.verdict, reply.record);
                    prop_assert_eq!(told, expected, "step {}: {:?}", step, request);
                }
                (Act::Touch(touch), None) => {
                    let mut touched = model.clone();
                    let counter = match touch {
                        Touch::Delete => None,
                        Touch::Set(counter) => Some(Beat::new(*counter)),
                        Touch::FromBeat(by) => {
                            Some(Beat::new(before.beat.get().wrapping_add(i64::from(*by))))
                        }
                    };
                    touched.touch(counter);
                    if fixture.touch(&election, counter, &touched.record()).await {
                        model = touched;
                    }
                }
                (_, None) => {
                    if fixture.forget().await {
                        model.forget();
                    }
                }
            }
            // Another user of the store sees the same.
            let store = users[(step + 1) % users.len()].as_ref();
            let seen = store.inspect(&election).await;
            let seen = seen.map_err(|error| TestCaseError::fail(error.to_string()))?;
            let expected = model.record().seen_at(seen.clock);
            prop_assert_eq!(seen.record, expected, "inspected after step {}", step);
        }
        Ok(())
    };
    tokio::task::block_in_place(|| {
        seed::check(place, 40, &acts(), |case| runtime.block_on(run(case)));
    });
}

/// `S3`, and each part of a claim's guard separately.
pub(crate) async fn grants_and_refuses_by_each_guard(fixture: impl Fixture, _: &str) {
    let store = fixture.user();
    let store = store.as_ref();
    let (a, b, election) = (who("a"), who("b"), name("guards"));
    let absent = Record::ABSENT.mark();

    // No one holds it, so no one can beat or release it.
    refused(store, &election, &a, &beat(&a, 1)).await;
    refused(store, &election, &a, &release(&a, 1)).await;
    let vacant = Mark {
        shape: Shape::Vacant,
        ..absent
    };
    refused(store, &election, &a, &claim(&a, 10, vacant)).await;
    let held = granted(store, &election, &a, &claim(&a, 10, absent)).await;
    assert_eq!(held.holder(), Some(a.id()));
    assert_eq!(
        (held.term, held.floor, held.window()),
        (term(10), term(10), WINDOW)
    );

    // Only its holder, and only under its term.
    for request in [beat(&a, 9), release(&a, 11)] {
        assert_eq!(refused(store, &election, &a, &request).await, held);
    }
    for request in [beat(&b, 10), release(&b, 10)] {
        assert_eq!(refused(store, &election, &b, &request).await, held);
    }
    let beaten = granted(store, &election, &a, &beat(&a, 10)).await;
    assert_eq!(beaten.beat, held.beat.next());

    // A takeover: the exact beat, the exact term, and a term above the floor.
    refused(store, &election, &b, &claim(&b, 11, held.mark())).await;
    let other_term = Mark {
        term: term(9),
        ..beaten.mark()
    };
    refused(store, &election, &b, &claim(&b, 11, other_term)).await;
    for number in [1, 9, 10] {
        let refusal = refused(store, &election, &b, &claim(&b, number, beaten.mark())).await;
        assert_eq!(refusal, beaten);
    }
    let taken = granted(store, &election, &b, &claim(&b, 11, beaten.mark())).await;
    assert!(taken.beat > beaten.beat, "no counter comes twice");
    refused(store, &election, &a, &beat(&a, 10)).await;

    // The floor survives the release; a join may stay at it or below it.
    let vacant = granted(store, &election, &b, &release(&b, 11)).await;
    assert_eq!(
        (vacant.floor, &vacant.occupancy),
        (term(11), &Occupancy::Vacant)
    );
    refused(store, &election, &b, &beat(&b, 11)).await;
    refused(store, &election, &b, &release(&b, 11)).await;
    refused(store, &election, &a, &claim(&a, 11, vacant.mark())).await;
    let joined = granted(store, &election, &a, &join(&a, 5, vacant.mark())).await;
    assert_eq!((joined.term, joined.floor), (term(5), term(11)));
    granted(store, &election, &a, &beat(&a, 5)).await;
}

pub(crate) async fn of_many_claims_of_one_mark_exactly_one_is_granted(
    fixture: impl Fixture,
    _: &str,
) {
    const CLAIMANTS: usize = 16;
    let users: Vec<_> = (0..4).map(|_| fixture.user()).collect();
    let election = name("contended");
    let mut mark = Record::ABSENT.mark();
    let mut floor = 0;
    for round in 0..5 {
        let claims = (0..CLAIMANTS).map(|n| {
            let (store, election) = (users[n % users.len()].clone(), election.clone());
            tokio::spawn(async move {
                let claimant = who(&format!("claimant-{round}-{n}"));
                let number = floor + 1 + n as u64;
                let request = claim(&claimant, number, mark);
                let reply = ask(store.as_ref(), &election, &claimant, &request).await;
                (reply.verdict == Verdict::Granted).then_some(reply.record)
            })
        });
        let claims: Vec<_> = claims.collect();
        let mut winners = Vec::new();
        for claim in claims {
            winners.extend(claim.await.expect("no panic"));
        }
        assert_eq!(winners.len(), 1, "round {round}: {winners:?}");
        floor = winners[0].floor.get();
        mark = winners[0].mark();
    }
}

/// A claim whose reply was lost can be sent again: it is granted once, and the refusal names the holder.
pub(crate) async fn a_claim_that_is_sent_again_is_refused_and_shows_that_it_was_granted(
    fixture: impl Fixture,
    _: &str,
) {
    let (store, again) = (fixture.user(), fixture.user());
    let (a, election) = (who("a"), name("again"));
    let request = claim(&a, 7, Record::ABSENT.mark());
    let held = granted(store.as_ref(), &election, &a, &request).await;
    for _ in 0..3 {
        let seen = refused(again.as_ref(), &election, &a, &request).await;
        assert_eq!(seen, held);
        assert!(seen.is_held_by(a.id(), term(7)));
    }
    let gone = release(&a, 7);
    let vacant = granted(store.as_ref(), &election, &a, &gone).await;
    assert_eq!(refused(again.as_ref(), &election, &a, &gone).await, vacant);
}

pub(crate) async fn keeps_elections_apart_and_lists_them(fixture: impl Fixture, _: &str) {
    let store = fixture.user();
    let a = who("a");
    assert_eq!(store.elections().await.expect("a list"), []);
    let longest = "ü".repeat(100);
    let names = ["a b", "a:b", "z", "ünïcödé/*?[x]", &longest];
    for (number, text) in (1..).zip(names) {
        let request = claim(&a, number, Record::ABSENT.mark());
        granted(store.as_ref(), &name(text), &a, &request).await;
    }
    // Watching an election makes no record of it.
    granted(store.as_ref(), &name("only watched"), &a, &Request::Observe).await;
    for (number, text) in (1..).zip(names) {
        let seen = granted(store.as_ref(), &name(text), &a, &Request::Observe).await;
        assert_eq!(seen.term, term(number));
    }
    granted(store.as_ref(), &name("z"), &a, &release(&a, 3)).await;
    let mut expected: Vec<_> = names.iter().map(|text| name(text)).collect();
    expected.sort();
    assert_eq!(fixture.user().elections().await.expect("a list"), expected);
}

pub(crate) async fn shows_the_holder_and_who_campaigns(fixture: impl Fixture, _: &str) {
    let (store, other) = (fixture.user(), fixture.user());
    let (a, b, election) = (who("a"), who("b"), name("shown"));
    let before = other.inspect(&election).await.expect("it reads");
    assert_eq!(before.record, Record::ABSENT);
    assert_eq!(
        (before.holder, before.since, before.changed),
        (None, None, None)
    );
    assert_eq!(before.candidates, []);

    granted(store.as_ref(), &election, &b, &Request::Observe).await;
    granted(store.as_ref(), &election, &a, &Request::Observe).await;
    granted(
        store.as_ref(),
        &election,
        &a,
        &claim(&a, 3, Record::ABSENT.mark()),
    )
    .await;
    granted(store.as_ref(), &election, &a, &beat(&a, 3)).await;
    let held = other.inspect(&election).await.expect("it reads");
    assert_eq!(held.holder.as_ref(), Some(&a));
    let (since, changed) = (held.since.expect("since"), held.changed.expect("changed"));
    assert!(before.clock <= since && since <= changed && changed <= held.clock);
    let listed: Vec<_> = held
        .candidates
        .iter()
        .map(|found| &found.identity)
        .collect();
    assert_eq!(listed, [&a, &b]);
    for found in &held.candidates {
        assert!(
            before.clock <= found.last_seen && found.last_seen <= held.clock,
            "{found:?}"
        );
    }

    granted(store.as_ref(), &election, &a, &release(&a, 3)).await;
    let vacant = other.inspect(&election).await.expect("it reads");
    assert_eq!((vacant.holder, vacant.since), (None, None));
    assert!(vacant.changed.expect("changed") >= changed);
    let listed: Vec<_> = vacant.candidates.iter().map(|c| &c.identity).collect();
    assert_eq!(listed, [&b], "after its release a candidate is not listed");
}

pub(crate) async fn lists_nobody_who_has_withdrawn(fixture: impl Fixture, _: &str) {
    let (store, other) = (fixture.user(), fixture.user());
    let (store, other) = (store.as_ref(), other.as_ref());
    let (a, b, election) = (who("a"), who("b"), name("withdrawn"));
    let b = b.with_timing(incumbent::protocol::Timing::default());
    for one in [&a, &b] {
        granted(store, &election, one, &Request::Observe).await;
    }
    listed(other, &election, &[&a, &b]).await;
    store.withdraw(&election, &a).await.expect("a withdrawal");
    listed(other, &election, &[&b]).await;
    store.withdraw(&election, &b).await.expect("a withdrawal");
    // A candidate that was never there can withdraw as well.
    store.withdraw(&election, &b).await.expect("a withdrawal");
    let nobody = other.inspect(&election).await.expect("it reads");
    assert_eq!((nobody.candidates, nobody.record), (vec![], Record::ABSENT));

    granted(store, &election, &a, &Request::Observe).await;
    listed(other, &election, &[&a]).await;
}

/// Waits until just these are listed: a store may note who observes when it has nothing else to do.
async fn listed(store: &dyn Store, election: &ElectionName, expected: &[&Identity]) {
    for _ in 0..500 {
        let found = store.inspect(election).await.expect("it reads").candidates;
        let found: Vec<_> = found.iter().map(|one| &one.identity).collect();
        if found == expected {
            return;
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    panic!("{expected:?} were never listed");
}

pub(crate) async fn keeps_a_history_newest_first(fixture: impl Fixture, _: &str) {
    let (store, other) = (fixture.user(), fixture.user());
    let store = store.as_ref();
    let (a, b, election) = (who("a"), who("b"), name("past"));
    assert_eq!(other.history(&election, 10).await.expect("it reads"), []);
    let first = granted(store, &election, &a, &claim(&a, 1, Record::ABSENT.mark())).await;
    granted(store, &election, &a, &beat(&a, 1)).await;
    refused(store, &election, &b, &claim(&b, 2, first.mark())).await;
    let beaten = granted(store, &election, &b, &Request::Observe).await;
    granted(store, &election, &b, &claim(&b, 2, beaten.mark())).await;
    let vacant = granted(store, &election, &b, &release(&b, 2)).await;
    granted(store, &election, &a, &claim(&a, 3, vacant.mark())).await;
    let vacant = granted(store, &election, &a, &release(&a, 3)).await;
    granted(store, &election, &b, &join(&b, 3, vacant.mark())).await;

    let history = other.history(&election, 100).await.expect("it reads");
    let told: Vec<_> = history
        .iter()
        .map(|entry| (entry.term.get(), entry.holder.id().as_str(), entry.change))
        .collect();
    let expected = [
        (3, "b", Change::Joined),
        (3, "a", Change::Released),
        (3, "a", Change::ClaimedVacant),
        (2, "b", Change::Released),
        (2, "b", Change::ClaimedStalled),
        (1, "a", Change::ClaimedAbsent),
    ];
    assert_eq!(told, expected);
    assert!(history.is_sorted_by(|newer, older| newer.at >= older.at));
    assert_eq!(history[0].holder, b);
    let latest = other.history(&election, 2).await.expect("it reads");
    assert_eq!(latest, history[..2]);
}

/// Waits until the clock of a store shows another millisecond.
async fn later() {
    tokio::time::sleep(Duration::from_millis(3)).await;
}

pub(crate) async fn tells_of_each_release_why_and_of_each_takeover_when_the_holder_last_beat(
    fixture: impl Fixture,
    _: &str,
) {
    let store = fixture.user();
    let store = store.as_ref();
    let (a, b, election) = (who("a"), who("b"), name("why"));
    let statuses = [0, 255].map(|status| LossReason::WorkEnded {
        status: Some(status),
    });
    let mut mark = Record::ABSENT.mark();
    let mut expected = Vec::new();
    for (number, reason) in (1..).zip(LossReason::ALL.iter().copied().chain(statuses)) {
        granted(store, &election, &a, &claim(&a, number, mark)).await;
        let leave = Request::Release {
            holder: a.id().clone(),
            term: term(number),
            reason,
        };
        mark = granted(store, &election, &a, &leave).await.mark();
        expected.extend([None, Some(Note::Reason(reason))]);
    }
    // By the clock of the store: of a heartbeat, of a claim that none followed, and of what a join found.
    granted(store, &election, &a, &claim(&a, 50, mark)).await;
    let beaten = ask(store, &election, &a, &beat(&a, 50)).await;
    later().await;
    let stalled = claim(&b, 51, beaten.record.mark());
    let taken = ask(store, &election, &b, &stalled).await;
    later().await;
    let joined = join(&a, 50, taken.record.mark());
    let joined = ask(store, &election, &a, &joined).await;
    later().await;
    let depose = Request::Order(Order::Depose {
        expected: joined.record.mark(),
    });
    granted(store, &election, &who("op"), &depose).await;
    let last_beats = [beaten, taken, joined].map(|reply| Some(Note::LastBeat(reply.clock)));
    expected.push(None);
    expected.extend(last_beats);

    let history = store.history(&election, 100).await.expect("it reads");
    let told: Vec<_> = history
        .iter()
        .rev()
        .map(|entry| entry.note.clone())
        .collect();
    assert_eq!(told, expected);
}

/// `L1`: nothing polls here, so what arrives was pushed.
pub(crate) async fn wakes_standbys_on_release(fixture: impl Fixture, _: &str) {
    let (leader, standby) = (fixture.user(), fixture.user());
    let (a, b, c, election) = (who("a"), who("b"), who("c"), name("woken"));
    let mut elsewhere = standby.wake_ups(&name("another"));
    let mut wake_ups = [standby.wake_ups(&election), leader.wake_ups(&election)];
    // A subscription may need an operation to take hold, and a moment on a server.
    for (store, who) in [(&leader, &b), (&standby, &c)] {
        granted(store.as_ref(), &election, who, &Request::Observe).await;
    }
    // The one seen last is called, where the report of the release names it.
    let called = (!leader.label().starts_with("sqlite:")).then(|| c.id().clone());
    let mut mark = Record::ABSENT.mark();
    for number in 1..4 {
        granted(leader.as_ref(), &election, &a, &claim(&a, number, mark)).await;
        granted(leader.as_ref(), &election, &a, &beat(&a, number)).await;
        let vacant = granted(leader.as_ref(), &election, &a, &release(&a, number)).await;
        for wake_ups in &mut wake_ups {
            let limit = Duration::from_secs(30);
            let told = async {
                loop {
                    let woken = wake_ups.next().await.expect("the store is open");
                    // A listener that starts when it is free already is called, no matter who else is.
                    assert!(woken.called.is_none() || woken.called == called);
                    let record = woken.record;
                    assert_eq!(
                        record.occupancy,
                        Occupancy::Vacant,
                        "only vacant records wake"
                    );
                    if record == vacant {
                        break;
                    }
                }
            };
            let told = tokio::time::timeout(limit, told).await;
            told.unwrap_or_else(|_| panic!("release {number} was not reported"));
        }
        mark = vacant.mark();
    }
    let stray = tokio::time::timeout(Duration::ZERO, elsewhere.next()).await;
    assert!(stray.is_err(), "another election was woken: {stray:?}");
}

/// `L1`: a candidate that has just seen a leader, and begins to listen, does not miss that it leaves.
pub(crate) async fn wakes_who_has_only_begun_to_listen(fixture: impl Fixture, _: &str) {
    let (leader, standby) = (fixture.user(), fixture.user());
    let (a, election) = (who("a"), name("woken"));
    let mut mark = Record::ABSENT.mark();
    for number in 1..4 {
        granted(leader.as_ref(), &election, &a, &claim(&a, number, mark)).await;
        granted(standby.as_ref(), &election, &who("b"), &Request::Observe).await;
        let mut wake_ups = standby.wake_ups(&election);
        let vacant = granted(leader.as_ref(), &election, &a, &release(&a, number)).await;
        let told =
            async { while wake_ups.next().await.expect("the store is open").record != vacant {} };
        let told = tokio::time::timeout(Duration::from_secs(30), told).await;
        told.unwrap_or_else(|_| panic!("release {number} was not reported"));
        mark = vacant.mark();
    }
}

pub(crate) async fn a_record_outlives_the_instance_that_wrote_it(fixture: impl Fixture, _: &str) {
    let (a, election) = (who("a"), name("kept"));
    let store = fixture.user();
    let held = granted(
        store.as_ref(),
        &election,
        &a,
        &claim(&a, 3, Record::ABSENT.mark()),
    )
    .await;
    drop(store);
    let seen = granted(fixture.user().as_ref(), &election, &a, &Request::Observe).await;
    assert_eq!(seen, held);
}

/// `R8`: a store that may forget says so of each record that it has from nothing, joins included.
pub(crate) async fn what_it_admits_to_have_forgotten_is_unproven(fixture: impl Fixture, _: &str) {
    let store = fixture.user();
    let store = store.as_ref();
    let forgetful = store.durability() == Durability::Forgetful;
    let (a, b) = (who("a"), who("b"));
    for (text, request) in [
        ("claimed", claim(&a, 3, Record::ABSENT.mark())),
        ("joined", join(&a, 3, Record::ABSENT.mark())),
    ] {
        let election = name(text);
        let held = granted(store, &election, &a, &request).await;
        assert_eq!(held.unproven, forgetful, "{text}");
        // Neither a plain heartbeat nor another holder proves anything.
        let beaten = granted(store, &election, &a, &beat(&a, 3)).await;
        assert_eq!(beaten.unproven, forgetful, "{text}");
        let taken = granted(store, &election, &b, &claim(&b, 4, beaten.mark())).await;
        assert_eq!(taken.unproven, forgetful, "{text}");
        let proven = Request::Beat {
            holder: b.id().clone(),
            term: term(4),
            proven: true,
        };
        assert!(
            !granted(store, &election, &b, &proven).await.unproven,
            "{text}"
        );
        let vacant = granted(store, &election, &b, &release(&b, 4)).await;
        let held = granted(store, &election, &a, &claim(&a, 5, vacant.mark())).await;
        assert!(!held.unproven, "{text}");
    }
    let forgot = fixture.forget().await;
    let seen = granted(store, &name("claimed"), &a, &Request::Observe).await;
    assert_eq!(seen == Record::ABSENT, forgot);
    assert!(forgetful || !forgot, "a durable store cannot forget");
}

pub(crate) async fn a_counter_that_a_stranger_touched_is_foreign(fixture: impl Fixture, _: &str) {
    let store = fixture.user();
    let store = store.as_ref();
    let (a, election) = (who("a"), name("touched"));
    let mut model = Model::new(store.durability());
    let first = claim(&a, 3, Record::ABSENT.mark());
    model.execute(&first, WallMillis::ZERO);
    granted(store, &election, &a, &first).await;
    for counter in [Some(Beat::new(99)), None, Some(Beat::new(-1))] {
        model.touch(counter);
        let shown = model.record();
        if !fixture.touch(&election, counter, &shown).await {
            return;
        }
        // A leader whose counter was touched is deposed; its own window still counts.
        assert_eq!(shown.window(), WINDOW);
        assert_eq!(refused(store, &election, &a, &beat(&a, 3)).await, shown);
        assert_eq!(refused(store, &election, &a, &release(&a, 3)).await, shown);
    }
    let taken = granted(store, &election, &a, &claim(&a, 4, model.record().mark())).await;
    assert_eq!(taken.holder(), Some(a.id()));
    let past = store.history(&election, 1).await.expect("it reads");
    assert_eq!(past[0].change, Change::ClaimedForeign);
}

pub(crate) async fn garbage_is_told_with_its_place_and_spoils_one_election_only(
    fixture: impl Fixture,
    _: &str,
) {
    let store = fixture.user();
    let store = store.as_ref();
    let (a, spoilt, sound) = (who("a"), name("spoilt"), name("sound"));
    for election in [&spoilt, &sound] {
        granted(store, election, &a, &claim(&a, 3, Record::ABSENT.mark())).await;
    }
    let Some(field) = fixture.garble(&spoilt).await else {
        return;
    };
    for request in [
        Request::Observe,
        beat(&a, 3),
        release(&a, 3),
        claim(&a, 4, Record::ABSENT.mark()),
    ] {
        let error = store.execute(&spoilt, &a, &request).await;
        let error = error.expect_err("garbage is refused");
        assert!(error.is_garbled(), "{request:?}: {error}");
        let text = error.to_string();
        for part in [store.label(), "spoilt", field] {
            assert!(text.contains(part), "{part:?} is not in: {text}");
        }
    }
    let error = store
        .inspect(&spoilt)
        .await
        .expect_err("garbage is refused");
    assert!(error.is_garbled(), "{error}");
    granted(store, &sound, &a, &beat(&a, 3)).await;
}

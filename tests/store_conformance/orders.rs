//! What every store must do with the orders of an operator.

use std::time::Duration;

use incumbent::protocol::{
    Handover, HostName, Mark, Occupancy, Order, Reason, Record, Request, Shape, Successor, Verdict,
};
use incumbent::store::Identity;
use incumbent::store::{Change, Note, WakeUps};

use super::Fixture;
use super::requests::{ask, beat, claim, join, name, release, seen, term, who};

fn operator() -> Identity {
    who("alice@desk")
}

fn pause(lasts: Option<Duration>) -> Request {
    Request::Order(Order::Pause {
        lasts,
        by: operator().id().clone(),
        reason: Some(Reason::new("50 % of the disks, naïvely: a|b").expect("a reason")),
        replaces: true,
    })
}

fn resign(number: u64, to: Option<Successor>) -> Request {
    Request::Order(Order::Resign {
        term: term(number),
        to,
    })
}

fn depose(expected: Mark) -> Request {
    Request::Order(Order::Depose { expected })
}

const RESUME: Request = Request::Order(Order::Resume);

macro_rules! expect {
    ($verdict:ident, $store:expr, $election:expr, $who:expr, $request:expr) => {{
        let request = $request;
        let reply = ask($store.as_ref(), $election, $who, &request).await;
        assert_eq!(reply.verdict, Verdict::$verdict, "{request:?}: {reply:?}");
        reply
    }};
}

/// The next report, which must come without a poll.
async fn told(wake_ups: &mut WakeUps) -> Record {
    let told = tokio::time::timeout(Duration::from_secs(30), wake_ups.next()).await;
    told.expect("it is reported")
        .expect("the store is open")
        .record
}

/// As a run of `once` pauses it.
pub(crate) async fn a_pause_that_replaces_none_is_refused_while_that_of_another_holds(
    fixture: impl Fixture,
    _: &str,
) {
    let store = fixture.user();
    let (a, op, election) = (who("a"), operator(), name("once"));
    let by = |who: &Identity, lasts, replaces| {
        Request::Order(Order::Pause {
            lasts,
            by: who.id().clone(),
            reason: Reason::new(&format!("of {who}")).ok(),
            replaces,
        })
    };
    let hour = Some(Duration::from_secs(3600));
    expect!(Granted, store, &election, &a, by(&a, hour, false));
    let own = expect!(Granted, store, &election, &a, by(&a, hour, false));
    assert_eq!(own.record.orders.paused.unwrap().by, *a.id());
    expect!(Granted, store, &election, &op, by(&op, None, true));
    let refused = expect!(Refused, store, &election, &a, by(&a, hour, false));
    let kept = refused.record.orders.paused.unwrap();
    assert_eq!((&kept.by, kept.until), (op.id(), None));
    expect!(Granted, store, &election, &op, RESUME);
    expect!(Granted, store, &election, &a, by(&a, hour, false));
    // One that is over does not count.
    expect!(
        Granted,
        store,
        &election,
        &op,
        by(&op, Some(Duration::ZERO), true)
    );
    expect!(Granted, store, &election, &a, by(&a, hour, false));
}

pub(crate) async fn a_pause_refuses_claims_but_joins_until_it_is_lifted(
    fixture: impl Fixture,
    _: &str,
) {
    let (store, other) = (fixture.user(), fixture.user());
    let (a, b, op, election) = (who("a"), who("b"), operator(), name("paused"));
    let absent = seen(store.as_ref(), &election, &a).await;
    let held = expect!(Granted, store, &election, &a, claim(&a, 1, absent));
    let paused = expect!(Granted, store, &election, &op, pause(None));
    assert_eq!(
        Record {
            orders: held.record.orders.clone(),
            ..paused.record.clone()
        },
        held.record
    );
    let seen = other.inspect(&election).await.expect("it reads");
    assert_eq!(seen.mark(), Some(paused.mark()));
    assert_eq!(seen.record, paused.record);
    let shown = seen.record.orders.paused.expect("it is paused");
    assert_eq!((shown.until, &shown.by), (None, op.id()));
    assert_eq!(
        shown.reason.as_ref().map(Reason::as_str),
        Some("50 % of the disks, naïvely: a|b")
    );

    // The leader goes on, and may stop.
    let beaten = expect!(Granted, store, &election, &a, beat(&a, 1));
    expect!(Refused, store, &election, &b, claim(&b, 2, beaten.mark()));
    let vacant = expect!(Granted, store, &election, &a, release(&a, 1));
    expect!(Refused, other, &election, &b, claim(&b, 2, vacant.mark()));
    let joined = expect!(Granted, store, &election, &a, join(&a, 1, vacant.mark()));
    assert!(joined.record.orders.paused.is_some());
    let vacant = expect!(Granted, store, &election, &a, release(&a, 1));

    expect!(Granted, store, &election, &op, RESUME);
    let again = expect!(Granted, store, &election, &op, RESUME);
    assert_eq!(again.record.orders, Record::ABSENT.orders);
    expect!(Granted, other, &election, &b, claim(&b, 2, vacant.mark()));
}

pub(crate) async fn a_pause_is_over_by_the_clock_of_the_store(fixture: impl Fixture, _: &str) {
    let (store, other) = (fixture.user(), fixture.user());
    let (a, op, election) = (who("a"), operator(), name("over"));
    let absent = seen(store.as_ref(), &election, &a).await;
    let reply = ask(
        store.as_ref(),
        &election,
        &op,
        &pause(Some(Duration::from_secs(7200))),
    )
    .await;
    let shown = reply.record.orders.paused.expect("it is paused");
    let until = shown.until.expect("it ends").get();
    assert_eq!(until, reply.clock.get() + 7_200_000);
    // Another pause replaces it, and is over by the time that anyone asks.
    expect!(Granted, store, &election, &op, pause(Some(Duration::ZERO)));
    let seen = other.inspect(&election).await.expect("it reads").record;
    assert_eq!(seen, Record::ABSENT);
    expect!(Granted, store, &election, &a, claim(&a, 1, absent));
}

/// No one takes an election that is only paused for one that someone has held.
pub(crate) async fn a_pause_of_what_was_never_held_leaves_it_absent(
    fixture: impl Fixture,
    _: &str,
) {
    let store = fixture.user();
    let (a, op, election) = (who("a"), operator(), name("new"));
    let absent = seen(store.as_ref(), &election, &a).await;
    let paused = expect!(Granted, store, &election, &op, pause(None));
    assert_eq!(paused.mark(), absent);
    let listed = fixture.user().elections().await.expect("a list");
    assert_eq!(listed, std::slice::from_ref(&election));
    let inspected = store.inspect(&election).await.expect("it reads");
    assert_eq!(inspected.changed, None);
    let first = claim(&a, 5, absent);
    expect!(Refused, store, &election, &a, first.clone());
    expect!(Refused, store, &election, &op, resign(5, None));
    expect!(Refused, store, &election, &op, depose(absent));
    let resumed = expect!(Granted, store, &election, &op, RESUME);
    assert_eq!(resumed.record, Record::ABSENT);
    assert_eq!(store.elections().await.expect("a list"), []);
    expect!(Granted, store, &election, &op, pause(None));
    expect!(Granted, store, &election, &op, RESUME);
    expect!(Granted, store, &election, &a, first);
}

pub(crate) async fn an_order_to_resign_names_one_term_and_prefers_its_successor(
    fixture: impl Fixture,
    _: &str,
) {
    let store = fixture.user();
    let (a, b, op, election) = (who("a"), who("b"), operator(), name("moved"));
    let absent = seen(store.as_ref(), &election, &a).await;
    let standby = fixture.user();
    let mut wake_ups = standby.wake_ups(&election, who("b").id());
    for store in [&store, &standby] {
        expect!(Granted, store, &election, &b, Request::Observe);
    }
    expect!(Granted, store, &election, &a, claim(&a, 3, absent));
    expect!(Refused, store, &election, &op, resign(2, None));
    let to = Successor::Host(HostName::new("a-host").expect("a name"));
    let asked = expect!(Granted, store, &election, &op, resign(3, Some(to.clone())));
    assert!(asked.record.is_asked_to_resign() && asked.record.preferred().is_none());
    let beaten = expect!(Granted, store, &election, &a, beat(&a, 3));
    assert!(
        beaten.record.is_asked_to_resign(),
        "the leader learns of it"
    );
    let vacant = expect!(Granted, store, &election, &a, release(&a, 3));
    assert_eq!(vacant.record.preferred(), Some(&to));
    assert_eq!(told(&mut wake_ups).await, vacant.record);
    expect!(Refused, store, &election, &op, resign(3, None));
    let held = expect!(Granted, store, &election, &b, claim(&b, 4, vacant.mark()));
    assert!(!held.record.is_asked_to_resign());
    let vacant = expect!(Granted, store, &election, &b, release(&b, 4));
    assert_eq!(vacant.record.preferred(), None);
}

pub(crate) async fn a_deposition_vacates_exactly_what_was_seen(fixture: impl Fixture, _: &str) {
    let store = fixture.user();
    let (a, b, op, election) = (who("a"), who("b"), operator(), name("deposed"));
    let absent = seen(store.as_ref(), &election, &a).await;
    let standby = fixture.user();
    let mut wake_ups = standby.wake_ups(&election, who("b").id());
    for store in [&store, &standby] {
        expect!(Granted, store, &election, &b, Request::Observe);
    }
    let first = expect!(Granted, store, &election, &a, claim(&a, 3, absent));
    expect!(Granted, store, &election, &op, resign(3, None));
    let held = expect!(Granted, store, &election, &a, beat(&a, 3));
    expect!(Refused, store, &election, &op, depose(first.mark()));
    let vacant = expect!(Granted, store, &election, &op, depose(held.mark()));
    assert_eq!(
        (vacant.record.floor, &vacant.record.occupancy),
        (held.record.floor, &Occupancy::Vacant)
    );
    assert_eq!(told(&mut wake_ups).await, vacant.record);
    let inspected = store.inspect(&election).await.expect("it reads");
    assert_eq!((inspected.holder, inspected.since), (None, None));
    expect!(Refused, store, &election, &op, depose(vacant.mark()));
    expect!(Refused, store, &election, &a, beat(&a, 3));
    // It makes no one a leader of a term that was.
    expect!(Refused, store, &election, &b, claim(&b, 3, vacant.mark()));
    expect!(Granted, store, &election, &b, claim(&b, 4, vacant.mark()));
}

/// The counter that a stranger leaves is gone with the key, and does not come again.
pub(crate) async fn a_foreign_holder_can_be_deposed(fixture: impl Fixture, _: &str) {
    use incumbent::protocol::Beat;

    let store = fixture.user();
    let (a, op, election) = (who("a"), operator(), name("foreign"));
    let counter = Beat::new(1 << 54);
    let shown = Record {
        occupancy: Occupancy::Foreign {
            counter: Some(counter),
            window: Duration::ZERO,
        },
        ..Record::ABSENT
    };
    if !fixture.touch(&election, Some(counter), &shown).await {
        return;
    }
    let foreign = seen(store.as_ref(), &election, &a).await;
    assert_eq!(foreign.shape, Shape::Foreign(Some(counter)));
    let other = Mark {
        shape: Shape::Foreign(Some(counter.next())),
        ..foreign
    };
    expect!(Refused, store, &election, &op, depose(other));
    let vacant = expect!(Granted, store, &election, &op, depose(foreign));
    assert_eq!(
        (&vacant.record.occupancy, vacant.record.beat),
        (&Occupancy::Vacant, counter)
    );
    let held = expect!(Granted, store, &election, &a, claim(&a, 1, vacant.mark()));
    assert!(held.record.beat > counter);
}

/// A release while no one may be elected wakes no one, and lifting the pause does.
pub(crate) async fn lifting_a_pause_wakes_the_standbys(fixture: impl Fixture, _: &str) {
    let store = fixture.user();
    let (a, op, election) = (who("a"), operator(), name("resumed"));
    let absent = seen(store.as_ref(), &election, &a).await;
    let standby = fixture.user();
    let mut wake_ups = standby.wake_ups(&election, who("b").id());
    for store in [&store, &standby] {
        expect!(Granted, store, &election, &who("b"), Request::Observe);
    }
    expect!(Granted, store, &election, &a, claim(&a, 1, absent));
    expect!(Granted, store, &election, &op, pause(None));
    expect!(Granted, store, &election, &a, release(&a, 1));
    let vacant = expect!(Granted, store, &election, &op, RESUME);
    assert_eq!(told(&mut wake_ups).await, vacant.record);
    assert!(vacant.record.orders.paused.is_none());
}

/// `L1`: a release calls one standby and wakes a second one, which looks if the first does not claim; an order wakes
/// all. An SQLite file cannot wake one process alone.
pub(crate) async fn a_release_wakes_two_standbys_and_an_order_wakes_all(
    fixture: impl Fixture,
    _: &str,
) {
    let store = fixture.user();
    let (a, op, election) = (who("a"), operator(), name("crowd"));
    let mut mark = seen(store.as_ref(), &election, &a).await;
    let mut crowd = Vec::new();
    for id in ["b", "c", "d", "e", "f"] {
        expect!(Granted, store, &election, &who(id), Request::Observe);
        crowd.push(store.wake_ups(&election, who(id).id()));
    }
    // All listen once they have heard of the first deposition.
    for deposed in [1, 3, 5] {
        if deposed > 1 {
            expect!(Granted, store, &election, &a, claim(&a, deposed - 1, mark));
            let vacant = expect!(Granted, store, &election, &a, release(&a, deposed - 1));
            mark = vacant.mark();
        }
        let held = expect!(Granted, store, &election, &a, claim(&a, deposed, mark));
        let vacant = expect!(Granted, store, &election, &op, depose(held.mark()));
        mark = vacant.mark();
        let mut woken = 0;
        for wake_ups in &mut crowd {
            let mut heard = 0;
            loop {
                match told(wake_ups).await.term {
                    it if it == term(deposed) => break,
                    it if it == term(deposed - 1) && deposed > 1 => heard = 1,
                    _ => {}
                }
            }
            woken += heard;
        }
        if deposed > 1 && !store.label().starts_with("sqlite:") {
            assert_eq!(woken, 2, "before {deposed}");
        }
    }
}

pub(crate) async fn orders_stand_in_the_history_by_whose_they_are(fixture: impl Fixture, _: &str) {
    let store = fixture.user();
    let (a, op, election) = (who("a"), operator(), name("told"));
    let absent = seen(store.as_ref(), &election, &a).await;
    expect!(Granted, store, &election, &a, claim(&a, 3, absent));
    expect!(Granted, store, &election, &op, RESUME);
    expect!(Granted, store, &election, &op, pause(None));
    expect!(Granted, store, &election, &op, RESUME);
    let asked = expect!(Granted, store, &election, &op, resign(3, None));
    expect!(Granted, store, &election, &op, depose(asked.mark()));
    let history = fixture.user().history(&election, 10).await;
    let told: Vec<_> = history
        .expect("it reads")
        .into_iter()
        .map(|entry| (entry.term.get(), entry.holder, entry.change))
        .collect();
    let expected = [
        (3, op.clone(), Change::Deposed),
        (3, op.clone(), Change::AskedToResign),
        (3, op.clone(), Change::Resumed),
        (3, op, Change::Paused),
        (3, a, Change::ClaimedAbsent),
    ];
    assert_eq!(told, expected, "lifting no pause is not worth an entry");
}

pub(crate) async fn the_history_tells_what_an_order_said(fixture: impl Fixture, _: &str) {
    let store = fixture.user();
    let (a, by, election) = (who("a"), operator(), name("said"));
    let absent = seen(store.as_ref(), &election, &a).await;
    let paused = expect!(Granted, store, &election, &by, pause(None));
    expect!(Granted, store, &election, &by, RESUME);
    let hour = Some(Duration::from_secs(3600));
    let for_an_hour = expect!(Granted, store, &election, &by, pause(hour));
    expect!(Granted, store, &election, &by, RESUME);
    expect!(Granted, store, &election, &a, claim(&a, 1, absent));
    let host = Successor::Host(HostName::new("web-2").expect("a host name"));
    let asked = expect!(Granted, store, &election, &by, resign(1, Some(host)));
    expect!(Granted, store, &election, &by, resign(1, None));
    let history = store.history(&election, 100).await.expect("it reads");
    let told: Vec<_> = history
        .iter()
        .rev()
        .map(|entry| entry.note.clone())
        .collect();
    let anyone = Handover {
        term: term(1),
        to: None,
    };
    let expected = [
        paused.record.orders.paused.map(Note::Pause),
        None,
        for_an_hour.record.orders.paused.map(Note::Pause),
        None,
        None,
        asked.record.orders.handover.map(Note::Handover),
        Some(Note::Handover(anyone)),
    ];
    assert!(expected[0].is_some() && expected[2].is_some() && expected[5].is_some());
    assert_eq!(told, expected);
}

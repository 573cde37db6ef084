//! What every store must do with the record of an election that leaves nothing behind.

use std::collections::BTreeSet;
use std::time::Duration;

use incumbent::protocol::{
    Claim, ClaimKind, Mark, Occupancy, Order, Record, Request, Term, Verdict,
};
use incumbent::store::{Identity, Store, WakeUps};

use super::Fixture;
use super::suite::{
    ask, beat, claim, delete, granted, join, name, refused, release, seen, term, who,
};

/// A claim of an election that has no other store, by one that knows nothing of it.
fn unseen(who: &Identity) -> Request {
    proposing(who, 1)
}

fn proposing(who: &Identity, number: u64) -> Request {
    match claim(who, number, Mark::UNKNOWN) {
        Request::Claim(claim) => Request::Claim(Claim {
            kind: ClaimKind::Sole,
            ephemeral: true,
            ..claim
        }),
        other => other,
    }
}

async fn told_of_an_absence(wake_ups: &mut WakeUps) -> Mark {
    let told = async {
        loop {
            let woken = wake_ups.next().await.expect("the store is open");
            if woken.record == Record::ABSENT {
                return woken.record.mark(&woken.memory);
            }
        }
    };
    let told = tokio::time::timeout(Duration::from_secs(30), told).await;
    told.expect("a deletion is reported")
}

pub(crate) async fn a_deletion_leaves_nothing_and_wakes_the_standbys(
    fixture: impl Fixture,
    _: &str,
) {
    let store = fixture.user();
    let (store, standby) = (store.as_ref(), fixture.user());
    let (a, b, election) = (who("a"), who("b"), name("deleted"));
    let absent = seen(store, &election, &a).await;
    let mut wake_ups = standby.wake_ups(&election);
    granted(standby.as_ref(), &election, &b, &Request::Observe).await;
    granted(store, &election, &a, &claim(&a, 7, absent)).await;
    let held = granted(store, &election, &a, &beat(&a, 7)).await;
    refused(store, &election, &b, &delete(&b, 7)).await;
    refused(store, &election, &a, &delete(&a, 6)).await;
    let gone = granted(store, &election, &a, &delete(&a, 7)).await;
    assert_eq!(gone.record, Record::ABSENT);
    assert_eq!(
        gone.memory.floor,
        term(held.record.beat.get().unsigned_abs())
    );
    assert_eq!(store.elections().await.expect("a list"), []);
    assert_eq!(store.history(&election, 10).await.expect("a history"), []);
    let inspected = standby.inspect(&election).await.expect("it reads");
    assert_eq!((inspected.record, inspected.holder), (Record::ABSENT, None));

    // A claim may expect what was reported; tokens rise over what is gone.
    let mark = told_of_an_absence(&mut wake_ups).await;
    assert_eq!(mark, gone.mark());
    refused(store, &election, &b, &claim(&b, 8, mark)).await;
    let next = granted(store, &election, &b, &claim(&b, 9, mark)).await;
    assert_eq!(next.record.floor, term(9));
    let gone = granted(store, &election, &b, &delete(&b, 9)).await;

    // A leader may join, and no counter comes again.
    let joined = granted(store, &election, &a, &join(&a, 7, gone.mark())).await;
    assert_eq!(joined.record.beat.get(), 10);
    granted(store, &election, &a, &delete(&a, 7)).await;
}

pub(crate) async fn a_record_with_an_order_or_a_term_far_ahead_is_released_and_stays(
    fixture: impl Fixture,
    _: &str,
) {
    let store = fixture.user();
    let store = store.as_ref();
    let a = who("a");
    for order in [
        Order::Pause {
            lasts: None,
            by: a.id().clone(),
            reason: None,
            replaces: true,
        },
        Order::Resign {
            term: term(3),
            to: None,
        },
    ] {
        let election = name(&format!("ordered-{}", matches!(order, Order::Pause { .. })));
        let absent = seen(store, &election, &a).await;
        granted(store, &election, &a, &claim(&a, 3, absent)).await;
        granted(store, &election, &a, &Request::Order(order)).await;
        let left = granted(store, &election, &a, &delete(&a, 3)).await;
        assert_eq!(left.record.occupancy, Occupancy::Vacant);
        assert_eq!(left.record.floor, term(3));
    }
    let election = name("ahead");
    let observed = granted(store, &election, &a, &Request::Observe).await;
    let ahead = (observed.clock.get() + 600_000) * 1000;
    granted(store, &election, &a, &claim(&a, ahead, observed.mark())).await;
    let left = granted(store, &election, &a, &delete(&a, ahead)).await;
    assert_eq!(left.record.occupancy, Occupancy::Vacant);
    assert_eq!(left.memory.floor, Term::ZERO);
    let listed = store.elections().await.expect("a list");
    assert_eq!(listed.len(), 3);
}

pub(crate) async fn an_only_store_numbers_rising_terms_for_those_who_know_nothing_of_it(
    fixture: impl Fixture,
    _: &str,
) {
    let store = fixture.user();
    let store = store.as_ref();
    let (a, b) = (who("a"), who("b"));
    let mut terms = BTreeSet::new();
    for round in 0..20 {
        // Each name is new, or was deleted.
        let election = name(&format!("unseen-{}", round % 7));
        let held = granted(store, &election, &a, &unseen(&a)).await;
        let given = held.record.term;
        assert!(given.get() >= held.clock.get() * 1000);
        assert!(
            terms.last().is_none_or(|last| given > *last),
            "{given} after {terms:?}"
        );
        terms.insert(given);
        refused(store, &election, &b, &unseen(&b)).await;
        granted(store, &election, &a, &delete(&a, given.get())).await;
    }
    assert_eq!(store.elections().await.expect("a list"), []);
    // One that was above its clock is passed all the same.
    let election = name("unseen-0");
    let ahead = terms.last().expect("terms").get() + 30_000_000;
    let held = granted(store, &election, &a, &proposing(&a, ahead)).await;
    assert_eq!(held.record.term, term(ahead));
    granted(store, &election, &a, &delete(&a, ahead)).await;
    let held = granted(store, &election, &b, &unseen(&b)).await;
    assert_eq!(held.record.term, term(ahead + 1));
    granted(store, &election, &b, &delete(&b, ahead + 1)).await;
    // One that is vacant has to be seen.
    let election = name("left");
    let held = granted(store, &election, &a, &unseen(&a)).await;
    granted(store, &election, &a, &release(&a, held.record.term.get())).await;
    refused(store, &election, &b, &unseen(&b)).await;
}

pub(crate) async fn an_operator_forgets_exactly_what_was_seen_and_no_one_holds(
    fixture: impl Fixture,
    _: &str,
) {
    let store = fixture.user();
    let store = store.as_ref();
    let (a, op, election) = (who("a"), who("alice"), name("forgotten"));
    let forget = |expected| Request::Order(Order::Forget { expected });
    let absent = seen(store, &election, &a).await;
    let held = granted(store, &election, &a, &claim(&a, 3, absent)).await;
    refused(store, &election, &op, &forget(held.mark())).await;
    refused(store, &election, &op, &forget(absent)).await;
    let left = granted(store, &election, &a, &release(&a, 3)).await.mark();
    refused(store, &election, &op, &forget(held.mark())).await;
    assert!(
        !store
            .history(&election, 9)
            .await
            .expect("a history")
            .is_empty()
    );
    let gone = granted(store, &election, &op, &forget(left)).await;
    assert_eq!(
        (&gone.record, gone.memory.floor),
        (&Record::ABSENT, term(3))
    );
    assert_eq!(store.elections().await.expect("a list"), []);
    assert_eq!(store.history(&election, 9).await.expect("a history"), []);
    refused(store, &election, &a, &claim(&a, 3, gone.mark())).await;
    refused(store, &election, &op, &forget(left)).await;
    let again = ask(store, &election, &op, &forget(gone.mark())).await;
    assert_eq!(
        (again.verdict, again.memory),
        (Verdict::Granted, gone.memory)
    );
}

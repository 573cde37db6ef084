//! What every store must do with the record of an election that leaves nothing behind.

use std::collections::BTreeSet;
use std::time::Duration;

use incumbent::protocol::{
    Beat, Claim, ClaimKind, Mark, Occupancy, Order, Record, Request, Term, Verdict,
};
use incumbent::store::{Identity, Store, WakeUps};

use super::Fixture;
use super::model::Model;
use super::requests::{
    ask, beat, claim, delete, granted, join, name, refused, release, seen, term, who,
};

/// A claim of an election that has no other store, by one that knows nothing of it.
fn unseen(who: &Identity) -> Request {
    proposing(who, 1, true)
}

fn proposing(who: &Identity, number: u64, ephemeral: bool) -> Request {
    match claim(who, number, Mark::UNKNOWN) {
        Request::Claim(claim) => Request::Claim(Claim {
            kind: ClaimKind::Sole,
            ephemeral,
            ..claim
        }),
        other => other,
    }
}

/// The next absence that is reported, and the floor of the memory then.
async fn told_of_an_absence(wake_ups: &mut WakeUps) -> (Mark, Term) {
    let told = async {
        loop {
            let woken = wake_ups.next().await.expect("the store is open");
            if woken.record == Record::ABSENT {
                return (woken.record.mark(&woken.memory), woken.memory.floor);
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
    let mut wake_ups = standby.wake_ups(&election, who("b").id());
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
    let (mark, _) = told_of_an_absence(&mut wake_ups).await;
    assert_eq!(mark, gone.mark());
    refused(store, &election, &b, &claim(&b, 8, mark)).await;
    let next = granted(store, &election, &b, &claim(&b, 9, mark)).await;
    assert_eq!(next.record.floor, term(9));
    let gone = granted(store, &election, &b, &delete(&b, 9)).await;

    // A leader may join, and no counter comes again.
    let joined = granted(store, &election, &a, &join(&a, 7, gone.mark())).await;
    assert_eq!(joined.record.beat.get(), 10);
    granted(store, &election, &a, &delete(&a, 7)).await;

    // A standby that only listens is woken, even when the store lists no one who waits.
    for seen in [&a, &b] {
        store.withdraw(&election, seen).await.expect("it is gone");
    }
    let held = granted(store, &election, &a, &unseen(&a)).await;
    let number = held.record.term.get();
    granted(store, &election, &a, &delete(&a, number)).await;
    while told_of_an_absence(&mut wake_ups).await.1 < held.record.term {}
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
    // One that no candidate has ever looked at.
    let election = name("ordered-unseen");
    let held = granted(store, &election, &a, &unseen(&a)).await;
    let given = held.record.term;
    let order = Order::Resign {
        term: given,
        to: None,
    };
    granted(store, &election, &a, &Request::Order(order)).await;
    let left = granted(store, &election, &a, &delete(&a, given.get())).await;
    assert_eq!(left.record.occupancy, Occupancy::Vacant);

    let election = name("ahead");
    let observed = granted(store, &election, &a, &Request::Observe).await;
    let ahead = (observed.clock.get() + 600_000) * 1000;
    granted(store, &election, &a, &claim(&a, ahead, observed.mark())).await;
    let left = granted(store, &election, &a, &delete(&a, ahead)).await;
    assert_eq!(left.record.occupancy, Occupancy::Vacant);
    assert_eq!(left.memory.floor, Term::ZERO);
    let listed = store.elections().await.expect("a list");
    assert_eq!(listed.len(), 4);
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
        let claim = proposing(&a, 1, round % 2 == 0);
        let held = granted(store, &election, &a, &claim).await;
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
    let held = granted(store, &election, &a, &proposing(&a, ahead, true)).await;
    assert_eq!(held.record.term, term(ahead));
    granted(store, &election, &a, &delete(&a, ahead)).await;
    for (next, ephemeral) in [(ahead + 1, true), (ahead + 2, false)] {
        let held = granted(store, &election, &b, &proposing(&b, 1, ephemeral)).await;
        assert_eq!(held.record.term, term(next));
        granted(store, &election, &b, &delete(&b, next)).await;
    }
    // One that is vacant has to be seen.
    let election = name("left");
    let held = granted(store, &election, &a, &unseen(&a)).await;
    granted(store, &election, &a, &release(&a, held.record.term.get())).await;
    refused(store, &election, &b, &unseen(&b)).await;
    // So has one that a stranger holds, and it stays the stranger's.
    let election = name("strange");
    let mut model = Model::new(held.memory);
    model.touch(Some(Beat::new(5)));
    let shown = model.record();
    if fixture.touch(&election, Some(Beat::new(5)), &shown).await {
        let foreign = refused(store, &election, &b, &unseen(&b)).await;
        assert_eq!(foreign.record, shown);
    }
    // It learns from the claim that the store may have lost something.
    let before = seen(store, &election, &b).await.memory;
    if fixture.change_role().await {
        let held = granted(store, &name("later"), &a, &unseen(&a)).await;
        assert_ne!(held.memory.id, before);
    }
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

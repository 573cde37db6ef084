//! What every store must do with the memory that shows whether it has forgotten anything.

use std::time::Duration;

use incumbent::protocol::{
    Attestation, Claim, Mark, Memory, MemoryId, Order, Record, Request, Shape,
};
use incumbent::store::Identity;

use super::Fixture;
use super::model::NO_MEMORY;
use super::requests::{beat, claim, granted, join, name, refused, release, seen, term, who};

/// A claim or heartbeat with a word about the age of a memory.
fn vouching(request: Request, memory: MemoryId, age: Duration) -> Request {
    let attested = Some(Attestation { memory, age });
    match request {
        Request::Claim(claim) => Request::Claim(Claim { attested, ..claim }),
        Request::Beat { holder, term, .. } => Request::Beat {
            holder,
            term,
            attested,
        },
        other => other,
    }
}

const fn seconds(number: u64) -> Duration {
    Duration::from_secs(number)
}

pub(crate) async fn a_young_memory_is_as_old_as_candidates_vouch_for_and_no_older_than_a_day(
    fixture: impl Fixture,
    _: &str,
) {
    let store = fixture.user();
    let store = store.as_ref();
    let (a, b, election) = (who("a"), who("b"), name("aging"));
    let forgets = fixture.forget().await;
    let first = granted(store, &election, &a, &Request::Observe).await;
    let (memory, mark) = (first.memory, first.mark());
    let young = |age: Duration| if forgets { age } else { Memory::MATURE };
    assert_eq!(memory.age, young(Duration::ZERO));

    // Only what is granted vouches for anything, only for the memory that it means, and nothing grows younger.
    let wrong = claim(
        &a,
        1,
        Mark {
            term: term(7),
            ..mark
        },
    );
    let wrong = refused(
        store,
        &election,
        &a,
        &vouching(wrong, memory.id, seconds(9)),
    )
    .await;
    assert_eq!(wrong.memory, memory);
    let first = vouching(claim(&a, 1, mark), memory.id, seconds(5));
    let held = granted(store, &election, &a, &first).await;
    assert_eq!(held.memory.age, young(seconds(5)));
    let other = vouching(beat(&b, 1), memory.id, seconds(50));
    assert_eq!(
        refused(store, &election, &b, &other).await.memory,
        held.memory
    );
    for (id, said, age) in [
        (memory.id, 4, 5),
        (NO_MEMORY, 60, 5),
        (memory.id, 6, 6),
        (memory.id, 86_399, 86_399),
    ] {
        let beaten = vouching(beat(&a, 1), id, seconds(said));
        let beaten = granted(store, &election, &a, &beaten).await;
        assert_eq!(beaten.memory.age, young(seconds(age)), "{said} of {id}");
    }
    let plain = granted(store, &election, &a, &beat(&a, 1)).await;
    assert_eq!(plain.memory.age, young(seconds(86_399)));
    let day = vouching(beat(&a, 1), memory.id, Memory::MATURE + seconds(1));
    let day = granted(store, &election, &a, &day).await;
    assert_eq!(day.memory.age, Memory::MATURE);
    // It is one for all elections, and looking shows it.
    let other = name("another");
    let mark = seen(store, &other, &b).await;
    let other = granted(store, &other, &b, &claim(&b, 1, mark)).await;
    assert_eq!(
        (other.memory.id, other.memory.age),
        (memory.id, Memory::MATURE)
    );
    let looked = fixture.user().inspect(&election).await.expect("it reads");
    assert_eq!(looked.memory, Some(day.memory));
}

/// `R8`: what was seen before the store may have lost something proves nothing.
pub(crate) async fn whatever_expects_another_memory_is_refused(fixture: impl Fixture, _: &str) {
    let store = fixture.user();
    let store = store.as_ref();
    let (a, b, election) = (who("a"), who("b"), name("elsewhere"));
    let elsewhere = |mark: Mark| Mark {
        memory: NO_MEMORY,
        ..mark
    };
    let absent = seen(store, &election, &a).await;
    for request in [
        claim(&a, 1, elsewhere(absent)),
        join(&a, 1, elsewhere(absent)),
    ] {
        refused(store, &election, &a, &request).await;
    }
    let held = granted(store, &election, &a, &claim(&a, 1, absent))
        .await
        .mark();
    let depose = |expected| Request::Order(Order::Depose { expected });
    for request in [claim(&b, 2, elsewhere(held)), depose(elsewhere(held))] {
        refused(store, &election, &b, &request).await;
    }
    // A holder needs no memory to beat, nor to release.
    let vacant = granted(store, &election, &a, &release(&a, 1)).await.mark();
    let other = claim(&b, 2, elsewhere(vacant));
    let vacant = refused(store, &election, &b, &other).await.mark();
    granted(store, &election, &b, &claim(&b, 2, vacant)).await;
}

/// Between two absences a record may have been claimed, taken over and deleted.
pub(crate) async fn an_absence_from_before_a_takeover_is_another_one(
    fixture: impl Fixture,
    _: &str,
) {
    let store = fixture.user();
    let store = store.as_ref();
    let (a, b, absent, other) = (who("a"), who("b"), name("absent"), name("other"));
    let taken = async || match seen(store, &absent, &a).await.shape {
        Shape::Absent { taken } => taken,
        shape => panic!("{shape:?}"),
    };
    let before = seen(store, &absent, &a).await;
    let count = taken().await;
    // A claim of a vacant record takes it from no one.
    let mark = seen(store, &other, &a).await;
    granted(store, &other, &a, &claim(&a, 1, mark)).await;
    let vacant = granted(store, &other, &a, &release(&a, 1)).await.mark();
    let held = granted(store, &other, &a, &claim(&a, 2, vacant))
        .await
        .mark();
    assert_eq!(taken().await, count);
    let held = granted(store, &other, &b, &claim(&b, 3, held)).await.mark();
    assert_eq!(taken().await, count + 1);
    refused(store, &absent, &a, &claim(&a, 1, before)).await;
    refused(store, &absent, &a, &join(&a, 1, before)).await;
    let held = granted(store, &other, &a, &join(&a, 2, held)).await.mark();
    assert_eq!(taken().await, count + 2);
    let depose = Request::Order(Order::Depose { expected: held });
    granted(store, &other, &b, &depose).await;
    assert_eq!(taken().await, count + 3);
    let after = seen(store, &absent, &a).await;
    granted(store, &absent, &a, &claim(&a, 1, after)).await;
}

/// A record that is gone alone takes the terms that it granted with it: the memory keeps them.
pub(crate) async fn terms_of_a_lost_record_are_granted_to_no_one_and_can_be_joined(
    fixture: impl Fixture,
    _: &str,
) {
    let store = fixture.user();
    let store = store.as_ref();
    let (a, b, lost, other) = (who("a"), who("b"), name("lost"), name("other"));
    let mark = seen(store, &lost, &a).await;
    let held = granted(store, &lost, &a, &claim(&a, 9, mark)).await;
    assert_eq!(held.memory.floor.get(), 0, "nothing is lost yet");
    if !fixture.lose(&lost).await {
        return;
    }
    let found = granted(store, &lost, &b, &Request::Observe).await;
    assert_eq!(found.record, Record::ABSENT);
    assert_ne!(found.memory.id, held.memory.id);
    assert_eq!(
        (found.memory.age, found.memory.floor),
        (Duration::ZERO, term(9))
    );
    for election in [&lost, &other] {
        let mark = seen(store, election, &b).await;
        refused(store, election, &b, &claim(&b, 8, mark)).await;
        refused(store, election, &b, &claim(&b, 9, mark)).await;
    }
    let mark = seen(store, &lost, &a).await;
    let joined = granted(store, &lost, &a, &join(&a, 9, mark)).await;
    assert_eq!(
        (joined.record.floor, joined.memory.floor),
        (term(9), term(9))
    );
    assert_eq!(joined.memory.id, found.memory.id, "a loss is noticed once");
    refused(store, &lost, &b, &claim(&b, 9, joined.mark())).await;
    granted(store, &lost, &b, &claim(&b, 10, joined.mark())).await;
}

/// Claims `billing` under this term, and returns the memory of the store.
async fn hold(store: &dyn incumbent::store::Store, who: &Identity, number: u64) -> Memory {
    let election = name("billing");
    let mark = seen(store, &election, who).await;
    granted(store, &election, who, &claim(who, number, mark))
        .await
        .memory
}

/// `R7`: what is kept shows nothing by itself.
pub(crate) async fn after_each_loss_the_memory_is_another_one(fixture: impl Fixture, _: &str) {
    let store = fixture.user();
    let store = store.as_ref();
    let (a, election) = (who("a"), name("billing"));
    hold(store, &a, 3).await;
    let first = hold(store, &a, 4).await;
    assert_eq!(first.taken, 1);
    let mut ids = vec![first.id];
    let mut next = async |happened: bool, kept: bool| {
        let reply = granted(store, &election, &a, &Request::Observe).await;
        let again = granted(fixture.user().as_ref(), &election, &a, &Request::Observe).await;
        assert_eq!(reply.memory, again.memory);
        let memory = reply.memory;
        assert_eq!(happened, !ids.contains(&memory.id), "{memory:?} of {ids:?}");
        if happened {
            ids.push(memory.id);
            assert_eq!(memory.age, Duration::ZERO);
            assert_eq!(reply.record.holder().is_some(), kept);
        }
        memory
    };
    // It goes on with what it has, and counts on.
    let moved = fixture.change_role().await;
    let memory = next(moved, true).await;
    assert_eq!((memory.taken, memory.floor.get()), (1, 0));
    let lost = fixture.lose(&election).await;
    let memory = next(lost, false).await;
    assert_eq!(
        (memory.taken, memory.floor.get()),
        (1, if lost { 4 } else { 0 })
    );
    let forgot = fixture.forget().await;
    let memory = next(forgot, false).await;
    if forgot {
        assert_eq!((memory.taken, memory.floor.get()), (0, 0));
    }
    assert!(!moved || forgot, "what can move can forget");
}

//! What every store must do.

use std::time::Duration;

use incumbent::protocol::{
    Beat, ElectionName, LossReason, Mark, Occupancy, Order, Record, Request, Shape, Verdict,
};
use incumbent::store::Identity;
use incumbent::store::{Change, Note, Store};

use super::Fixture;
use super::model::Model;
use super::requests::{
    WINDOW, ask, beat, claim, delete, granted, join, name, refused, release, seen, term, who,
};

/// `S3`, and each part of a claim's guard separately.
pub(crate) async fn grants_and_refuses_by_each_guard(fixture: impl Fixture, _: &str) {
    let store = fixture.user();
    let store = store.as_ref();
    let (a, b, election) = (who("a"), who("b"), name("guards"));
    let absent = seen(store, &election, &a).await;

    // No one holds it, so no one can beat or release it.
    refused(store, &election, &a, &beat(&a, 1)).await;
    refused(store, &election, &a, &release(&a, 1)).await;
    let vacant = Mark {
        shape: Shape::Vacant,
        ..absent
    };
    refused(store, &election, &a, &claim(&a, 10, vacant)).await;
    let held = granted(store, &election, &a, &claim(&a, 10, absent)).await;
    assert_eq!(held.record.holder(), Some(a.id()));
    assert_eq!(
        (held.record.term, held.record.floor, held.record.window()),
        (term(10), term(10), WINDOW)
    );

    // Only its holder, and only under its term.
    for request in [beat(&a, 9), release(&a, 11)] {
        let refusal = refused(store, &election, &a, &request).await;
        assert_eq!(refusal.record, held.record);
    }
    for request in [beat(&b, 10), release(&b, 10)] {
        let refusal = refused(store, &election, &b, &request).await;
        assert_eq!(refusal.record, held.record);
    }
    let beaten = granted(store, &election, &a, &beat(&a, 10)).await;
    assert_eq!(beaten.record.beat, held.record.beat.next());

    // A takeover: the exact beat, the exact term, and a term above the floor.
    refused(store, &election, &b, &claim(&b, 11, held.mark())).await;
    let other_term = Mark {
        term: term(9),
        ..beaten.mark()
    };
    refused(store, &election, &b, &claim(&b, 11, other_term)).await;
    for number in [1, 9, 10] {
        let refusal = refused(store, &election, &b, &claim(&b, number, beaten.mark())).await;
        assert_eq!(refusal.record, beaten.record);
    }
    let taken = granted(store, &election, &b, &claim(&b, 11, beaten.mark())).await;
    assert!(
        taken.record.beat > beaten.record.beat,
        "no counter comes twice"
    );
    refused(store, &election, &a, &beat(&a, 10)).await;

    // The floor survives the release; a join may stay at it or below it.
    let vacant = granted(store, &election, &b, &release(&b, 11)).await;
    assert_eq!(
        (vacant.record.floor, &vacant.record.occupancy),
        (term(11), &Occupancy::Vacant)
    );
    refused(store, &election, &b, &beat(&b, 11)).await;
    refused(store, &election, &b, &release(&b, 11)).await;
    refused(store, &election, &a, &claim(&a, 11, vacant.mark())).await;
    let joined = granted(store, &election, &a, &join(&a, 5, vacant.mark())).await;
    assert_eq!(
        (joined.record.term, joined.record.floor),
        (term(5), term(11))
    );
    granted(store, &election, &a, &beat(&a, 5)).await;
}

pub(crate) async fn of_many_claims_of_one_mark_exactly_one_is_granted(
    fixture: impl Fixture,
    _: &str,
) {
    const CLAIMANTS: usize = 16;
    let users: Vec<_> = (0..4).map(|_| fixture.user()).collect();
    let election = name("contended");
    let mut mark = seen(users[0].as_ref(), &election, &who("a")).await;
    let mut floor = 0;
    for round in 0..5 {
        let claims = (0..CLAIMANTS).map(|n| {
            let (store, election) = (users[n % users.len()].clone(), election.clone());
            tokio::spawn(async move {
                let claimant = who(&format!("claimant-{round}-{n}"));
                let number = floor + 1 + n as u64;
                let request = claim(&claimant, number, mark);
                let reply = ask(store.as_ref(), &election, &claimant, &request).await;
                (reply.verdict == Verdict::Granted).then_some(reply)
            })
        });
        let claims: Vec<_> = claims.collect();
        let mut winners = Vec::new();
        for claim in claims {
            winners.extend(claim.await.expect("no panic"));
        }
        assert_eq!(winners.len(), 1, "round {round}: {winners:?}");
        floor = winners[0].record.floor.get();
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
    let request = claim(&a, 7, seen(store.as_ref(), &election, &a).await);
    let held = granted(store.as_ref(), &election, &a, &request).await;
    for _ in 0..3 {
        let again = refused(again.as_ref(), &election, &a, &request).await;
        assert_eq!(again.record, held.record);
        assert!(again.record.is_held_by(a.id(), term(7)));
    }
    let gone = release(&a, 7);
    let vacant = granted(store.as_ref(), &election, &a, &gone).await;
    let again = refused(again.as_ref(), &election, &a, &gone).await;
    assert_eq!(again.record, vacant.record);
}

pub(crate) async fn keeps_elections_apart_and_lists_them(fixture: impl Fixture, _: &str) {
    let store = fixture.user();
    let a = who("a");
    assert_eq!(store.elections().await.expect("a list"), []);
    let longest = "ü".repeat(100);
    let names = ["a b", "a:b", "z", "ünïcödé/*?[x]", &longest];
    for (number, text) in (1..).zip(names) {
        let mark = seen(store.as_ref(), &name(text), &a).await;
        let request = claim(&a, number, mark);
        granted(store.as_ref(), &name(text), &a, &request).await;
    }
    // Watching an election makes no record of it.
    granted(store.as_ref(), &name("only watched"), &a, &Request::Observe).await;
    for (number, text) in (1..).zip(names) {
        let seen = granted(store.as_ref(), &name(text), &a, &Request::Observe).await;
        assert_eq!(seen.record.term, term(number));
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
    let absent = seen(store.as_ref(), &election, &a).await;
    granted(store.as_ref(), &election, &a, &claim(&a, 3, absent)).await;
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
    let absent = seen(store, &election, &a).await;
    let first = granted(store, &election, &a, &claim(&a, 1, absent)).await;
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
    let mut mark = seen(store, &election, &a).await;
    let mut expected = Vec::new();
    for (number, reason) in (1..).zip(LossReason::ALL.iter().copied().chain(statuses)) {
        granted(store, &election, &a, &claim(&a, number, mark)).await;
        let leave = Request::Release {
            holder: a.id().clone(),
            term: term(number),
            reason,
            delete: false,
        };
        mark = granted(store, &election, &a, &leave).await.mark();
        expected.extend([None, Some(Note::Reason(reason))]);
    }
    // By the clock of the store: of a heartbeat, of a claim that none followed, and of what a join found.
    granted(store, &election, &a, &claim(&a, 50, mark)).await;
    let beaten = ask(store, &election, &a, &beat(&a, 50)).await;
    later().await;
    let stalled = claim(&b, 51, beaten.mark());
    let taken = ask(store, &election, &b, &stalled).await;
    later().await;
    let joined = join(&a, 50, taken.mark());
    let joined = ask(store, &election, &a, &joined).await;
    later().await;
    let depose = Request::Order(Order::Depose {
        expected: joined.mark(),
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
    let mut elsewhere = standby.wake_ups(&name("another"), c.id());
    let mut wake_ups = [
        standby.wake_ups(&election, c.id()),
        leader.wake_ups(&election, b.id()),
    ];
    let mut mark = seen(leader.as_ref(), &election, &a).await;
    // A subscription may need an operation to take hold, and a moment on a server.
    for (store, who) in [(&leader, &b), (&standby, &c)] {
        granted(store.as_ref(), &election, who, &Request::Observe).await;
    }
    // The one seen last is called, where the report of the release names it.
    let called = (!leader.label().starts_with("sqlite:")).then(|| c.id().clone());
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
                    assert_eq!(
                        woken.record.occupancy,
                        Occupancy::Vacant,
                        "only vacant records wake"
                    );
                    if (woken.record, woken.memory.id) == (vacant.record.clone(), vacant.memory.id)
                    {
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
    let mut mark = seen(leader.as_ref(), &election, &a).await;
    for number in 1..4 {
        granted(leader.as_ref(), &election, &a, &claim(&a, number, mark)).await;
        granted(standby.as_ref(), &election, &who("b"), &Request::Observe).await;
        let mut wake_ups = standby.wake_ups(&election, who("b").id());
        let vacant = granted(leader.as_ref(), &election, &a, &release(&a, number)).await;
        let told = async {
            while wake_ups.next().await.expect("the store is open").record != vacant.record {}
        };
        let told = tokio::time::timeout(Duration::from_secs(30), told).await;
        told.unwrap_or_else(|_| panic!("release {number} was not reported"));
        mark = vacant.mark();
    }
}

pub(crate) async fn a_record_outlives_the_instance_that_wrote_it(fixture: impl Fixture, _: &str) {
    let (a, election) = (who("a"), name("kept"));
    let store = fixture.user();
    let absent = seen(store.as_ref(), &election, &a).await;
    let held = granted(store.as_ref(), &election, &a, &claim(&a, 3, absent)).await;
    drop(store);
    let seen = granted(fixture.user().as_ref(), &election, &a, &Request::Observe).await;
    assert_eq!((seen.record, seen.memory), (held.record, held.memory));
}

pub(crate) async fn a_counter_that_a_stranger_touched_is_foreign(fixture: impl Fixture, _: &str) {
    let store = fixture.user();
    let store = store.as_ref();
    let (a, election) = (who("a"), name("touched"));
    let absent = granted(store, &election, &a, &Request::Observe).await;
    let mut model = Model::new(absent.memory);
    let first = claim(&a, 3, absent.mark());
    let held = granted(store, &election, &a, &first).await;
    model.execute(&first, &held);
    // It makes no difference whether someone is seen to wait.
    store.withdraw(&election, &a).await.expect("it is gone");
    for counter in [Some(Beat::new(99)), None, Some(Beat::new(-1))] {
        model.touch(counter);
        let shown = model.record();
        if !fixture.touch(&election, counter, &shown).await {
            return;
        }
        // A leader whose counter was touched is deposed; its own window still counts.
        assert_eq!(shown.window(), WINDOW);
        for request in [beat(&a, 3), release(&a, 3), delete(&a, 3)] {
            assert_eq!(refused(store, &election, &a, &request).await.record, shown);
        }
    }
    let foreign = seen(store, &election, &a).await;
    let taken = granted(store, &election, &a, &claim(&a, 4, foreign)).await;
    assert_eq!(taken.record.holder(), Some(a.id()));
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
        let absent = seen(store, election, &a).await;
        granted(store, election, &a, &claim(&a, 3, absent)).await;
    }
    let mark = seen(store, &spoilt, &a).await;
    let Some(field) = fixture.garble(&spoilt).await else {
        return;
    };
    for request in [
        Request::Observe,
        beat(&a, 3),
        release(&a, 3),
        claim(&a, 4, mark),
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

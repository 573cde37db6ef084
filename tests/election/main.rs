//! The election as a program uses it, over memory stores.

mod again;
mod failover;
mod gaps;
#[path = "../support/hooked.rs"]
mod hooked;
mod lists;
mod once;
mod orders;
mod process;
mod service;
#[path = "../support/mod.rs"]
mod support;

use std::future::{Future, poll_fn};
use std::sync::Arc;
use std::task::Poll;
use std::time::Duration;

use incumbent::election::{OrderError, clock};
use incumbent::fence::FenceError;
use incumbent::observe::State;
use incumbent::protocol::{Beat, FencingToken, LossReason, Occupancy, Record, TimingConfig};
use incumbent::store::{Fault, MemoryStore, StoreError};
use incumbent::{
    CampaignError, Election, ElectionBuilder, ElectionEvent, EventKind, Overrun, RunError,
};
use tokio::sync::broadcast::Receiver;

fn election(stores: &[Arc<MemoryStore>]) -> Election {
    builder(stores).build().unwrap()
}

fn builder(stores: &[Arc<MemoryStore>]) -> ElectionBuilder {
    stores
        .iter()
        .fold(Election::builder("billing"), |builder, store| {
            builder.store_object(store.clone())
        })
        .timing(fast())
}

fn fast() -> TimingConfig {
    TimingConfig {
        interval: Duration::from_millis(100),
        stall_polls: 30,
        stop_grace: Duration::from_secs(1),
        ..Default::default()
    }
}

fn stores(n: usize) -> Vec<Arc<MemoryStore>> {
    (0..n)
        .map(|i| Arc::new(MemoryStore::new(&i.to_string())))
        .collect()
}

/// What a record looks like that a program of the bare protocol has overwritten.
fn taken_by_a_stranger() -> Record {
    let term = FencingToken::new(1).unwrap();
    Record {
        floor: term,
        term,
        occupancy: Occupancy::Foreign {
            counter: Some(Beat::new(1)),
            window: Duration::ZERO,
        },
        ..Record::ABSENT
    }
}

async fn elected(events: &mut Receiver<ElectionEvent>) {
    while !matches!(events.recv().await.unwrap().kind, EventKind::Elected { .. }) {}
}

#[tokio::test]
async fn a_released_election_goes_to_a_waiting_standby_with_a_greater_token() {
    for n in [1, 3, 5] {
        let stores = stores(n);
        let first = election(&stores).campaign().await.unwrap();
        let token = first.fencing_token();
        let other = election(&stores);
        let waiting = tokio::spawn(async move { other.campaign().await.unwrap() });
        assert!(
            election(&stores)
                .try_campaign()
                .await
                .unwrap_err()
                .is_held()
        );
        first.resign().await;
        let second = waiting.await.unwrap();
        assert!(second.fencing_token() > token);
        second.check().unwrap();
        second.resign().await;
    }
}

#[tokio::test]
async fn a_panic_in_the_work_resigns_before_it_goes_on() {
    let stores = stores(1);
    let mine = election(&stores);
    let work = tokio::spawn(async move {
        mine.run_as_leader(|_| async { panic!("the work fails") })
            .await
    });
    assert!(work.await.unwrap_err().is_panic());
    election(&stores)
        .try_campaign()
        .await
        .unwrap()
        .resign()
        .await;
}

#[tokio::test]
async fn work_is_told_that_it_lost_and_dropped_at_the_deadline() {
    let store = Arc::new(MemoryStore::new("wiped"));
    let builder = builder(std::slice::from_ref(&store));
    // On a busy machine the drop may be late, and would be forestalled by the end of this whole process.
    let election = builder.overrun(Overrun::Report).build().unwrap();
    let mut events = election.events();
    let name = election.name().clone();
    let run = election.run_as_leader(|lease| async move {
        store.put(&name, taken_by_a_stranger());
        lease.lost().await;
        assert!(lease.check().is_err());
        std::future::pending::<()>().await;
    });
    let outcome = run.await;
    assert!(
        matches!(outcome, Err(RunError::Lost { value: None, .. })),
        "{outcome:?}"
    );
    let mut happened = Vec::new();
    while let Ok(event) = events.try_recv() {
        happened.push(event.kind);
    }
    assert!(
        happened
            .iter()
            .any(|h| matches!(h, EventKind::Stopping { .. })),
        "{happened:?}"
    );
}

#[test]
fn the_blocking_twin_leads_and_resigns() {
    let stores = stores(1);
    let election = election(&stores).blocking();
    let token = election
        .run_as_leader(|lease| lease.fencing_token())
        .unwrap();
    let leadership = election.campaign_timeout(Duration::from_secs(1)).unwrap();
    assert!(leadership.fencing_token() > token);
    assert!(election.try_campaign().unwrap_err().is_held());
    let late = election.campaign_timeout(Duration::from_millis(300));
    assert!(late.unwrap_err().is_held());
}

#[tokio::test]
async fn status_history_and_metrics_tell_of_a_leadership_and_its_end() {
    use futures_util::StreamExt;
    use incumbent::observe::{Ending, State};

    for n in [1, 3, 5] {
        let stores = stores(n);
        let election = election(&stores);
        assert_eq!(election.status().await.state, State::Absent);
        assert_eq!(election.metrics().leading, None);

        let leadership = election.campaign().await.unwrap();
        let token = leadership.fencing_token();
        let view = election.status().await;
        let holding = view.leader().unwrap();
        assert_eq!(holding.term, token);
        assert!(!holding.is_stalled());
        assert!(view.candidates[0].leads);

        let mut views = election.watch();
        let beat = views.next().await.unwrap().leader().unwrap().beat;
        while views.next().await.unwrap().leader().unwrap().beat == beat {}

        let metrics = election.metrics();
        assert_eq!(metrics.leading, Some(leadership.fencing_token()));
        assert_eq!((metrics.campaigns, metrics.elected), (1, 1));
        assert!(metrics.heartbeats[0] > 0 && metrics.tenure_remaining > Duration::ZERO);
        assert!(metrics.stores.iter().all(|store| store.up == Some(true)));

        leadership.resign().await;
        let metrics = election.metrics();
        assert_eq!((metrics.leading, metrics.campaigns), (None, 0));
        assert_eq!(metrics.ended, [1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0]);
        assert!(matches!(
            election.status().await.state,
            State::Vacant { .. }
        ));
        let history = election.history(10).await;
        assert_eq!(history.terms[0].term, token);
        assert_eq!(history.terms[0].ended, Some(Ending::Released));
        assert_eq!(history.terms[0].reason, Some(LossReason::Resigned));
        let listing = election.observer().elections().await;
        assert_eq!(listing.elections, [election.name().clone()]);
    }
}

/// One word for it, in events, metrics and history.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_leadership_that_is_given_up_tells_why_everywhere() {
    use incumbent::observe::LOSS_REASONS;

    let stores = stores(3);
    let election = election(&stores);
    let mut events = election.events();
    let panics = || {
        let blocking = election.blocking();
        let work = std::thread::spawn(move || {
            let _leadership = blocking.campaign().unwrap();
            panic!("past a leadership that is held");
        });
        assert!(work.join().is_err());
    };

    election.run_as_leader(async |_| ()).await.unwrap();
    let blocking = election.blocking();
    let work = tokio::task::spawn_blocking(move || blocking.run_as_leader(|_| ()));
    work.await.unwrap().unwrap();
    let again = election.clone();
    let work = tokio::spawn(async move { again.run_as_leader(async |_| panic!("it fails")).await });
    assert!(work.await.unwrap_err().is_panic());
    tokio::task::block_in_place(panics);
    drop(election.campaign().await.unwrap());
    let leadership = election.campaign().await.unwrap();
    leadership.stop(LossReason::Unhealthy);
    leadership.lost().await;
    leadership.resign().await;
    let leadership = election.campaign().await.unwrap();
    let status = Some(3);
    leadership.conclude(LossReason::WorkEnded { status }).await;

    let ended = LossReason::WorkEnded { status: None };
    let expected = [
        ended,
        ended,
        LossReason::Panicked,
        LossReason::Panicked,
        LossReason::Resigned,
        LossReason::Unhealthy,
        LossReason::WorkEnded { status },
    ];
    let history = election.history(10).await;
    let told: Vec<_> = history.terms.iter().rev().map(|term| term.reason).collect();
    assert_eq!(told, expected.map(Some));
    let counted = LOSS_REASONS.iter().map(|one| {
        let same = expected.iter().filter(|reason| reason.word() == one.word());
        u64::try_from(same.count()).unwrap()
    });
    assert_eq!(election.metrics().ended, counted.collect::<Vec<_>>());
    let mut told = Vec::new();
    while let Ok(event) = events.try_recv() {
        if let EventKind::Stopping { reason, .. } = event.kind {
            told.push(reason);
        }
    }
    assert_eq!(told, expected);
}

#[tokio::test]
async fn a_dropped_run_has_finished_when_its_records_are_released() {
    let stores = stores(3);
    let mine = election(&stores);
    let work = mine.run_as_leader(|_| std::future::pending::<()>());
    let mut events = mine.events();
    tokio::select! {
        _ = work => unreachable!("the work never ends"),
        () = elected(&mut events) => {}
    }
    mine.finished().await;
    for store in &stores {
        use incumbent::store::Store;
        let record = store.inspect(mine.name()).await.unwrap().record;
        assert_eq!(record.occupancy, Occupancy::Vacant);
    }
}

#[tokio::test]
async fn a_campaign_that_is_dropped_when_it_was_won_leaves_no_lease_that_may_act() {
    let stores = stores(1);
    let other = election(&stores).campaign().await.unwrap();
    let mine = election(&stores);
    let mut events = mine.events();
    let mut campaign = Box::pin(mine.campaign());
    // Polled once, while it cannot be won, and not again.
    let polled = poll_fn(|context| Poll::Ready(campaign.as_mut().poll(context))).await;
    assert!(polled.is_pending());
    other.resign().await;
    elected(&mut events).await;
    drop(campaign);
    mine.finished().await;
    let next = election(&stores).campaign().await.unwrap();
    next.check().unwrap();
    let lease = mine.lease().unwrap();
    assert!(lease.check().is_err());
    assert_eq!(lease.remaining(), Duration::ZERO);
    assert_eq!(mine.metrics().leading, None);
    next.resign().await;
}

/// As after a leader that an order has put in the place of a live one, and that was gone again before the
/// live one heard of it.
#[tokio::test]
async fn who_finds_that_another_has_led_meanwhile_does_not_lead_on() {
    for number in [1, 3] {
        let stores = stores(number);
        let election = election(&stores);
        let leadership = election.campaign().await.unwrap();
        let mut later = Record::ABSENT;
        later.term = FencingToken::new(leadership.fencing_token().get() + 10).unwrap();
        later.floor = later.term;
        later.occupancy = Occupancy::Vacant;
        for store in &stores {
            store.put(election.name(), later.clone());
        }
        let lost = tokio::time::timeout(Duration::from_secs(10), leadership.lost()).await;
        assert_eq!(lost, Ok(LossReason::Deposed), "{number}");
        let token = leadership.fencing_token().get();
        leadership.resign().await;
        let next = election.campaign().await.unwrap();
        assert!(next.fencing_token().get() > token + 10, "{number}");
        next.resign().await;
    }
}

#[tokio::test]
async fn a_value_that_is_finished_after_the_work_was_told_to_stop_comes_with_the_error() {
    let election = election(&stores(1));
    let mine = election.clone();
    let value = election.run_as_leader(|lease| async move {
        assert!(mine.stop_leading(LossReason::Resigned));
        lease.lost().await;
        7
    });
    let error = value.await.unwrap_err();
    assert!(
        matches!(error, RunError::Lost { value: Some(7), .. }),
        "{error:?}"
    );
    let mine = election.clone();
    let blocking = tokio::task::spawn_blocking(move || {
        mine.blocking().run_as_leader(|lease| {
            assert!(mine.stop_leading(LossReason::Resigned));
            while lease.loss().is_none() {
                std::thread::yield_now();
            }
            8
        })
    });
    let error = blocking.await.unwrap().unwrap_err();
    assert!(
        matches!(error, RunError::Lost { value: Some(8), .. }),
        "{error:?}"
    );
}

/// Printing an error with all its sources prints each of them once.
#[test]
fn an_error_names_its_source_in_the_message_or_returns_it() {
    let system = || Arc::new(std::io::Error::other("of the system"));
    let store = StoreError::Unreachable {
        store: "one".into(),
        source: system(),
    };
    let source = Box::new(store.clone());
    let election = "billing".to_owned();
    let unreachable = CampaignError::Unreachable {
        election: election.clone(),
        source: source.clone(),
    };
    let label = Election::builder("billing")
        .label("a|b")
        .build()
        .unwrap_err();
    let errors: [Box<dyn std::error::Error>; 7] = [
        Box::new(store),
        Box::new(label),
        Box::new(OrderError::Unread {
            election: election.clone(),
            source,
        }),
        Box::new(RunError::<()>::from(unreachable.clone())),
        Box::new(unreachable),
        Box::new(CampaignError::System {
            election,
            source: system(),
        }),
        Box::new(FenceError::Io {
            action: "locking",
            path: "/".into(),
            source: system(),
        }),
    ];
    for error in errors {
        let mut said = vec![error.to_string()];
        let mut next = error.source();
        while let Some(source) = next {
            said.push(source.to_string());
            next = source.source();
        }
        for (at, one) in said.iter().enumerate() {
            let twice = said[at + 1..].iter().any(|later| one.contains(later));
            assert!(!twice, "{said:?}");
        }
    }
}

/// Nobody can be elected there, so neither a campaign that does not wait nor one that has waited is left open.
#[tokio::test]
async fn a_campaign_on_terms_that_are_used_up_says_so() {
    let store = Arc::new(MemoryStore::new("forged"));
    let election = builder(std::slice::from_ref(&store)).build().unwrap();
    let mut forged = Record::ABSENT;
    (forged.floor, forged.term) = (FencingToken::MAX, FencingToken::MAX);
    forged.occupancy = Occupancy::Vacant;
    store.put(election.name(), forged);
    let wait = Duration::from_millis(500);
    let at_once = tokio::time::timeout(Duration::from_secs(60), election.try_campaign()).await;
    for refused in [at_once.unwrap(), election.campaign_timeout(wait).await] {
        let error = refused.unwrap_err();
        assert!(
            matches!(error, CampaignError::TermsUsedUp { .. }),
            "{error:?}"
        );
        assert!(!error.is_held(), "{error}");
    }
}

#[tokio::test]
async fn a_release_that_no_store_took_is_sent_again_when_they_are_back() {
    for n in [1, 3] {
        let stores = stores(n);
        // No one waits for this window to pass.
        let patient = builder(&stores).stall_polls(36_000).build().unwrap();
        let all = |fault: Option<Fault>| stores.iter().for_each(|store| store.set_fault(fault));
        let leadership = patient.campaign().await.unwrap();
        let token = leadership.fencing_token();
        all(Some(Fault::Unreachable));
        leadership.resign().await;
        all(None);
        let state = patient.status().await.state;
        assert!(matches!(state, State::Held(_)), "{state:?}");
        let next = patient.campaign_timeout(Duration::from_secs(60)).await;
        let next = next.expect("the record of who is gone stands in the way");
        assert!(next.fencing_token() > token);
        next.resign().await;
    }
}

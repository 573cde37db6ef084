//! The election as a program uses it, over memory stores.

use std::sync::Arc;
use std::time::Duration;

use incumbent::store::MemoryStore;
use incumbent::{Election, Happening, RunError};

fn election(stores: &[Arc<MemoryStore>]) -> Election {
    stores
        .iter()
        .fold(Election::builder("billing"), |builder, store| {
            builder.store_object(store.clone())
        })
        .timing(fast())
        .build()
        .unwrap()
}

fn fast() -> incumbent::protocol::TimingConfig {
    incumbent::protocol::TimingConfig {
        interval: Duration::from_millis(100),
        stall_polls: 6,
        stop_grace: Duration::from_millis(100),
        ..Default::default()
    }
}

fn stores(n: usize) -> Vec<Arc<MemoryStore>> {
    (0..n)
        .map(|i| Arc::new(MemoryStore::new(&i.to_string())))
        .collect()
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
    let election = election(std::slice::from_ref(&store));
    let mut events = election.events();
    let name = election.name().clone();
    let run = election.run_as_leader(|lease| async move {
        // Somebody overwrites the record.
        let mut record = incumbent::protocol::Record::ABSENT;
        record.occupancy = incumbent::protocol::Occupancy::Foreign {
            counter: Some(incumbent::protocol::Beat::new(1)),
            window: Duration::ZERO,
        };
        store.put(&name, record);
        lease.lost().await;
        assert!(lease.check().is_err());
        std::future::pending::<()>().await;
    });
    let outcome = run.await;
    assert!(matches!(outcome, Err(RunError::Lost(_))), "{outcome:?}");
    let mut happened = Vec::new();
    while let Ok(event) = events.try_recv() {
        happened.push(event.happening);
    }
    assert!(
        happened
            .iter()
            .any(|h| matches!(h, Happening::Stopping { .. })),
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
        assert_eq!(holding.term.get(), token);
        assert!(!holding.is_stalled());
        assert!(view.candidates[0].leads);

        let mut views = election.watch();
        let beat = views.next().await.unwrap().leader().unwrap().beat;
        while views.next().await.unwrap().leader().unwrap().beat == beat {}

        let metrics = election.metrics();
        assert_eq!(metrics.leading, Some(leadership.term()));
        assert_eq!((metrics.campaigns, metrics.elected), (1, 1));
        assert!(metrics.heartbeats[0] > 0 && metrics.tenure_remaining > Duration::ZERO);
        assert!(metrics.stores.iter().all(|store| store.up == Some(true)));

        leadership.resign().await;
        let metrics = election.metrics();
        assert_eq!((metrics.leading, metrics.campaigns), (None, 0));
        assert_eq!(metrics.ended, [1, 0, 0, 0, 0, 0, 0]);
        assert!(matches!(
            election.status().await.state,
            State::Vacant { .. }
        ));
        let history = election.history(10).await;
        assert_eq!(history.terms[0].term.get(), token);
        assert_eq!(history.terms[0].ended, Some(Ending::Released));
        let listing = election.observer().elections().await;
        assert_eq!(listing.elections, [election.name().clone()]);
    }
}

#[tokio::test]
async fn a_dropped_run_has_finished_when_its_records_are_released() {
    let stores = stores(3);
    let mine = election(&stores);
    let work = mine.run_as_leader(|_| std::future::pending::<()>());
    let mut events = mine.events();
    let elected = async {
        while !matches!(
            events.recv().await.unwrap().happening,
            Happening::Elected { .. }
        ) {}
    };
    tokio::select! {
        _ = work => unreachable!("the work never ends"),
        () = elected => {}
    }
    mine.finished().await;
    for store in &stores {
        use incumbent::store::Store;
        let record = store.inspect(mine.name()).await.unwrap().record;
        assert_eq!(record.occupancy, incumbent::protocol::Occupancy::Vacant);
    }
}

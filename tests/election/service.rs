//! A service of the library: `run_until`, what asks whether it leads, and a store that a test breaks.

use std::cell::{Cell, RefCell};
use std::error::Error;
use std::sync::Arc;
use std::time::Duration;

use incumbent::observe::State;
use incumbent::protocol::LossReason;
use incumbent::store::{Fault, MemoryStore, Store, StoreError};
use incumbent::{Election, Lease};
use tokio::sync::{mpsc, oneshot};

use super::{builder, election, fast, stores, taken_by_a_stranger};

async fn is_vacant(election: &Election) -> bool {
    matches!(election.status().await.state, State::Vacant { .. })
}

#[tokio::test]
async fn a_service_that_is_shut_down_ends_its_work_and_has_released_when_it_returns() {
    for n in [1, 3] {
        let stores = stores(n);
        let service = election(&stores);
        let (shut_down, shutdown) = oneshot::channel::<()>();
        let shut_down = Cell::new(Some(shut_down));
        let outcome = service
            .run_until(shutdown, async |lease| {
                assert!(lease.is_leader() && service.is_leader());
                shut_down.take().unwrap().send(()).unwrap();
                let reason = lease.lost().await;
                assert!(lease.is_leader(), "it may still act while it stops");
                reason
            })
            .await;
        assert_eq!(outcome.unwrap(), Some(LossReason::Resigned));
        assert!(!service.is_leader());
        assert!(is_vacant(&service).await, "{n}");
    }
}

#[tokio::test]
async fn work_that_ignores_the_shutdown_is_dropped_after_the_stop_grace() {
    let stores = stores(1);
    let grace = Duration::from_millis(200);
    let service = builder(&stores).stop_grace(grace).build().unwrap();
    let again = service.clone();
    let (started, mut has_started) = mpsc::channel(1);
    let (shut_down, shutdown) = oneshot::channel::<()>();
    let running = tokio::spawn(async move {
        let work = async |_: Lease| {
            started.send(()).await.unwrap();
            std::future::pending::<()>().await;
        };
        again.run_until(shutdown, work).await
    });
    has_started.recv().await.unwrap();
    shut_down.send(()).unwrap();
    assert_eq!(running.await.unwrap().unwrap(), None);
    assert!(is_vacant(&service).await);
}

#[tokio::test]
async fn a_service_that_stands_by_leaves_when_it_is_shut_down() {
    let stores = stores(3);
    let leadership = election(&stores).campaign().await.unwrap();
    let standby = election(&stores);
    let listed = async |wanted| {
        while standby.candidates().await.len() != wanted {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    let outcome = standby.run_until(listed(2), async |_| unreachable!("another leads"));
    assert_eq!(outcome.await.unwrap(), None);
    assert_eq!(standby.candidates().await.len(), 1);
    leadership.resign().await;
}

#[tokio::test]
async fn a_service_that_loses_its_leadership_campaigns_again() {
    let store = Arc::new(MemoryStore::new("taken"));
    let service = builder(std::slice::from_ref(&store)).build().unwrap();
    let tokens = RefCell::new(Vec::new());
    let outcome = service
        .run_until(std::future::pending::<()>(), async |lease| {
            tokens.borrow_mut().push(lease.fencing_token());
            let first = tokens.borrow().len() == 1;
            if first {
                store.put(service.name(), taken_by_a_stranger());
                lease.lost().await;
            }
            tokens.borrow().len()
        })
        .await;
    assert_eq!(outcome.unwrap(), Some(2));
    let tokens = tokens.into_inner();
    assert!(tokens[0] < tokens[1], "{tokens:?}");
}

/// Each setting of the timing without the others, and texts of either kind.
#[test]
fn every_setting_of_the_timing_can_be_given_to_the_builder_alone() {
    let number = 7;
    let builder = || {
        Election::builder(format!("billing-{number}"))
            .store_object(MemoryStore::new("one"))
            .label(format!("web-{number}"))
    };
    let timing = *builder()
        .interval(Duration::from_millis(100))
        .stop_grace(Duration::from_millis(200))
        .op_timeout(Duration::from_millis(50))
        .probation(Duration::from_secs(2))
        .build()
        .unwrap()
        .timing();
    assert_eq!(timing.stop_grace(), Duration::from_millis(200));
    assert_eq!(timing.op_timeout(), Duration::from_millis(50));
    assert_eq!(timing.probation(), Duration::from_secs(2));
    let refused = builder().interval(Duration::from_millis(100)).build();
    assert!(refused.unwrap_err().to_string().contains("stop_grace"));
    let stores = Election::builder("billing").store(format!("redis://127.0.0.{number}/"));
    assert_eq!(stores.build().unwrap().stores().len(), 1);
}

#[tokio::test]
async fn a_memory_store_fails_as_a_test_wants_it_to() {
    let store = Arc::new(MemoryStore::new("broken"));
    let service = election(std::slice::from_ref(&store));
    let name = service.name();

    store.set_fault(Fault::Unreachable);
    let refused = service.try_campaign().await.unwrap_err();
    assert!(refused.to_string().contains("not reachable"), "{refused}");
    let read = store.inspect(name).await;
    assert!(
        matches!(read, Err(StoreError::Unreachable { .. })),
        "{read:?}"
    );
    service.finished().await;

    // What was claimed without a reply is held, and given up.
    store.set_fault(Fault::Silent);
    let silent = service.try_campaign().await;
    assert!(silent.is_err(), "{silent:?}");
    let read = store.inspect(name).await;
    assert!(matches!(read, Err(StoreError::Unknown { .. })), "{read:?}");

    let delay = Duration::from_millis(60);
    store.set_fault(Fault::Slow(delay));
    let asked = incumbent::election::clock::now();
    store.inspect(name).await.unwrap();
    assert!(incumbent::election::clock::now().since(asked) >= delay);
    store.set_fault(None);
    service.campaign().await.unwrap().resign().await;
}

/// What a program would write first, and must compile.
#[tokio::test]
async fn a_name_is_any_text_and_work_may_return_its_errors() {
    let number = 7;
    let made = format!("job-{number}");
    let names = [
        Election::builder("job-7"),
        Election::builder(format!("job-{number}")),
        Election::builder(&made),
        Election::builder(&*made),
    ];
    for builder in names {
        let store = MemoryStore::new("example");
        let election = builder.store_object(store).timing(fast()).build().unwrap();
        let parsed = election.run_as_leader(async |lease| -> Result<u64, Box<dyn Error>> {
            lease.check()?;
            Ok("7".parse::<u64>()?)
        });
        assert_eq!(parsed.await.unwrap().unwrap(), number);
        let failed = election.blocking();
        let failed = tokio::task::spawn_blocking(move || {
            failed.run_as_leader(|lease| -> Result<u64, Box<dyn Error + Send + Sync>> {
                lease.check()?;
                Ok("seven".parse::<u64>()?)
            })
        });
        assert!(failed.await.unwrap().unwrap().is_err());
    }
}

/// A test clock that is paused jumps ahead while its runtime waits: the timeout expires, and no lease does.
#[tokio::test(start_paused = true)]
async fn paused_time_does_not_apply_to_an_election() {
    let stores = stores(1);
    let leadership = election(&stores).campaign().await.unwrap();
    let asked = incumbent::election::clock::now();
    let day = Duration::from_secs(24 * 3600);
    let standby = election(&stores);
    let waited = tokio::time::timeout(day, standby.campaign()).await;
    assert!(waited.is_err(), "another leads");
    assert!(incumbent::election::clock::now().since(asked) < day);
    assert!(leadership.lease().is_leader());
    leadership.resign().await;
}

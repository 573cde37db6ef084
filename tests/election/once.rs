//! Work that runs once per tick, over all that start it.

use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use futures_util::FutureExt;
use futures_util::future::join_all;
use incumbent::observe::State;
use incumbent::protocol::{Order, Request};
use incumbent::store::{Identity, MemoryStore, Store, StoreError};
use incumbent::{CampaignError, Election};

use super::hooked::{Hook, Hooked};
use super::{election, fast, stores};

const TICK: Duration = Duration::from_secs(3600);

#[tokio::test]
async fn it_runs_once_however_many_start_it_and_again_in_the_next_tick() {
    for n in [1, 3] {
        let stores = stores(n);
        let runs = AtomicU32::new(0);
        let start = async || {
            let work = async |_| runs.fetch_add(1, Ordering::Relaxed);
            election(&stores).run_once(TICK, work).await.unwrap()
        };
        let ran: Vec<Option<u32>> = join_all((0..5).map(|_| start())).await;
        assert_eq!(ran.iter().flatten().count(), 1, "{ran:?}");
        assert_eq!(start().await, None);
        // As when the time is over.
        election(&stores).operator().resume().await.unwrap();
        assert_eq!(start().await, Some(1));
    }
}

#[test]
fn its_blocking_twin_skips_too() {
    let election = election(&stores(1)).blocking();
    assert_eq!(election.run_once(TICK, |_| 7).unwrap(), Some(7));
    assert_eq!(election.run_once(TICK, |_| 7).unwrap(), None);
}

#[tokio::test]
async fn a_time_that_is_no_longer_than_a_failover_is_refused() {
    let election = election(&stores(1));
    let needed = election.timing().worst_failover();
    let refused = election.run_once(needed, async |_| ()).await;
    let refused = refused.unwrap_err().to_string();
    assert!(
        refused.contains("is too short for election \"billing\""),
        "{refused}"
    );
}

/// How orders fail, and nothing else.
type Failing = Option<fn(Arc<str>) -> StoreError>;

struct OrdersFail(Failing);

impl Hook for OrdersFail {
    fn before(&self, label: &str, request: &Request) -> Result<(), StoreError> {
        match (self.0, request) {
            (Some(error), Request::Order(_)) => Err(error(label.into())),
            _ => Ok(()),
        }
    }
}

fn lost(store: Arc<str>) -> StoreError {
    let source = Arc::new(io::Error::from(io::ErrorKind::TimedOut));
    StoreError::Unknown { store, source }
}

fn denied(store: Arc<str>) -> StoreError {
    StoreError::Denied {
        store,
        message: "no permission".to_owned(),
    }
}

/// An election on three stores, of which `failing` take no orders.
fn without_orders(error: fn(Arc<str>) -> StoreError, failing: usize) -> Election {
    let all = stores(3);
    let all = all
        .iter()
        .enumerate()
        .map(|(at, store): (usize, &Arc<MemoryStore>)| Hooked {
            store: Arc::clone(store),
            hook: OrdersFail((at < failing).then_some(error)),
        });
    all.fold(Election::builder("billing"), |builder, store| {
        builder.store_object(store)
    })
    .timing(fast())
    .build()
    .unwrap()
}

#[tokio::test]
async fn without_a_confirmed_pause_it_does_not_run_and_gives_the_election_up() {
    for error in [lost as fn(Arc<str>) -> StoreError, denied] {
        let election = without_orders(error, 2);
        let refused = election.campaign_once(TICK).await.unwrap_err();
        assert!(
            matches!(refused, CampaignError::Unmarked { .. }),
            "{refused}"
        );
        let state = election.status().await.state;
        assert!(matches!(state, State::Vacant { .. }), "{state:?}");
    }
}

/// An operator who is just faster than the pause of a run.
struct Overtaken(Arc<MemoryStore>);

impl Hook for Overtaken {
    fn before(&self, _: &str, request: &Request) -> Result<(), StoreError> {
        let Request::Order(Order::Pause { by, .. }) = request else {
            return Ok(());
        };
        let op = who("op");
        if by == op.id() {
            return Ok(());
        }
        let pause = Request::Order(Order::Pause {
            lasts: None,
            by: op.id().clone(),
            reason: None,
            replaces: true,
        });
        let name = "billing".parse().unwrap();
        let paused = self.0.execute(&name, &op, &pause).now_or_never();
        paused.expect("a memory store answers at once").map(drop)
    }
}

fn who(id: &str) -> Identity {
    Identity::new(id.parse().unwrap(), "host", 1, "0").unwrap()
}

#[tokio::test]
async fn a_pause_by_an_operator_who_is_just_faster_stays_and_is_respected() {
    for paused in [1, 2] {
        let all = stores(3);
        let mut builder = Election::builder("billing").timing(fast());
        for (at, store) in all.iter().enumerate() {
            builder = match at < paused {
                true => builder.store_object(Hooked {
                    store: Arc::clone(store),
                    hook: Overtaken(Arc::clone(store)),
                }),
                false => builder.store_object(Arc::clone(store)),
            };
        }
        let election = builder.build().unwrap();
        let ran = election.run_once(TICK, async |_| 7).await.unwrap();
        // An operator that a majority obeys has paused it.
        assert_eq!(ran, (paused == 1).then_some(7));
        for store in &all[..paused] {
            let name = "billing".parse().unwrap();
            let record = store.inspect(&name).await.unwrap().record;
            let pause = record.orders.paused.as_ref().unwrap();
            assert_eq!((pause.by.as_str(), pause.until), ("op", None));
        }
        let state = election.status().await.state;
        assert!(!matches!(state, State::Held(_)), "{state:?}");
    }
}

#[tokio::test]
async fn a_pause_that_a_majority_confirms_is_enough() {
    let election = without_orders(lost, 1);
    assert_eq!(election.run_once(TICK, async |_| 7).await.unwrap(), Some(7));
    assert_eq!(election.run_once(TICK, async |_| 7).await.unwrap(), None);
}

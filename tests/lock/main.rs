//! The locks: each quality that people look for in one, and how a hold can end.

#[path = "../support/mod.rs"]
mod support;

mod endings;
mod forks;
mod processes;
mod qualities;
mod seats;
mod unanswered;

use std::sync::Arc;
use std::time::Duration;

use incumbent::lock::{Lock, Locks, LocksBuilder};
use incumbent::protocol::TimingConfig;
use incumbent::store::MemoryStore;

/// What a wait of a test takes at most. It is far more than any of them needs.
const PATIENCE: Duration = Duration::from_secs(60);

/// A holder that dies is replaced within seconds, and one that lives keeps what it holds on a busy machine.
fn steady() -> TimingConfig {
    TimingConfig {
        interval: Duration::from_millis(100),
        stall_polls: 50,
        stop_grace: Duration::from_millis(50),
        ..TimingConfig::default()
    }
}

/// A holder that dies is replaced within a second.
fn hasty() -> TimingConfig {
    TimingConfig {
        interval: Duration::from_millis(50),
        stall_polls: 16,
        stop_grace: Duration::from_millis(50),
        ..TimingConfig::default()
    }
}

/// A holder that dies is replaced much later than a test waits: what is free before was released.
fn patient() -> TimingConfig {
    TimingConfig {
        interval: Duration::from_millis(500),
        stall_polls: 1000,
        ..TimingConfig::default()
    }
}

fn stores(count: usize) -> Vec<Arc<MemoryStore>> {
    let names = (0..count).map(|number| number.to_string());
    names
        .map(|name| Arc::new(MemoryStore::new(&name)))
        .collect()
}

fn builder(stores: &[Arc<MemoryStore>], timing: TimingConfig) -> LocksBuilder {
    let stores = stores.iter().cloned();
    stores
        .fold(Locks::builder(), LocksBuilder::store_object)
        .timing(timing)
}

/// A client that has acquired a lock before, so that it acquires the next one where the caller runs.
async fn client(stores: &[Arc<MemoryStore>], timing: TimingConfig) -> Locks {
    let locks = builder(stores, timing).build().unwrap();
    warm_up(&locks).await;
    locks
}

async fn warm_up(locks: &Locks) {
    let first = lock(locks, "first").acquire_timeout(PATIENCE).await;
    first.unwrap().release().await;
}

fn lock(locks: &Locks, name: &str) -> Lock {
    locks.lock(name).unwrap()
}

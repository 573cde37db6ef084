//! How a hold ends, and what becomes of a lock when its holder does not end it.

use std::time::Duration;

use incumbent::lock::{Guard, Lock, Locks};
use incumbent::store::Fault;
use tokio::runtime::{Builder, Runtime};

use super::{PATIENCE, client, lock, patient, steady, stores, warm_up};

/// Waits until the lock can be acquired, which the end of a window would allow only much later.
pub(super) async fn is_released(lock: &Lock) {
    let guard = lock.acquire_timeout(PATIENCE).await.unwrap();
    guard.release().await;
}

fn runtime() -> Runtime {
    Builder::new_current_thread().enable_all().build().unwrap()
}

#[tokio::test]
async fn dropping_the_guard_releases_the_lock() {
    for count in [1, 3] {
        let stores = stores(count);
        let locks = client(&stores, patient()).await;
        let lock = lock(&locks, "order:42");
        for _ in 0..10 {
            drop(lock.acquire_timeout(PATIENCE).await.unwrap());
            is_released(&lock).await;
        }
        drop(lock.acquire().await.unwrap());
        locks.finished().await;
        lock.try_acquire().await.unwrap().release().await;
    }
}

#[test]
fn dropping_the_guard_outside_a_runtime_releases_the_lock() {
    let stores = stores(1);
    let runtime = runtime();
    let locks = runtime.block_on(client(&stores, patient()));
    let lock = lock(&locks, "order:42");
    for _ in 0..3 {
        drop(runtime.block_on(lock.acquire()).unwrap());
        runtime.block_on(is_released(&lock));
    }
    // The last of the client goes with the guard.
    let guard = runtime.block_on(lock.acquire()).unwrap();
    drop((lock, locks, guard));
    let others = runtime.block_on(client(&stores, patient()));
    runtime.block_on(is_released(&super::lock(&others, "order:42")));
}

#[test]
fn a_runtime_that_is_not_driven_any_more_does_not_keep_a_dropped_lock() {
    let stores = stores(1);
    let stopped = runtime();
    let locks = stopped.block_on(client(&stores, patient()));
    let lock = lock(&locks, "order:42");
    stopped.block_on(async { drop(lock.acquire().await.unwrap()) });
    runtime().block_on(is_released(&lock));
    runtime().block_on(async {
        let finished = tokio::time::timeout(PATIENCE, locks.finished()).await;
        finished.unwrap();
    });
}

#[test]
fn a_lock_outlives_the_runtime_that_acquired_it() {
    let stores = stores(3);
    let first = runtime();
    let (locks, guard) = first.block_on(async {
        let locks = client(&stores, steady()).await;
        let guard = lock(&locks, "order:42").acquire().await.unwrap();
        (locks, guard)
    });
    drop(first);
    std::thread::sleep(locks.timing().window());
    guard.check().unwrap();
    let second = runtime();
    let lock = lock(&locks, "order:42");
    let refused = second.block_on(lock.try_acquire()).unwrap_err();
    assert!(refused.is_held(), "{refused}");
    second.block_on(guard.release());
    drop(second.block_on(lock.try_acquire()).unwrap());
}

#[test]
fn a_runtime_that_ends_during_a_release_leaves_it_to_another_thread() {
    let stores = stores(1);
    let first = runtime();
    let locks = first.block_on(client(&stores, patient()));
    let lock = lock(&locks, "order:42");
    first.block_on(async {
        let guard = lock.acquire().await.unwrap();
        stores[0].set_fault(Fault::Slow(Duration::from_millis(100)));
        drop(guard);
        tokio::task::yield_now().await;
    });
    drop(first);
    stores[0].set_fault(None);
    runtime().block_on(is_released(&lock));
}

#[tokio::test]
async fn a_cancelled_acquisition_leaves_nothing_held() {
    for count in [1, 3] {
        let stores = stores(count);
        let locks = client(&stores, patient()).await;
        let lock = lock(&locks, "order:42");
        for store in &stores {
            store.set_fault(Fault::Slow(Duration::from_millis(50)));
        }
        for cancelled_after in [0, 5, 30, 45, 60] {
            let wait = Duration::from_millis(cancelled_after);
            drop(tokio::time::timeout(wait, lock.acquire()).await);
            is_released(&lock).await;
        }
        // One that waits for another holder.
        let guard = lock.acquire().await.unwrap();
        let wait = Duration::from_millis(120);
        assert!(tokio::time::timeout(wait, lock.acquire()).await.is_err());
        drop(guard);
        is_released(&lock).await;
        locks.finished().await;
    }
}

#[tokio::test]
async fn a_release_that_no_store_confirms_is_sent_again() {
    for fault in [Fault::Unreachable, Fault::Silent] {
        let stores = stores(1);
        let locks = client(&stores, patient()).await;
        let lock = lock(&locks, "order:42");
        let released = lock.acquire().await.unwrap();
        let dropped = super::lock(&locks, "order:43").acquire().await.unwrap();
        stores[0].set_fault(fault);
        released.release().await;
        drop(dropped);
        locks.finished().await;
        stores[0].set_fault(None);
        is_released(&lock).await;
        is_released(&super::lock(&locks, "order:43")).await;
    }
}

#[tokio::test]
async fn a_leaked_guard_keeps_its_lock() {
    let stores = stores(1);
    let locks = client(&stores, steady()).await;
    let guard: Guard = lock(&locks, "order:42").acquire().await.unwrap();
    std::mem::forget(guard);
    tokio::time::sleep(locks.timing().window()).await;
    let refused = lock(&locks, "order:42").try_acquire().await.unwrap_err();
    assert!(refused.is_held(), "{refused}");
}

#[tokio::test]
async fn a_client_works_on_many_runtimes_at_once() {
    let stores = stores(1);
    let locks = client(&stores, patient()).await;
    let threads: Vec<_> = (0..8)
        .map(|thread| {
            let locks: Locks = locks.clone();
            std::thread::spawn(move || {
                runtime().block_on(async {
                    warm_up(&locks).await;
                    for number in 0..20 {
                        let lock = locks.lock(format!("{thread}:{number}")).unwrap();
                        lock.try_acquire().await.unwrap().release().await;
                    }
                });
            })
        })
        .collect();
    tokio::task::spawn_blocking(|| threads.into_iter().for_each(|it| it.join().unwrap()))
        .await
        .unwrap();
}

//! What people expect of a lock, in one process.

use std::time::Duration;

use incumbent::CampaignError;
use incumbent::lock::Locks;
use incumbent::protocol::LossReason;
use incumbent::store::Fault;

use super::{PATIENCE, client, hasty, lock, patient, stores};

#[tokio::test]
async fn high_availability_a_quorum_that_loses_a_store_goes_on() {
    let stores = stores(3);
    let locks = client(&stores, patient()).await;
    let held = lock(&locks, "held").acquire().await.unwrap();
    for fault in [Fault::Unreachable, Fault::Silent] {
        stores[1].set_fault(fault);
        let guard = lock(&locks, "order:42")
            .acquire_timeout(PATIENCE)
            .await
            .unwrap();
        guard.check().unwrap();
        let refused = lock(&locks, "order:42").try_acquire().await.unwrap_err();
        assert!(refused.is_held(), "{refused}");
        guard.release().await;
    }
    held.check().unwrap();
}

#[tokio::test]
async fn re_entrancy_a_lock_is_held_until_the_last_clone_of_its_guard_goes() {
    let stores = stores(1);
    let locks = client(&stores, patient()).await;
    let lock = lock(&locks, "order:42");
    let outer = lock.acquire().await.unwrap();
    let inner = outer.clone();
    assert_eq!(inner.fencing_token(), outer.fencing_token());
    inner.release().await;
    outer.check().unwrap();
    assert!(lock.try_acquire().await.unwrap_err().is_held());
    let inner = outer.clone();
    outer.release().await;
    inner.check().unwrap();
    assert!(lock.try_acquire().await.unwrap_err().is_held());
    inner.release().await;
    lock.try_acquire().await.unwrap().release().await;
}

#[tokio::test]
async fn non_blocking_try_names_the_holder() {
    let stores = stores(1);
    let locks = client(&stores, patient()).await;
    let others = client(&stores, patient()).await;
    let guard = lock(&locks, "order:42").acquire().await.unwrap();
    for locks in [&locks, &others] {
        let refused = lock(locks, "order:42").try_acquire().await.unwrap_err();
        let CampaignError::Held {
            leader: Some((_, term)),
            ..
        } = refused
        else {
            panic!("{refused}");
        };
        assert_eq!(term, guard.fencing_token());
    }
    guard.release().await;
    drop(lock(&others, "order:42").try_acquire().await.unwrap());
}

#[tokio::test]
async fn fencing_tokens_rise_from_each_holder_to_the_next() {
    let stores = stores(3);
    let mut last = None;
    for _ in 0..3 {
        let locks = client(&stores, patient()).await;
        for _ in 0..5 {
            let guard = lock(&locks, "order:42").acquire().await.unwrap();
            let token = Some(guard.fencing_token());
            assert!(token > last, "{token:?} after {last:?}");
            last = token;
            guard.release().await;
        }
    }
}

#[tokio::test]
async fn a_lost_lock_is_reported_and_stays_lost() {
    let stores = stores(1);
    let locks = client(&stores, hasty()).await;
    let guard = lock(&locks, "order:42").acquire().await.unwrap();
    guard.check().unwrap();
    assert_eq!(guard.loss(), None);
    stores[0].set_fault(Fault::Unreachable);
    assert_eq!(guard.lost().await, LossReason::TenureEnded);
    while guard.check().is_ok() {
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    stores[0].set_fault(None);
    let next = lock(&locks, "order:42");
    // The process goes on, and the lock is held until the guard is dropped.
    assert_eq!(guard.remaining(), Duration::ZERO);
    assert_eq!(guard.check().unwrap_err().reason, LossReason::TenureEnded);
    let token = guard.fencing_token();
    drop(guard);
    let next = next.acquire_timeout(PATIENCE).await.unwrap();
    assert!(next.fencing_token() > token);
}

#[tokio::test]
async fn a_wait_has_a_timeout_and_ends_when_the_lock_is_free() {
    let stores = stores(1);
    let locks = client(&stores, patient()).await;
    let others = client(&stores, patient()).await;
    let guard = lock(&locks, "order:42").acquire().await.unwrap();
    for wait in [
        Duration::ZERO,
        Duration::from_millis(20),
        Duration::from_secs(2),
    ] {
        let late = lock(&others, "order:42").acquire_timeout(wait).await;
        match late.unwrap_err() {
            CampaignError::TimedOut { waited, .. } => assert_eq!(waited, wait),
            // Nothing was asked yet.
            CampaignError::NotYet { .. } if wait.is_zero() => {}
            error => panic!("{error}"),
        }
    }
    let waiting = lock(&others, "order:42");
    let waiting = tokio::spawn(async move { waiting.acquire_timeout(PATIENCE).await });
    while lock(&locks, "order:42").status().await.candidates.len() < 2 {
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    guard.release().await;
    waiting.await.unwrap().unwrap().check().unwrap();
}

#[tokio::test]
async fn a_lock_is_kept_for_as_long_as_it_is_held() {
    let stores = stores(3);
    let locks = client(&stores, hasty()).await;
    let guards: Vec<_> = futures_util::future::join_all((0..100).map(async |number| {
        let lock = locks.lock(format!("order:{number}")).unwrap();
        lock.acquire().await.unwrap()
    }))
    .await;
    tokio::time::sleep(locks.timing().window() * 2).await;
    for (number, guard) in guards.into_iter().enumerate() {
        guard.check().unwrap();
        let lock = locks.lock(format!("order:{number}")).unwrap();
        assert!(lock.try_acquire().await.unwrap_err().is_held());
        guard.release().await;
        lock.try_acquire().await.unwrap().release().await;
    }
}

#[test]
fn without_a_runtime_a_lock_blocks_its_thread_only() {
    let stores = stores(1);
    let locks = super::builder(&stores, patient()).build().unwrap();
    let threads: Vec<_> = (0..4)
        .map(|_| {
            let lock = lock(&locks, "order:42").blocking();
            std::thread::spawn(move || {
                for _ in 0..10 {
                    let guard = lock.acquire().unwrap();
                    guard.check().unwrap();
                    assert!(lock.try_acquire().unwrap_err().is_held());
                    guard.clone().release();
                    guard.check().unwrap();
                }
            })
        })
        .collect();
    threads.into_iter().for_each(|it| it.join().unwrap());
    let guard = lock(&locks, "order:42").blocking().try_acquire().unwrap();
    let timed = lock(&locks, "order:42").blocking();
    let refused = timed
        .acquire_timeout(Duration::from_millis(10))
        .unwrap_err();
    assert!(refused.is_held(), "{refused}");
    drop(guard);
    // Where a runtime has this thread already.
    let runtime = tokio::runtime::Runtime::new().unwrap();
    runtime.block_on(async { drop(timed.acquire().unwrap()) });
}

#[test]
fn a_name_must_be_one_of_an_election() {
    let stores = stores(1);
    let locks: Locks = super::builder(&stores, patient()).build().unwrap();
    assert!(locks.lock("").is_err());
    assert!(locks.lock("{braces}").is_err());
    assert!(locks.lock("order:42").is_ok());
}

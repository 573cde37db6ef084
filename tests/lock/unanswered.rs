//! Acquisitions of which a store does not answer some request.

use std::future::pending;
use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use futures_util::future::BoxFuture;
use incumbent::lock::{Lock, Locks};
use incumbent::protocol::{CandidateId, ElectionName, Reply, Request};
use incumbent::store::{
    HistoryEntry, Identity, Inspection, MemoryStore, Store, StoreError, WakeUps,
};

use super::endings::is_released;
use super::{PATIENCE, lock, patient, warm_up};

/// What happens to the next request of a kind.
#[derive(Clone, Copy, Debug)]
enum Fate {
    /// It is carried out, and its reply is lost.
    Unknown,
    /// It does not arrive.
    Unreachable,
    /// It does not arrive, and no error says so.
    Endless,
}

/// A store on which a test decides over the first claim and the first release once it says so.
struct Flaky {
    inner: MemoryStore,
    claim: Fate,
    release: Fate,
    claims: AtomicBool,
    releases: AtomicBool,
}

impl Flaky {
    fn new(claim: Fate, release: Fate) -> Arc<Self> {
        Arc::new(Self {
            inner: MemoryStore::new("flaky"),
            claim,
            release,
            claims: AtomicBool::new(false),
            releases: AtomicBool::new(false),
        })
    }

    fn break_next(&self) {
        self.claims.store(true, Ordering::Relaxed);
        self.releases.store(true, Ordering::Relaxed);
    }

    fn fate_of(&self, request: &Request) -> Option<Fate> {
        match request {
            Request::Claim(_) => self
                .claims
                .swap(false, Ordering::Relaxed)
                .then_some(self.claim),
            Request::Release { .. } => {
                let breaks = self.releases.swap(false, Ordering::Relaxed);
                breaks.then_some(self.release)
            }
            _ => None,
        }
    }
}

impl Store for Flaky {
    fn label(&self) -> &str {
        self.inner.label()
    }

    fn execute<'a>(
        &'a self,
        election: &'a ElectionName,
        who: &'a Identity,
        request: &'a Request,
    ) -> BoxFuture<'a, Result<Reply, StoreError>> {
        Box::pin(async move {
            let (store, source) = (self.label().into(), Arc::new(io::Error::other("a test")));
            let fate = self.fate_of(request);
            match fate {
                None => self.inner.execute(election, who, request).await,
                Some(Fate::Unknown) => {
                    self.inner.execute(election, who, request).await?;
                    Err(StoreError::Unknown { store, source })
                }
                Some(Fate::Unreachable) => Err(StoreError::Unreachable { store, source }),
                Some(Fate::Endless) => pending().await,
            }
        })
    }

    fn wake_ups(&self, election: &ElectionName, who: &CandidateId) -> WakeUps {
        self.inner.wake_ups(election, who)
    }

    fn inspect<'a>(
        &'a self,
        election: &'a ElectionName,
    ) -> BoxFuture<'a, Result<Inspection, StoreError>> {
        self.inner.inspect(election)
    }

    fn elections(&self) -> BoxFuture<'_, Result<Vec<ElectionName>, StoreError>> {
        self.inner.elections()
    }

    fn history<'a>(
        &'a self,
        election: &'a ElectionName,
        limit: usize,
    ) -> BoxFuture<'a, Result<Vec<HistoryEntry>, StoreError>> {
        self.inner.history(election, limit)
    }
}

/// A lock on a store that breaks the next claim and the next release, which is acquired where the caller runs.
async fn flaky(claim: Fate, release: Fate) -> (Locks, Lock) {
    let store = Flaky::new(claim, release);
    let locks = Locks::builder()
        .store_object(store.clone())
        .timing(patient());
    let locks = locks.build().unwrap();
    warm_up(&locks).await;
    let lock = lock(&locks, "order:42");
    store.break_next();
    (locks, lock)
}

#[tokio::test]
async fn a_failed_claim_is_released_although_its_first_release_fails() {
    let (_locks, lock) = flaky(Fate::Unknown, Fate::Unreachable).await;
    is_released(&lock).await;
}

#[tokio::test]
async fn a_failed_claim_is_released_although_its_first_release_is_given_up() {
    let (locks, lock) = flaky(Fate::Unknown, Fate::Endless).await;
    tokio::select! {
        biased;
        acquired = lock.acquire() => panic!("{acquired:?}"),
        () = tokio::task::yield_now() => {}
    }
    locks.finished().await;
    is_released(&lock).await;
}

#[tokio::test]
async fn a_wait_ends_although_its_claim_is_never_answered() {
    let (locks, lock) = flaky(Fate::Endless, Fate::Endless).await;
    let wait = locks.timing().op_timeout() + Duration::from_millis(1);
    let late = tokio::time::timeout(PATIENCE, lock.acquire_timeout(wait)).await;
    // Whether the time that is left is enough to win it in another way does not matter.
    drop(late.unwrap());
}

//! What is still sent after a candidacy is over.
//!
//! Releases that a store has not confirmed are sent again until it has: a store that was away comes back with a
//! record whose holder is gone, and the next leader would wait a window for it.
//!
//! That is safe: the work has ended, and a release is carried out only while that candidacy holds the record
//! under that term. Any other record refuses it.

use std::sync::{Arc, Weak};
use std::time::Duration;

use futures_util::future::join_all;

use super::Shared;
use super::clock;
use crate::protocol::{Request, StoreIndex, Verdict};
use crate::store::Identity;

/// How long releases are sent again, once per interval.
const PATIENCE: Duration = Duration::from_secs(3600);

/// Sends releases again for as long as the process keeps the election.
pub(super) async fn release(
    shared: Weak<Shared>,
    identity: Arc<Identity>,
    interval: Duration,
    mut releases: Vec<(StoreIndex, Request)>,
) {
    let until = clock::now() + PATIENCE;
    while !releases.is_empty() && clock::now() < until {
        tokio::time::sleep(interval).await;
        let Some(shared) = shared.upgrade() else {
            return;
        };
        let sent = releases.iter_mut().map(async |(store, request)| {
            let store = &shared.stores[store.get()];
            let answer = store.execute(&shared.name, &identity, request).await;
            match answer {
                Ok(reply) if reply.verdict == Verdict::Granted => {
                    tracing::info!(
                        election = shared.name.as_str(),
                        store = store.label(),
                        "released late: the store is back"
                    );
                    true
                }
                // The store had numbered the term of a claim whose outcome was unknown.
                Ok(reply) => match request {
                    Request::Release { holder, term, .. }
                        if reply.record.holder() == Some(holder) =>
                    {
                        *term = reply.record.term;
                        false
                    }
                    _ => true,
                },
                Err(error) => {
                    tracing::debug!(%error, "release postponed: the store did not confirm it");
                    false
                }
            }
        });
        let mut settled = join_all(sent).await.into_iter();
        releases.retain(|_| !settled.next().unwrap_or(true));
    }
}

/// How long the end of a candidacy may take for what only people read. A standby that is asked to stop is
/// gone within 100 ms, even when its store hangs.
const FAREWELL: Duration = Duration::from_millis(80);

/// Removes a candidate from the stores that still list it. The list is only for people, so nothing waits for it
/// for long: a store forgets unseen candidates by itself.
pub(super) async fn withdraw(shared: &Shared, identity: &Identity, lists_us: &[bool]) {
    let stores = shared.stores.iter().zip(lists_us);
    let listing: Vec<_> = stores.filter(|(_, lists_us)| **lists_us).collect();
    if listing.is_empty() {
        return;
    }
    let withdrawals = listing.into_iter().map(async |(store, _)| {
        if let Err(error) = store.withdraw(&shared.name, identity).await {
            tracing::debug!(%error, "withdrawal failed: the candidate stays listed for a while");
        }
    });
    if tokio::time::timeout(FAREWELL, join_all(withdrawals))
        .await
        .is_err()
    {
        tracing::debug!("withdrawal timed out: the candidate may stay listed for a while");
    }
}

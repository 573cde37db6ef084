//! Releases that a store has not confirmed by the end of a candidacy, sent again until it has: a store that
//! was away comes back with a record whose holder is gone, and the next leader would wait a window for it.
//!
//! Nothing can go wrong with that: the work has ended, and a release is carried out only while the record is
//! held by that candidacy under that term. What it meets instead refuses it.

use std::sync::{Arc, Weak};
use std::time::Duration;

use futures_util::future::join_all;

use super::Shared;
use super::clock;
use crate::protocol::{Request, StoreIndex, Verdict};
use crate::store::Identity;

/// For how long they are sent again, once per interval.
const PATIENCE: Duration = Duration::from_secs(3600);

/// Sends releases again for as long as the election is kept, somewhere in the process.
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
        let sent = releases.iter().map(async |(store, request)| {
            let store = &shared.stores[store.get()];
            let answer = store.execute(&shared.name, &identity, request).await;
            match answer {
                Ok(reply) if reply.verdict == Verdict::Granted => {
                    tracing::info!(
                        election = shared.name.as_str(),
                        store = store.label(),
                        "released afterwards, now that the store is back"
                    );
                    true
                }
                Ok(_) => true,
                Err(error) => {
                    tracing::debug!(%error, "a release has to wait for its store");
                    false
                }
            }
        });
        let mut settled = join_all(sent).await.into_iter();
        releases.retain(|_| !settled.next().unwrap_or(true));
    }
}

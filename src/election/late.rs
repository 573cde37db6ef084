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
use super::links::Answer;
use super::setup::Setup;
use crate::protocol::{CandidateId, ElectionName, Outgoing, Reply, Request, StoreIndex, Verdict};
use crate::store::Identity;

/// How long releases are sent again, once per interval.
const PATIENCE: Duration = Duration::from_secs(3600);

/// The releases that stores have not confirmed, the last one for each store.
#[derive(Clone, Debug, Default)]
pub(super) struct Releases(Vec<(StoreIndex, Request)>);

impl Releases {
    /// Notes the releases among what is sent.
    pub(super) fn sent<'a>(&mut self, sends: impl IntoIterator<Item = &'a Outgoing>) {
        for Outgoing { store, request, .. } in sends {
            if matches!(request, Request::Release { .. }) {
                self.settle(*store);
                self.0.push((*store, request.clone()));
            }
        }
    }

    /// Notes what a store has answered to a release of this candidate. If it still holds the record, the store has
    /// numbered the term of a claim whose outcome was unknown.
    pub(super) fn answered(&mut self, answer: &Answer, me: &CandidateId) {
        let settles = |reply: &Reply| reply.record.holder() != Some(me);
        if answer.releases && answer.result.as_ref().is_ok_and(settles) {
            self.settle(answer.store);
        }
    }

    pub(super) const fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    fn settle(&mut self, store: StoreIndex) {
        self.0.retain(|(waiting, _)| *waiting != store);
    }
}

/// Sends releases again for as long as the process keeps the stores.
pub(super) async fn release(
    setup: Weak<Setup>,
    election: ElectionName,
    identity: Arc<Identity>,
    mut releases: Releases,
) {
    let until = clock::now() + PATIENCE;
    while !releases.is_empty() && clock::now() < until {
        let Some(interval) = setup.upgrade().map(|setup| setup.timing.interval()) else {
            return;
        };
        tokio::time::sleep(interval).await;
        let Some(setup) = setup.upgrade() else {
            return;
        };
        for store in attempt(&setup, &election, &identity, &mut releases).await {
            tracing::info!(
                election = election.as_str(),
                store = setup.stores[store.get()].label(),
                "released late: the store is back"
            );
        }
    }
}

/// Sends releases once, keeps those that were not answered, and returns the stores that carried them out.
pub(super) async fn attempt(
    setup: &Setup,
    election: &ElectionName,
    identity: &Identity,
    releases: &mut Releases,
) -> Vec<StoreIndex> {
    let sent = releases.0.iter_mut().map(async |(store, request)| {
        let at = &setup.stores[store.get()];
        let mut answer = at.execute(election, identity, request).await;
        // The store had numbered the term of a claim whose outcome was unknown.
        if let (Request::Release { holder, term, .. }, Ok(reply)) = (&mut *request, &answer)
            && reply.record.holder() == Some(holder)
        {
            *term = reply.record.term;
            answer = at.execute(election, identity, request).await;
        }
        match answer {
            Ok(reply) => Some((*store, reply.verdict)),
            Err(error) => {
                tracing::debug!(%error, "release postponed: the store did not confirm it");
                None
            }
        }
    });
    let answered: Vec<_> = join_all(sent).await.into_iter().flatten().collect();
    answered
        .iter()
        .for_each(|(store, _)| releases.settle(*store));
    let granted = answered.into_iter();
    granted
        .filter(|(_, verdict)| *verdict == Verdict::Granted)
        .map(|(store, _)| store)
        .collect()
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

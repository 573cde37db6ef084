//! Whether all candidates use the same stores: majorities of two lists need not overlap.

use std::time::Duration;

use super::{CampaignError, Election, clock};
use crate::observe::Difference;
use crate::protocol::{CandidateId, Timing};
use crate::store::{StoreError, StoreList};

/// How often a read that fails although the store answers is tried.
const ATTEMPTS: u32 = 3;

impl Election {
    /// The list of stores that its candidates publish.
    #[must_use]
    pub fn store_list(&self) -> StoreList {
        StoreList::new(self.shared.stores.iter().map(|store| store.label()))
    }

    /// Returns once the stores have shown the other candidates, `me` being the one that asks.
    ///
    /// One read is not enough to refuse: a candidate that has just started is not on all of its stores yet,
    /// and one that was killed still is. So a candidate that seems to use other stores is checked again after
    /// it has had time to appear everywhere.
    pub(super) async fn agree_on_stores(&self, me: &CandidateId) -> Result<(), CampaignError> {
        let interval = self.shared.timing.interval();
        let ours = self.store_list();
        let mut refused = 0;
        let first = loop {
            let view = self.status().await;
            if view.answers() >= self.shared.electorate.majority() {
                break view;
            }
            // While a store is unreachable no one is elected on it. Any other error may concern this read alone,
            // which elections do not depend on.
            let mut errors = view
                .stores
                .iter()
                .filter_map(|store| store.inspection.as_ref().err());
            let other = |error: &&StoreError| !matches!(error, StoreError::Unreachable { .. });
            if let Some(error) = errors.find(other) {
                refused += 1;
                if refused == ATTEMPTS || error.is_hopeless() {
                    tracing::warn!(
                        %error,
                        "cannot read the other candidates: make sure that all of them use the same stores"
                    );
                    return Ok(());
                }
            }
            clock::sleep_until(clock::now() + interval).await;
        };
        let looked = clock::now();
        let suspects = first.other_stores(&ours);
        let intervals = suspects.iter().filter_map(|(one, _)| one.identity.timing());
        let Some(slowest) = intervals.map(Timing::interval).max() else {
            return Ok(());
        };
        let pause = slowest.max(interval) * 2;
        let pause = pause.min(self.shared.timing.window());
        clock::sleep_until(clock::now() + pause).await;
        let mut view = self.status().await;
        let passed: Duration = clock::now().since(looked);
        // A store that does not list us lists no one.
        view.stores.retain(|store| store.lists(me));
        let alive = view.other_stores(&ours).into_iter();
        for (one, difference) in alive.filter(|(one, _)| one.age < passed) {
            let who = one.identity;
            if difference == Difference::Written {
                tracing::warn!(
                    host = who.host(),
                    pid = who.pid(),
                    "a candidate writes the addresses of the stores differently: make sure that they are the same"
                );
                continue;
            }
            return Err(CampaignError::OtherStores {
                election: self.shared.name.as_str().to_owned(),
                who: Box::new(who),
                difference,
            });
        }
        Ok(())
    }
}

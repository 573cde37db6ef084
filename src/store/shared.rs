//! A shared store is a store.

use std::sync::Arc;

use futures_util::future::BoxFuture;

use super::{
    Examination, HistoryEntry, Identity, Inspection, Store, StoreError, StoreFuture, WakeUps,
};
use crate::protocol::{CandidateId, ElectionName, Reply, Request};

#[deny(
    clippy::missing_trait_methods,
    reason = "a default would be used in place of the store's own method"
)]
impl<S: Store + ?Sized> Store for Arc<S> {
    fn label(&self) -> &str {
        (**self).label()
    }

    fn is_of_one_host(&self) -> bool {
        (**self).is_of_one_host()
    }

    fn has_memory_per_election(&self) -> bool {
        (**self).has_memory_per_election()
    }

    fn apart(&self) -> Option<Arc<dyn Store>> {
        (**self).apart()
    }

    fn execute<'a>(
        &'a self,
        election: &'a ElectionName,
        who: &'a Identity,
        request: &'a Request,
    ) -> StoreFuture<'a, Reply> {
        (**self).execute(election, who, request)
    }

    fn withdraw<'a>(
        &'a self,
        election: &'a ElectionName,
        who: &'a Identity,
    ) -> StoreFuture<'a, ()> {
        (**self).withdraw(election, who)
    }

    fn wake_ups(&self, election: &ElectionName, who: &CandidateId) -> WakeUps {
        (**self).wake_ups(election, who)
    }

    fn inspect<'a>(&'a self, election: &'a ElectionName) -> StoreFuture<'a, Inspection> {
        (**self).inspect(election)
    }

    fn elections(&self) -> StoreFuture<'_, Vec<ElectionName>> {
        (**self).elections()
    }

    fn known_elections(&self) -> BoxFuture<'_, (Vec<ElectionName>, Option<StoreError>)> {
        (**self).known_elections()
    }

    fn history<'a>(
        &'a self,
        election: &'a ElectionName,
        limit: usize,
    ) -> StoreFuture<'a, Vec<HistoryEntry>> {
        (**self).history(election, limit)
    }

    fn examine(&self) -> StoreFuture<'_, Examination> {
        (**self).examine()
    }
}

//! A store that something happens to before it carries a request out.

use std::sync::Arc;

use incumbent::protocol::{CandidateId, ElectionName, Reply, Request};
use incumbent::store::Identity;
use incumbent::store::{
    HistoryEntry, Inspection, MemoryStore, Store, StoreError, StoreFuture, WakeUps,
};

/// What happens before: it may take its time, and an error is the answer instead.
pub(crate) trait Hook: Send + Sync + 'static {
    fn before(&self, label: &str, request: &Request) -> Result<(), StoreError>;

    fn before_look(&self) {}
}

/// A memory store, and what happens before.
pub(crate) struct Hooked<H> {
    pub(crate) store: Arc<MemoryStore>,
    pub(crate) hook: H,
}

impl<H: Hook> Store for Hooked<H> {
    fn label(&self) -> &str {
        self.store.label()
    }

    fn execute<'a>(
        &'a self,
        election: &'a ElectionName,
        who: &'a Identity,
        request: &'a Request,
    ) -> StoreFuture<'a, Reply> {
        Box::pin(async move {
            self.hook.before(self.label(), request)?;
            self.store.execute(election, who, request).await
        })
    }

    fn wake_ups(&self, election: &ElectionName, who: &CandidateId) -> WakeUps {
        self.store.wake_ups(election, who)
    }

    fn inspect<'a>(&'a self, election: &'a ElectionName) -> StoreFuture<'a, Inspection> {
        self.hook.before_look();
        self.store.inspect(election)
    }

    fn elections(&self) -> StoreFuture<'_, Vec<ElectionName>> {
        self.store.elections()
    }

    fn history<'a>(
        &'a self,
        election: &'a ElectionName,
        limit: usize,
    ) -> StoreFuture<'a, Vec<HistoryEntry>> {
        self.store.history(election, limit)
    }
}

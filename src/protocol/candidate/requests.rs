//! What is asked of the stores, what they hold for us, and when.

use std::time::Duration;

use super::{Candidate, Kind, Outgoing, Pending, RequestId, Step};
use crate::protocol::{LossReason, Request, StoreIndex, Term, Timestamp};

impl Candidate {
    /// Sends a request to a store, replacing any in flight there, whose reply becomes stale.
    pub(super) fn send(
        &mut self,
        now: Timestamp,
        store: StoreIndex,
        kind: Kind,
        request: Request,
        step: &mut Step,
    ) {
        let id = RequestId(self.next_request);
        self.next_request += 1;
        let view = &mut self.stores[store.get()];
        view.due = now + self.timing.interval();
        view.pending = Some(Pending {
            id,
            sent: now,
            kind,
        });
        step.sends.push(Outgoing { store, id, request });
    }

    pub(super) fn observe(&mut self, now: Timestamp, store: StoreIndex, step: &mut Step) {
        self.send(now, store, Kind::Observe, Request::Observe, step);
    }

    pub(super) fn beat(
        &mut self,
        now: Timestamp,
        store: StoreIndex,
        term: Term,
        proven: bool,
        step: &mut Step,
    ) {
        let view = &mut self.stores[store.get()];
        view.written = view.written.next();
        let request = Request::Beat {
            holder: self.id.clone(),
            term,
            proven,
        };
        self.send(now, store, Kind::Beat { proven }, request, step);
    }

    pub(super) fn release(
        &mut self,
        now: Timestamp,
        store: StoreIndex,
        term: Term,
        reason: LossReason,
        step: &mut Step,
    ) {
        let request = Request::Release {
            holder: self.id.clone(),
            term,
            reason,
        };
        self.send(now, store, Kind::Release, request, step);
    }

    /// The stores with nothing in flight whose next request is due.
    pub(super) fn due(&self, now: Timestamp) -> Vec<StoreIndex> {
        self.electorate
            .stores()
            .filter(|store| {
                let view = &self.stores[store.get()];
                view.pending.is_none() && view.due <= now
            })
            .collect()
    }

    pub(super) fn holds(&self) -> usize {
        self.stores
            .iter()
            .filter(|view| view.hold.is_some())
            .count()
    }

    /// When the last heartbeat that a majority acknowledged was sent: the lease runs from then.
    pub(super) fn majority_acknowledged(&self) -> Option<Timestamp> {
        let mut sent: Vec<Timestamp> = self
            .stores
            .iter()
            .filter_map(|view| view.acknowledged)
            .collect();
        sent.sort_unstable_by(|a, b| b.cmp(a));
        sent.get(self.electorate.majority() - 1).copied()
    }

    /// A seeded random duration from `low` up to `high` (splitmix64: Steele, Lea and Flood, 2014).
    pub(super) fn random(&mut self, low: Duration, high: Duration) -> Duration {
        self.jitter = self.jitter.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut z = self.jitter;
        z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        z ^= z >> 31;
        let span = high.saturating_sub(low).as_nanos();
        let nanos = (span * u128::from(z)) >> 64;
        low + Duration::from_nanos(u64::try_from(nanos).unwrap_or(u64::MAX))
    }
}

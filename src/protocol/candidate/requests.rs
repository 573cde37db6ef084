//! What is asked of the stores, what they hold for us, and when.

use std::cmp::Reverse;
use std::time::Duration;

use super::{Candidate, Kind, Outgoing, Pending, Phase, RequestId, StoreView};
use crate::protocol::{LossReason, Request, StoreIndex, Term, Timestamp};

/// At how many moments of an interval the heartbeats of all elections of a process are due: those that are due together
/// share a timer, a write and a read.
const MOMENTS: u32 = 256;

impl Candidate {
    /// Sends a request to a store, replacing any in flight there, whose reply becomes stale.
    pub(super) fn send(&mut self, store: StoreIndex, kind: Kind, request: Request) {
        let id = RequestId(self.next_request);
        self.next_request += 1;
        let view = &mut self.stores[store.get()];
        view.due = self.now + self.timing.interval();
        view.pending = Some(Pending {
            id,
            sent: self.now,
            kind,
        });
        self.step.sends.push(Outgoing { store, id, request });
    }

    pub(super) fn observe(&mut self, store: StoreIndex) {
        self.send(store, Kind::Observe, Request::Observe);
    }

    pub(super) fn beat(&mut self, store: StoreIndex, term: Term) {
        let acts = matches!(self.phase, Phase::Tenure(_));
        let view = &mut self.stores[store.get()];
        view.written = view.written.next();
        let request = Request::Beat {
            holder: self.id.clone(),
            term,
            attested: view.known.and_then(|known| known.attest(self.now, acts)),
        };
        self.send(store, Kind::Beat, request);
        // The next one is due a little early, at one of a few moments that all elections share.
        let share = (self.timing.interval() / MOMENTS).as_nanos().max(1);
        let due = &mut self.stores[store.get()].due;
        let over = u128::from(due.as_nanos()) % share;
        *due = due.before(Duration::from_nanos(u64::try_from(over).unwrap_or(0)));
    }

    pub(super) fn release(&mut self, store: StoreIndex, term: Term, reason: LossReason) {
        let request = Request::Release {
            holder: self.id.clone(),
            term,
            reason,
            delete: self.ephemeral,
        };
        self.last_claimed = self.last_claimed.max(Some(term));
        self.send(store, Kind::Release, request);
    }

    /// Whether the election has one store, which numbers the terms.
    pub(super) const fn is_sole(&self) -> bool {
        self.electorate.size() == 1
    }

    /// The stores with nothing in flight whose next request is due.
    pub(super) fn due(&self) -> Vec<StoreIndex> {
        self.stores_where(|view| view.pending.is_none() && view.due <= self.now)
    }

    pub(super) fn stores_where(&self, is: impl Fn(&StoreView) -> bool) -> Vec<StoreIndex> {
        let views = self.electorate.stores().zip(&self.stores);
        views
            .filter_map(|(store, view)| is(view).then_some(store))
            .collect()
    }

    pub(super) fn count(&self, is: impl Fn(&StoreView) -> bool) -> usize {
        self.stores.iter().filter(|view| is(view)).count()
    }

    pub(super) fn holds(&self) -> usize {
        self.count(|view| view.hold.is_some())
    }

    /// When the last heartbeat that a majority acknowledged was sent: the lease runs from then.
    pub(super) fn majority_acknowledged(&self) -> Option<Timestamp> {
        let views = self.stores.iter();
        let sent = views.filter_map(|view| Some(view.acknowledged?.sent));
        self.majority_of(sent.map(Reverse))
            .map(|Reverse(sent)| sent)
    }

    /// R5: from when on a majority of the stores that we hold is known to have forgotten no one that still acts.
    pub(super) fn proven_from(&self) -> Option<Timestamp> {
        let probation = self.timing.probation();
        let views = self.stores.iter();
        self.majority_of(views.filter_map(|view| view.proven_from(probation)))
    }

    /// R5: when the last heartbeat was sent that elects us, if one does. There is a moment at which every store
    /// of a majority was proven, and after which each of them granted us something that was sent since.
    pub(super) fn elected_by(&self) -> Option<Timestamp> {
        let probation = self.timing.probation();
        let proofs = self.stores.iter().filter_map(|view| {
            let acknowledged = view.acknowledged?.sent;
            Some((view.proven_from(probation)?, acknowledged))
        });
        let proofs: Vec<(Timestamp, Timestamp)> = proofs.collect();
        let moments = proofs.iter().filter_map(|(moment, _)| {
            let counts =
                |(proven, sent): &&(Timestamp, Timestamp)| proven <= moment && moment <= sent;
            let sent = proofs.iter().filter(counts).map(|(_, sent)| Reverse(*sent));
            self.majority_of(sent)
        });
        moments.map(|Reverse(sent)| sent).max()
    }

    /// The value that a majority of the stores has at most; `None` when fewer have one.
    fn majority_of<T: Ord>(&self, values: impl Iterator<Item = T> + Clone) -> Option<T> {
        let majority = self.electorate.majority();
        let all = values.clone();
        all.filter(|most| values.clone().filter(|value| value <= most).count() >= majority)
            .min()
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

//! A state of a candidate, as it is written down here.

use std::time::Duration;

use incumbent::protocol::planted::{
    Acknowledged, Ending, Hint, Kind, Pending, Phase, Release, StoreView, Tenure,
};
use incumbent::protocol::{
    Candidate, CandidateConfig, Knowledge, LossReason, Mark, MemoryId, Record, RequestId, Role,
    Term, Timestamp, Watch,
};

/// What a candidate is doing, and what it knows.
#[derive(Clone)]
pub(crate) struct Planted {
    pub(crate) role: Role,
    /// The term that it claims, holds or releases.
    pub(crate) term: Option<Term>,
    /// Until when its work may act.
    pub(crate) deadline: Option<Timestamp>,
    /// Why its work stops, which says how the leadership ends.
    pub(crate) ending: Option<LossReason>,
    /// Whether the deadline has passed.
    pub(crate) expired: bool,
    /// The last term that a store may have granted it.
    pub(crate) last_claimed: Option<Term>,
    /// By store.
    pub(crate) views: Vec<PlantedView>,
}

/// What it knows about one store.
#[derive(Clone)]
pub(crate) struct PlantedView {
    /// What was seen of the record.
    pub(crate) watch: Watch,
    /// What is known of the memory.
    pub(crate) known: Option<Knowledge>,
    /// A release, what a claim expects by it, and when it was heard.
    pub(crate) hint: Option<(Record, Mark, Timestamp)>,
    /// What is in flight: a poll, a claim, a heartbeat or a release, numbered from 0, and when it was sent. The number
    /// of the request is that of the store.
    pub(crate) pending: Option<(usize, Timestamp)>,
    /// Whether the record may be ours.
    pub(crate) claimed: bool,
    /// Under which memory it is.
    pub(crate) hold: Option<MemoryId>,
    /// When the last heartbeat was sent that the store acknowledged, and under which memory it was.
    pub(crate) acknowledged: Option<(Timestamp, MemoryId)>,
}

/// What can be in flight.
const KINDS: [Kind; 4] = [Kind::Observe, Kind::Claim, Kind::Beat, Kind::Release];

impl Planted {
    /// The candidate that is in this state at `now`.
    pub(crate) fn candidate(&self, config: CandidateConfig, now: Timestamp) -> Candidate {
        let views = (0..).zip(&self.views);
        let stores = views.map(|(place, view)| view.inside(RequestId(place), now));
        let (phase, stores) = (self.phase(now), stores.collect());
        Candidate::planted(config, now, phase, stores, self.last_claimed)
    }

    fn phase(&self, now: Timestamp) -> Phase {
        let term = self.term.unwrap_or_default();
        match self.role {
            Role::Standby => Phase::Standby { not_before: now },
            Role::Claiming => Phase::Claiming { term },
            Role::Probation => Phase::Probation { term },
            Role::Leading | Role::Draining => Phase::Tenure(Tenure {
                term,
                deadline: self.deadline.unwrap_or_default(),
                ending: self.ending.map(|reason| match reason {
                    LossReason::StoreForgot => (Ending::Forgotten, reason),
                    LossReason::Deposed => (Ending::Deposed, reason),
                    _ => (Ending::Stopped, reason),
                }),
                expired: self.expired,
            }),
            Role::Releasing => Phase::Releasing(Release {
                term: self.term,
                reason: LossReason::Resigned,
                until: now + Duration::from_secs(1),
                confirmed: 0,
            }),
            Role::Done => Phase::Done,
        }
    }

    /// The state of a candidate.
    pub(crate) fn of(candidate: &Candidate) -> Self {
        let (phase, stores, last_claimed) = candidate.inside();
        let (ending, expired) = match phase {
            Phase::Tenure(tenure) => (tenure.ending.map(|(_, reason)| reason), tenure.expired),
            _ => (None, false),
        };
        Self {
            role: candidate.role(),
            term: candidate.term(),
            deadline: candidate.deadline(),
            ending,
            expired,
            last_claimed,
            views: stores.iter().map(PlantedView::of).collect(),
        }
    }
}

impl PlantedView {
    fn inside(&self, id: RequestId, now: Timestamp) -> StoreView {
        let clock = self.known.map(|known| (known.clock, known.seen));
        let (clock, clock_read) = clock.unwrap_or_default();
        let hint = self.hint.clone();
        let pending = self.pending.map(|(kind, sent)| (KINDS[kind], sent));
        let acknowledged = self.acknowledged;
        StoreView {
            watch: self.watch.clone(),
            known: self.known,
            hint: hint.map(|(record, mark, heard)| Hint {
                record,
                mark,
                heard,
            }),
            clock,
            clock_read,
            pending: pending.map(|(kind, sent)| Pending { id, sent, kind }),
            due: now,
            claimed: self.claimed,
            hold: self.hold,
            acknowledged: acknowledged.map(|(sent, memory)| Acknowledged { sent, memory }),
            ..StoreView::default()
        }
    }

    fn of(view: &StoreView) -> Self {
        let hint = view.hint.clone();
        Self {
            watch: view.watch.clone(),
            known: view.known,
            hint: hint.map(|hint| (hint.record, hint.mark, hint.heard)),
            pending: view.pending.as_ref().map(|pending| {
                let place = KINDS.iter().position(|kind| *kind == pending.kind);
                (place.unwrap_or_default(), pending.sent)
            }),
            claimed: view.claimed,
            hold: view.hold,
            acknowledged: view.acknowledged.map(|last| (last.sent, last.memory)),
        }
    }
}

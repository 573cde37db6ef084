//! A candidate in any state that can be written down, reachable or not: for the proof, and no part of the API.

use super::{Acknowledged, Candidate, CandidateConfig, Ending, Hint, Kind, Pending, Phase};
use crate::protocol::{
    Knowledge, LossReason, Mark, MemoryId, Record, RequestId, Role, Term, Timestamp, Watch,
};

/// What a candidate is doing, and what it knows.
#[derive(Clone, Debug)]
pub struct Planted {
    /// What it is doing.
    pub role: Role,
    /// The term that it claims, holds or releases.
    pub term: Option<Term>,
    /// Until when its work may act.
    pub deadline: Option<Timestamp>,
    /// Why its work stops, which says how the leadership ends.
    pub ending: Option<LossReason>,
    /// Whether that moment has passed.
    pub expired: bool,
    /// The last term that a store may have granted it.
    pub last_claimed: Option<Term>,
    /// Whether it believes that it has sent nothing yet: then it may claim the only store unseen.
    pub fresh: bool,
    /// By store.
    pub views: Vec<PlantedView>,
}

/// What it knows about one store.
#[derive(Clone, Debug, Default)]
pub struct PlantedView {
    /// What was seen of the record.
    pub watch: Watch,
    /// What is known of the memory.
    pub known: Option<Knowledge>,
    /// A release, what a claim expects by it, and when it was heard.
    pub hint: Option<(Record, Mark, Timestamp)>,
    /// What is in flight: a poll, a claim, a heartbeat or a release, numbered from 0, and when it was sent. The number
    /// of the request is that of the store.
    pub pending: Option<(usize, Timestamp)>,
    /// Whether the record may be ours.
    pub claimed: bool,
    /// Under which memory it is.
    pub hold: Option<MemoryId>,
    /// When the last heartbeat was sent that the store acknowledged, and under which memory it was.
    pub acknowledged: Option<(Timestamp, MemoryId)>,
}

/// What can be in flight.
const KINDS: [Kind; 4] = [Kind::Observe, Kind::Claim, Kind::Beat, Kind::Release];

impl Planted {
    /// The candidate that is in this state at `now`.
    #[must_use]
    pub fn candidate(&self, config: CandidateConfig, now: Timestamp) -> Candidate {
        let mut candidate = Candidate::new(config);
        (candidate.now, candidate.planned) = (now, now);
        candidate.last_claimed = self.last_claimed;
        candidate.next_request = if self.fresh { 0 } else { 100 };
        candidate.phase = self.phase(now);
        for ((place, view), planted) in (0..).zip(&mut candidate.stores).zip(&self.views) {
            view.watch = planted.watch.clone();
            view.known = planted.known;
            if let Some(known) = planted.known {
                view.read_clock(known.clock, known.seen);
            }
            view.hint = planted.hint.clone().map(|(record, mark, heard)| Hint {
                record,
                mark,
                heard,
            });
            view.pending = planted.pending.map(|(kind, sent)| Pending {
                id: RequestId(place),
                sent,
                kind: KINDS[kind],
            });
            view.due = now;
            view.claimed = planted.claimed;
            view.hold = planted.hold;
            view.acknowledged = planted
                .acknowledged
                .map(|(sent, memory)| Acknowledged { sent, memory });
        }
        candidate
    }

    fn phase(&self, now: Timestamp) -> Phase {
        let term = self.term.unwrap_or_default();
        match self.role {
            Role::Standby => Phase::Standby { not_before: now },
            Role::Claiming => Phase::Claiming { term },
            Role::Probation => Phase::Probation { term },
            Role::Leading | Role::Draining => Phase::Tenure {
                term,
                deadline: self.deadline.unwrap_or_default(),
                ending: self.ending.map(|reason| match reason {
                    LossReason::StoreForgot => (Ending::Forgotten, reason),
                    LossReason::Deposed => (Ending::Deposed, reason),
                    _ => (Ending::Stopped, reason),
                }),
                expired: self.expired,
            },
            Role::Releasing => Phase::Releasing {
                term: self.term,
                reason: LossReason::Resigned,
                until: now + std::time::Duration::from_secs(1),
                confirmed: 0,
            },
            Role::Done => Phase::Done,
        }
    }
}

impl Candidate {
    /// Its state, as it can be planted again.
    #[must_use]
    pub fn planted(&self) -> Planted {
        let (ending, expired) = match self.phase {
            Phase::Tenure {
                ending, expired, ..
            } => (ending.map(|(_, reason)| reason), expired),
            _ => (None, false),
        };
        let views = self.stores.iter().map(|view| PlantedView {
            watch: view.watch.clone(),
            known: view.known,
            hint: (view.hint.as_ref()).map(|hint| (hint.record.clone(), hint.mark, hint.heard)),
            pending: view.pending.as_ref().map(|pending| {
                let place = KINDS.iter().position(|kind| *kind == pending.kind);
                (place.unwrap_or_default(), pending.sent)
            }),
            claimed: view.claimed,
            hold: view.hold,
            acknowledged: view.acknowledged.map(|last| (last.sent, last.memory)),
        });
        Planted {
            role: self.role(),
            term: self.term(),
            deadline: self.deadline(),
            ending,
            expired,
            last_claimed: self.last_claimed,
            fresh: self.next_request == 0,
            views: views.collect(),
        }
    }
}

impl Knowledge {
    /// When the memory was born, at the latest.
    #[must_use]
    pub fn born(&self) -> Timestamp {
        self.as_old_as(std::time::Duration::ZERO)
    }
}

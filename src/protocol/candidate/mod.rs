//! The candidate: one campaign for one election, as a pure state machine.
//!
//! ```text
//!              majority claimable          majority granted, proven
//!   Standby ───────────────────▶ Claiming ─────────────────────────▶ Leading ──┐ resign, tenure ends,
//!      ▲                          │    │ majority granted, unproven     ▲      │ deposed
//!      │  no majority: release    │    ▼                                │      ▼
//!      └──────────────────────────┴─ Probation ─── outwaited, proven ───┘  Draining
//!                                                                             │ the work has ended
//!                                                       Done ◀── Releasing ◀──┘
//! ```
//!
//! A candidacy that has lost stays lost: to lead again, a process campaigns again, under a new id and for
//! a new term.

mod claiming;
mod leading;
mod orders;
mod phase;
#[cfg(feature = "_fuzzing")]
pub(super) mod planted;
mod replies;
mod requests;
mod sightings;
mod standby;
mod step;
mod view;

use std::time::Duration;

use self::phase::{Ending, Heard, Phase, Release, Tenure};
use self::view::{Acknowledged, Hint, Kind, Pending, StoreView};
use super::{
    CandidateId, Electorate, HostName, Knowledge, Record, StoreIndex, Term, Timestamp, Timing,
};

pub use self::sightings::Sightings;
pub use self::step::{
    CandidateConfig, Event, Failure, Input, Opening, Outgoing, Prospect, RequestId, Role, Step,
};

/// One campaign for one election.
///
/// # Examples
///
/// ```
/// use incumbent::protocol::{
///     apply, Candidate, CandidateConfig, Electorate, Input, Memory, MemoryId, Reply, Role, State,
///     Timestamp, Timing, WallMillis,
/// };
///
/// let mut candidate = Candidate::new(CandidateConfig {
///     id: "a".parse()?,
///     host: None,
///     not_before: Timestamp::ZERO,
///     timing: Timing::default(),
///     electorate: Electorate::new(1)?,
///     seed: 1,
///     ephemeral: false,
///     openings: Vec::new(),
/// });
/// let clock = WallMillis::default();
/// let fresh = MemoryId { made: clock, nonce: 1 };
/// // A store that cannot forget.
/// let mut store = State { memory: Some(Memory::mature(fresh)), ..State::EMPTY };
/// let now = Timestamp::from_nanos(1);
/// let mut step = candidate.handle(now, Input::Tick);
/// while let Some(sent) = step.sends.pop() {
///     let (after, verdict) = apply(&store, &sent.request, fresh, clock);
///     store = after;
///     let (record, memory) = (store.record.clone(), store.memory.unwrap());
///     let reply = Reply { verdict, record, memory, clock };
///     step = candidate.handle(now, Input::Replied { store: sent.store, id: sent.id, result: Ok(reply) });
/// }
/// assert_eq!(candidate.role(), Role::Leading);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Candidate {
    id: CandidateId,
    host: Option<HostName>,
    timing: Timing,
    electorate: Electorate,
    ephemeral: bool,
    stores: Vec<StoreView>,
    phase: Phase,
    /// Whether it must not claim.
    held_back: bool,
    next_request: u64,
    jitter: u64,
    /// The last term claimed that a store may have granted: no later claim of this candidacy reuses it.
    last_claimed: Option<Term>,
    /// Whether the terms were used up when it could last have claimed.
    used_up: bool,
    /// How many claims in a row failed although a store had granted them.
    split_claims: u32,
    /// Until when a standby that could claim a majority waits for a further store.
    lingers_until: Option<Timestamp>,
    stale_replies: u64,
    /// The moment of the input that is being handled.
    now: Timestamp,
    /// The step for that input so far. Empty between two inputs.
    step: Step,
    planned: Timestamp,
}

impl Candidate {
    /// A new candidate: its first [`Input::Tick`] sends its first requests.
    #[must_use]
    pub fn new(config: CandidateConfig) -> Self {
        let mut stores = vec![StoreView::default(); config.electorate.size()];
        let known = config.openings.into_iter().zip(&mut stores);
        for (opening, view) in known.filter_map(|(opening, view)| Some((opening?, view))) {
            let Opening { record, knowledge } = opening;
            view.known = Some(knowledge);
            view.read_clock(knowledge.clock, knowledge.seen);
            if record.is_free() && record.orders.paused.is_none() {
                let seen = knowledge.seen;
                view.watch.observe(&record, &knowledge.memory, seen, seen);
            }
        }
        Self {
            id: config.id,
            host: config.host,
            timing: config.timing,
            electorate: config.electorate,
            ephemeral: config.ephemeral,
            stores,
            phase: Phase::Standby {
                not_before: config.not_before,
            },
            held_back: false,
            next_request: 0,
            jitter: config.seed,
            last_claimed: None,
            used_up: false,
            split_claims: 0,
            lingers_until: None,
            stale_replies: 0,
            now: Timestamp::ZERO,
            step: Step::default(),
            planned: Timestamp::NEVER,
        }
    }

    /// Takes in what happened at `now`, and returns what to do.
    ///
    /// `now` must be read after the input arrived, and the requests of the step must not be sent before
    /// it was read: that is how leases round down and stalls round up.
    pub fn handle(&mut self, now: Timestamp, input: Input) -> Step {
        self.now = now.max(self.now);
        // Time passes first, so that a reply that arrives after the end of the tenure changes nothing.
        self.pass_time();
        match input {
            Input::Tick => {}
            Input::Replied { store, id, result } => self.replied(store, id, result),
            Input::Woken {
                store,
                record,
                memory,
                called,
            } => self.hear(Heard::Woken(store, (&record, &memory), called.as_ref())),
            Input::Resign(reason) => self.hear(Heard::Resign(reason)),
            Input::WorkEnded(reason) => self.hear(Heard::WorkEnded(reason)),
        }
        self.proceed();
        self.planned = self.wake_at();
        self.assert_invariants();
        Step {
            wake_at: self.planned,
            ..std::mem::take(&mut self.step)
        }
    }

    /// Keeps it from claiming, from the next input on, or lets it claim again.
    pub const fn hold_back(&mut self, held_back: bool) {
        self.held_back = held_back;
    }

    /// Its id.
    #[must_use]
    pub const fn id(&self) -> &CandidateId {
        &self.id
    }

    /// Its timing.
    #[must_use]
    pub const fn timing(&self) -> &Timing {
        &self.timing
    }

    /// How many stores it has, and their majority.
    #[must_use]
    pub const fn electorate(&self) -> Electorate {
        self.electorate
    }

    /// Whether a store may hold something for it.
    #[must_use]
    pub fn may_hold(&self) -> bool {
        self.stores.iter().any(|view| view.claimed)
    }

    /// What it is doing.
    #[must_use]
    pub const fn role(&self) -> Role {
        match self.phase {
            Phase::Standby { .. } => Role::Standby,
            Phase::Claiming { .. } => Role::Claiming,
            Phase::Probation { .. } => Role::Probation,
            Phase::Tenure(Tenure { ending: None, .. }) => Role::Leading,
            Phase::Tenure(_) => Role::Draining,
            Phase::Releasing(_) => Role::Releasing,
            Phase::Done => Role::Done,
        }
    }

    /// The term it claims, holds or releases.
    #[must_use]
    pub const fn term(&self) -> Option<Term> {
        match self.phase {
            Phase::Standby { .. } | Phase::Done => None,
            Phase::Claiming { term } | Phase::Probation { term } => Some(term),
            Phase::Tenure(tenure) => Some(tenure.term),
            Phase::Releasing(release) => release.term,
        }
    }

    /// When the work must be over. Set from the election until the records are released.
    #[must_use]
    pub const fn deadline(&self) -> Option<Timestamp> {
        match self.phase {
            Phase::Tenure(tenure) => Some(tenure.deadline),
            _ => None,
        }
    }

    /// Whether its work may act at `now` (`S1`: never two at a time).
    #[must_use]
    pub fn may_act(&self, now: Timestamp) -> bool {
        matches!(self.phase, Phase::Tenure(tenure) if !tenure.is_over() && now < tenure.deadline)
    }

    /// The last record seen of a store.
    #[must_use]
    pub fn record(&self, store: StoreIndex) -> Option<&Record> {
        self.stores.get(store.get())?.watch.record()
    }

    /// Since when a store's record has been in its last seen state.
    #[must_use]
    pub fn unchanged_since(&self, store: StoreIndex) -> Option<Timestamp> {
        self.stores.get(store.get())?.watch.unchanged_since()
    }

    /// What it knows of the memory of a store.
    #[must_use]
    pub fn knowledge(&self, store: StoreIndex) -> Option<Knowledge> {
        self.stores.get(store.get())?.known
    }

    /// How many replies came too late to count.
    #[must_use]
    pub const fn stale_replies(&self) -> u64 {
        self.stale_replies
    }

    /// Does everything that is due because time has passed.
    fn pass_time(&mut self) {
        // R4: what takes longer than op_timeout counts as failed, so a late grant elects no one.
        let overdue = |sent: &Pending| self.now.since(sent.sent) > self.timing.op_timeout();
        for store in self.stores_where(|view| view.pending.as_ref().is_some_and(overdue)) {
            if let Some(pending) = self.stores[store.get()].pending.take() {
                self.failed(store, &pending, Failure::Unknown);
            }
        }
        match self.phase {
            Phase::Probation { term } => self.check_answers(term),
            Phase::Tenure(tenure) => self.check_tenure(tenure),
            Phase::Releasing(release) if self.now >= release.until => self.finish_release(),
            Phase::Standby { .. } | Phase::Claiming { .. } | Phase::Releasing(_) | Phase::Done => {}
        }
    }

    /// Hands what was heard to the current phase.
    fn hear(&mut self, heard: Heard<'_>) {
        match self.phase {
            Phase::Standby { .. } => self.heard_standing_by(heard),
            Phase::Claiming { term } => self.heard_claiming(term, heard),
            Phase::Probation { term } => self.heard_in_probation(term, heard),
            Phase::Tenure(tenure) => self.heard_leading(tenure, heard),
            Phase::Releasing(_) => self.heard_releasing(heard),
            Phase::Done => {}
        }
    }

    /// Does what the current phase can do now.
    fn proceed(&mut self) {
        match self.phase {
            Phase::Standby { not_before } => self.stand_by(not_before),
            Phase::Claiming { .. } => {}
            Phase::Probation { term } => self.wait_out(term),
            Phase::Tenure(tenure) => self.lead(tenure),
            Phase::Releasing(release) => self.release_rest(release),
            Phase::Done => {}
        }
    }

    fn wake_at(&self) -> Timestamp {
        let requests = self.stores.iter().map(|view| match &view.pending {
            // One nanosecond later, because a reply still counts at its timeout.
            Some(pending) => pending.sent + self.timing.op_timeout() + Duration::from_nanos(1),
            None => match self.phase {
                Phase::Claiming { .. } | Phase::Done => Timestamp::NEVER,
                Phase::Releasing(_) if !view.claimed => Timestamp::NEVER,
                Phase::Probation { .. } if view.hold.is_none() => Timestamp::NEVER,
                Phase::Standby { .. }
                | Phase::Probation { .. }
                | Phase::Tenure(_)
                | Phase::Releasing(_) => view.due,
            },
        });
        let own = match self.phase {
            Phase::Standby { not_before } => self.standby_wake(not_before),
            Phase::Claiming { .. } | Phase::Probation { .. } | Phase::Done => Timestamp::NEVER,
            Phase::Tenure(tenure) => match (tenure.ending, tenure.expired) {
                (None, _) => tenure.deadline.before(self.timing.stop_grace()),
                (Some(_), false) => tenure.deadline,
                (Some(_), true) => Timestamp::NEVER,
            },
            Phase::Releasing(release) => release.until,
        };
        requests.fold(own, Timestamp::min)
    }

    /// What must be true after every step, in release builds too: a candidate that finds itself wrong
    /// stops the process rather than lead.
    fn assert_invariants(&self) {
        match self.phase {
            Phase::Standby { .. } | Phase::Claiming { .. } | Phase::Done => {}
            Phase::Probation { .. } => assert!(
                self.holds() >= self.electorate.majority(),
                "a candidate in probation holds a majority"
            ),
            Phase::Tenure(tenure) => assert!(
                self.majority_acknowledged()
                    .is_some_and(|sent| tenure.deadline <= sent + self.timing.tenure()),
                "a deadline never lies beyond the tenure of an acknowledged heartbeat"
            ),
            Phase::Releasing(_) => assert!(
                self.stores.iter().all(|view| !view.awaits(Kind::Claim)),
                "a candidate that releases claims nothing"
            ),
        }
    }
}

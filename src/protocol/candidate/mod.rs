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
//! A candidacy that has lost is lost for good: who wants to lead again campaigns again, under a new id
//! and for a new term.

mod claiming;
mod leading;
mod orders;
mod standby;
mod view;

use std::time::Duration;

use self::view::{Hint, Hold, Kind, Pending, StoreView};
use super::{
    CandidateId, Electorate, HostName, LossReason, Orders, Record, Reply, Request, StoreIndex,
    Term, Timestamp, Timing, Verdict, WallMillis,
};

/// What a candidate is made of.
#[derive(Clone, Debug)]
pub struct CandidateConfig {
    /// Its id. It must be new: no two candidacies ever share one.
    pub id: CandidateId,
    /// The host by which an operator may name it as a successor.
    pub host: Option<HostName>,
    /// Before when it claims nothing: whoever was asked to resign sits out a window.
    pub not_before: Timestamp,
    /// Its timing.
    pub timing: Timing,
    /// How many stores there are.
    pub electorate: Electorate,
    /// The seed of its jitter.
    pub seed: u64,
    /// What an earlier campaign of the same process has last seen, by store, so that an election it
    /// left vacant can be won in one round trip. May be empty.
    pub openings: Vec<Option<Opening>>,
}

/// A vacant record that is known before the first poll: what a store replied to an earlier campaign.
///
/// The claim that rests on it is compared with the record itself, like any other, and it goes stale like
/// any other (`R2`).
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Opening {
    /// The record, vacant when it was seen.
    pub record: Record,
    /// The store's clock when it was seen.
    pub clock: WallMillis,
    /// When the request was sent whose reply showed it.
    pub seen: Timestamp,
}

/// The number of a request, new for each one: a stale reply is told by it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct RequestId(pub u64);

/// What happens to a candidate.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Input {
    /// Nothing but the passing of time.
    Tick,
    /// A request was answered, or failed.
    Replied {
        /// The store asked.
        store: StoreIndex,
        /// Which request.
        id: RequestId,
        /// Its outcome.
        result: Result<Reply, Failure>,
    },
    /// A store has told that its record was released, with the record as it is now. It is a hint, which
    /// anybody may have forged: a claim may expect this record, and neither the claim's term nor any later
    /// decision rests on it.
    Woken {
        /// The store that told.
        store: StoreIndex,
        /// The vacant record.
        record: Record,
        /// The standby that is called to claim it at once, while the others look a little later whether
        /// it did; `None` calls everybody.
        called: Option<CandidateId>,
    },
    /// Leave the election: a leader stops its work first.
    Resign(LossReason),
    /// The work has provably ended, for this reason unless it was told to stop for another.
    WorkEnded(LossReason),
}

/// Why a request brought no reply.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Failure {
    /// It was certainly not executed.
    NotExecuted,
    /// It may have been executed.
    Unknown,
}

/// What a candidate wants done after an input.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[must_use]
pub struct Step {
    /// The requests to send, each at once.
    pub sends: Vec<Outgoing>,
    /// What has happened, in order.
    pub events: Vec<Event>,
    /// When to hand in [`Input::Tick`] at the latest.
    pub wake_at: Timestamp,
}

/// A request on its way to a store.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Outgoing {
    /// The store to ask.
    pub store: StoreIndex,
    /// The number to hand in with the outcome.
    pub id: RequestId,
    /// What to ask.
    pub request: Request,
}

/// What a candidate tells of itself.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Event {
    /// A store's record is held by somebody else than before, or by nobody, or other orders stand
    /// beside it.
    Saw {
        /// The store.
        store: StoreIndex,
        /// Its record.
        record: Record,
    },
    /// It claims the election.
    Claimed {
        /// For this term.
        term: Term,
        /// On so many stores.
        stores: usize,
    },
    /// It could claim, but a store has granted the highest term there is, so nobody can be elected.
    TermsUsedUp {
        /// That store.
        store: StoreIndex,
    },
    /// It did not get a majority, or lost it during probation.
    ClaimFailed {
        /// The term it claimed.
        term: Term,
        /// How many stores had granted.
        granted: usize,
    },
    /// It holds a majority of the stores, and waits for leaders that they may have forgotten.
    Probation {
        /// Its term.
        term: Term,
        /// Until when, at the least.
        until: Timestamp,
    },
    /// It leads: the work may begin.
    Elected {
        /// Its term, which is the fencing token.
        term: Term,
        /// When the work must be over unless heartbeats move it on.
        deadline: Timestamp,
    },
    /// A further store now holds its term.
    Joined {
        /// Which one.
        store: StoreIndex,
    },
    /// A store no longer holds its term.
    Parted {
        /// Which one.
        store: StoreIndex,
    },
    /// The work is told to stop. The leadership will not be renewed.
    Stopping {
        /// The term that ends.
        term: Term,
        /// Why.
        reason: LossReason,
        /// When the work must be over.
        deadline: Timestamp,
    },
    /// The deadline has passed: the work must be over now.
    Expired {
        /// The term that has ended.
        term: Term,
    },
    /// The record was given up on so many stores.
    Released {
        /// The term that has ended.
        term: Term,
        /// How many stores confirmed it.
        stores: usize,
    },
}

/// What a candidate is doing.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Role {
    /// It watches.
    Standby,
    /// It has claimed, and waits for the replies.
    Claiming,
    /// It holds a majority, and waits before it acts.
    Probation,
    /// It leads.
    Leading,
    /// Its work is stopping, or should have stopped.
    Draining,
    /// It gives its records up.
    Releasing,
    /// The candidacy is over.
    Done,
}

/// What a standby can expect right now: for campaigns that do not wait.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Prospect {
    /// Answers are outstanding, or it is on its way to lead.
    Open,
    /// So many stores are held by others that no majority is left.
    Held,
    /// So many stores are paused by an operator, or held, that no majority is left.
    Paused,
    /// So many stores do not answer that no majority is left.
    Unreachable,
    /// A store has granted the highest term there is, so nobody can be elected.
    TermsUsedUp,
}

/// One campaign for one election.
///
/// # Examples
///
/// ```
/// use incumbent::protocol::{
///     apply, Candidate, CandidateConfig, Durability, Electorate, Input, Record, Reply, Role,
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
///     openings: Vec::new(),
/// });
/// let mut record = Record::ABSENT;
/// let mut now = Timestamp::from_nanos(1);
/// let mut step = candidate.handle(now, Input::Tick);
/// while let Some(sent) = step.sends.pop() {
///     let clock = WallMillis::default();
///     let (after, verdict) = apply(&record, &sent.request, Durability::Durable, clock);
///     record = after;
///     let reply = Reply { verdict, record: record.clone(), clock };
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
    stores: Vec<StoreView>,
    phase: Phase,
    next_request: u64,
    jitter: u64,
    /// The last term claimed that a store may have granted: no later claim of the candidacy shares it.
    last_claimed: Term,
    /// Whether the terms were used up when it last could have claimed.
    used_up: bool,
    /// How many claims in a row have failed with a grant in hand.
    split_claims: u32,
    /// Until when a standby that could claim a majority waits for a further store.
    lingers_until: Option<Timestamp>,
    stale_replies: u64,
    now: Timestamp,
    planned: Timestamp,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
enum Phase {
    Standby {
        not_before: Timestamp,
    },
    Claiming {
        term: Term,
    },
    Probation {
        term: Term,
        until: Timestamp,
    },
    Tenure {
        term: Term,
        deadline: Timestamp,
        ending: Option<LossReason>,
        expired: bool,
    },
    Releasing {
        term: Term,
        reason: LossReason,
        until: Timestamp,
        confirmed: usize,
    },
    Done,
}

impl Candidate {
    /// A candidate that has done nothing yet: its first [`Input::Tick`] sends its first requests.
    #[must_use]
    pub fn new(config: CandidateConfig) -> Self {
        let mut stores = vec![StoreView::new(); config.electorate.size()];
        let known = config.openings.into_iter().zip(&mut stores);
        for (opening, view) in known.filter_map(|(opening, view)| Some((opening?, view))) {
            if opening.record.occupancy == super::Occupancy::Vacant {
                view.read_clock(opening.clock, opening.seen);
                view.watch
                    .observe(&opening.record, opening.seen, opening.seen);
            }
        }
        Self {
            id: config.id,
            host: config.host,
            timing: config.timing,
            electorate: config.electorate,
            stores,
            phase: Phase::Standby {
                not_before: config.not_before,
            },
            next_request: 0,
            jitter: config.seed,
            last_claimed: Term::ZERO,
            used_up: false,
            split_claims: 0,
            lingers_until: None,
            stale_replies: 0,
            now: Timestamp::ZERO,
            planned: Timestamp::NEVER,
        }
    }

    /// Takes in what has happened at `now`, and tells what to do.
    ///
    /// `now` must be read after the input arrived, and the requests of the step must not be sent before
    /// it was read: that is how leases round down and stalls round up.
    pub fn handle(&mut self, now: Timestamp, input: Input) -> Step {
        let now = now.max(self.now);
        let mut step = Step::default();
        self.now = now;
        // Time passes first, so that a reply that arrives after the end of the tenure changes nothing.
        self.pass_time(now, &mut step);
        match input {
            Input::Tick => {}
            Input::Replied { store, id, result } => self.replied(now, store, id, result, &mut step),
            Input::Woken {
                store,
                record,
                called,
            } => self.woken(now, store, &record, called.as_ref()),
            Input::Resign(reason) => self.resign(now, reason, &mut step),
            Input::WorkEnded(reason) => self.work_ended(now, reason, &mut step),
        }
        self.proceed(now, &mut step);
        step.wake_at = self.wake_at(now);
        self.planned = step.wake_at;
        self.assert_invariants();
        step
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

    /// What it is doing.
    #[must_use]
    pub const fn role(&self) -> Role {
        match self.phase {
            Phase::Standby { .. } => Role::Standby,
            Phase::Claiming { .. } => Role::Claiming,
            Phase::Probation { .. } => Role::Probation,
            Phase::Tenure { ending: None, .. } => Role::Leading,
            Phase::Tenure { .. } => Role::Draining,
            Phase::Releasing { .. } => Role::Releasing,
            Phase::Done => Role::Done,
        }
    }

    /// The term it claims, holds or gives up.
    #[must_use]
    pub const fn term(&self) -> Option<Term> {
        match self.phase {
            Phase::Standby { .. } | Phase::Done => None,
            Phase::Claiming { term }
            | Phase::Probation { term, .. }
            | Phase::Tenure { term, .. }
            | Phase::Releasing { term, .. } => Some(term),
        }
    }

    /// When the work must be over, from the election on until the records are given up.
    #[must_use]
    pub const fn deadline(&self) -> Option<Timestamp> {
        match self.phase {
            Phase::Tenure { deadline, .. } => Some(deadline),
            Phase::Standby { .. }
            | Phase::Claiming { .. }
            | Phase::Probation { .. }
            | Phase::Releasing { .. }
            | Phase::Done => None,
        }
    }

    /// Whether its work may act at `now` (`S1`: never two at a time).
    #[must_use]
    pub fn may_act(&self, now: Timestamp) -> bool {
        match self.phase {
            Phase::Tenure {
                deadline,
                ending,
                expired,
                ..
            } => !expired && ending != Some(LossReason::Deposed) && now < deadline,
            Phase::Standby { .. }
            | Phase::Claiming { .. }
            | Phase::Probation { .. }
            | Phase::Releasing { .. }
            | Phase::Done => false,
        }
    }

    /// The last record seen of a store.
    #[must_use]
    pub fn record(&self, store: StoreIndex) -> Option<&Record> {
        self.stores.get(store.get())?.watch.record()
    }

    /// Since when a store's record stands as it was last seen.
    #[must_use]
    pub fn unchanged_since(&self, store: StoreIndex) -> Option<Timestamp> {
        self.stores.get(store.get())?.watch.unchanged_since()
    }

    /// What the next campaign of this process may know of a store: its record, if that was vacant when it
    /// was last seen.
    #[must_use]
    pub fn opening(&self, store: StoreIndex) -> Option<Opening> {
        let view = self.stores.get(store.get())?;
        let record = view.watch.record()?;
        let vacant = record.occupancy == super::Occupancy::Vacant;
        let seen = view.watch.last_seen()?;
        vacant.then(|| Opening {
            record: record.clone(),
            clock: view.clock_at(seen),
            seen,
        })
    }

    /// How many replies came too late to count.
    #[must_use]
    pub const fn stale_replies(&self) -> u64 {
        self.stale_replies
    }

    /// Lets everything happen that only the passing of time brings about.
    fn pass_time(&mut self, now: Timestamp, step: &mut Step) {
        // R4: what takes longer than op_timeout counts as failed, so a late grant elects nobody.
        let overdue: Vec<StoreIndex> = self
            .electorate
            .stores()
            .filter(|store| {
                let pending = self.stores[store.get()].pending.as_ref();
                pending.is_some_and(|p| now.since(p.sent) > self.timing.op_timeout())
            })
            .collect();
        for store in overdue {
            if let Some(pending) = self.stores[store.get()].pending.take() {
                self.failed(now, store, &pending, Failure::Unknown, step);
            }
        }
        match self.phase {
            Phase::Tenure { .. } => self.check_tenure(now, step),
            Phase::Releasing { until, .. } if now >= until => self.finish_release(step),
            Phase::Standby { .. }
            | Phase::Claiming { .. }
            | Phase::Probation { .. }
            | Phase::Releasing { .. }
            | Phase::Done => {}
        }
    }

    fn replied(
        &mut self,
        now: Timestamp,
        store: StoreIndex,
        id: RequestId,
        result: Result<Reply, Failure>,
        step: &mut Step,
    ) {
        let pending = self.stores.get_mut(store.get()).and_then(|view| {
            let matches = view.pending.as_ref().is_some_and(|p| p.id == id);
            matches.then(|| view.pending.take()).flatten()
        });
        let Some(pending) = pending else {
            self.stale_replies += 1;
            return;
        };
        match result {
            Ok(reply) => {
                self.take_in(now, store, &pending, &reply, step);
                self.answered(now, store, &pending, &reply, step);
            }
            Err(failure) => self.failed(now, store, &pending, failure, step),
        }
    }

    /// Notes what any reply shows, whatever it answers.
    fn take_in(
        &mut self,
        now: Timestamp,
        store: StoreIndex,
        pending: &Pending,
        reply: &Reply,
        step: &mut Step,
    ) {
        let view = &mut self.stores[store.get()];
        view.failing = false;
        view.hint.take_if(|hint| hint.heard <= pending.sent);
        view.read_clock(reply.clock, now);
        let before = view.watch.record().map(holding);
        view.watch.observe(&reply.record, pending.sent, now);
        if reply.record.holder() == Some(&self.id) {
            view.written = view.written.max(reply.record.beat);
        }
        if before != Some(holding(&reply.record)) {
            step.events.push(Event::Saw {
                store,
                record: reply.record.clone(),
            });
        }
    }

    fn answered(
        &mut self,
        now: Timestamp,
        store: StoreIndex,
        pending: &Pending,
        reply: &Reply,
        step: &mut Step,
    ) {
        match (pending.kind, reply.verdict) {
            (Kind::Observe, _) => self.observed(now, store, reply, step),
            (Kind::Claim, Verdict::Granted) => self.granted(now, store, pending, reply, step),
            (Kind::Claim, Verdict::Refused) => {
                self.stores[store.get()].claimed = false;
                self.claim_refused(now, store, reply, step);
            }
            (Kind::Beat { proven }, Verdict::Granted) => {
                let view = &mut self.stores[store.get()];
                if let Some(hold) = &mut view.hold {
                    hold.unproven &= !proven;
                    view.acknowledged = view.acknowledged.max(Some(pending.sent));
                }
                self.acknowledged(now, step);
                self.obey(now, step);
            }
            (Kind::Beat { .. }, Verdict::Refused) => {
                let view = &mut self.stores[store.get()];
                view.claimed = false;
                view.due = now;
                if view.hold.take().is_some() {
                    step.events.push(Event::Parted { store });
                }
                self.beat_refused(now, step);
            }
            (Kind::Release, _) => {
                self.stores[store.get()].claimed = false;
                self.released(reply.verdict, step);
            }
        }
    }

    fn failed(
        &mut self,
        now: Timestamp,
        store: StoreIndex,
        pending: &Pending,
        failure: Failure,
        step: &mut Step,
    ) {
        let retry = self.timing.interval() / 8;
        let standby = matches!(self.phase, Phase::Standby { .. });
        let view = &mut self.stores[store.get()];
        view.failing = true;
        // A leader retries quickly, for its tenure runs; a standby has all the time there is.
        if !standby && pending.kind != Kind::Observe {
            view.due = now + retry;
        }
        if pending.kind == Kind::Claim {
            view.claimed &= failure == Failure::Unknown;
            self.claim_not_granted(now, store, step);
        }
    }

    /// Does what the present phase can do now.
    fn proceed(&mut self, now: Timestamp, step: &mut Step) {
        match self.phase {
            Phase::Standby { not_before } => self.stand_by(now, not_before, step),
            Phase::Claiming { .. } => {}
            Phase::Probation { term, until } => self.wait_out(now, term, until, step),
            Phase::Tenure { .. } => self.lead(now, step),
            Phase::Releasing { term, reason, .. } => self.release_rest(now, term, reason, step),
            Phase::Done => {}
        }
    }

    fn wake_at(&self, now: Timestamp) -> Timestamp {
        let requests = self.stores.iter().map(|view| match &view.pending {
            // One nanosecond later, for a reply counts up to and including its timeout.
            Some(pending) => pending.sent + self.timing.op_timeout() + Duration::from_nanos(1),
            None => match self.phase {
                Phase::Claiming { .. } | Phase::Done => Timestamp::NEVER,
                Phase::Releasing { .. } if !view.claimed => Timestamp::NEVER,
                Phase::Probation { .. } if view.hold.is_none() => Timestamp::NEVER,
                Phase::Standby { .. }
                | Phase::Probation { .. }
                | Phase::Tenure { .. }
                | Phase::Releasing { .. } => view.due,
            },
        });
        let own = match self.phase {
            Phase::Standby { not_before } => self.standby_wake(now, not_before),
            Phase::Claiming { .. } | Phase::Probation { .. } | Phase::Done => Timestamp::NEVER,
            Phase::Tenure {
                deadline,
                ending,
                expired,
                ..
            } => match (ending, expired) {
                (None, _) => deadline.before(self.timing.stop_grace()),
                (Some(_), false) => deadline,
                (Some(_), true) => Timestamp::NEVER,
            },
            Phase::Releasing { until, .. } => until,
        };
        requests.fold(own, Timestamp::min)
    }

    /// Sends a request to a store, in the place of any that is under way there: its reply is stale.
    fn send(
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

    fn observe(&mut self, now: Timestamp, store: StoreIndex, step: &mut Step) {
        self.send(now, store, Kind::Observe, Request::Observe, step);
    }

    fn beat(
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

    fn release(
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

    /// The stores with nothing under way whose next request is due.
    fn due(&self, now: Timestamp) -> Vec<StoreIndex> {
        self.electorate
            .stores()
            .filter(|store| {
                let view = &self.stores[store.get()];
                view.pending.is_none() && view.due <= now
            })
            .collect()
    }

    fn holds(&self) -> usize {
        self.stores
            .iter()
            .filter(|view| view.hold.is_some())
            .count()
    }

    /// When the last heartbeat that a majority acknowledged was sent: the lease runs from then.
    fn majority_acknowledged(&self) -> Option<Timestamp> {
        let mut sent: Vec<Timestamp> = self
            .stores
            .iter()
            .filter_map(|view| view.acknowledged)
            .collect();
        sent.sort_unstable_by(|a, b| b.cmp(a));
        sent.get(self.electorate.majority() - 1).copied()
    }

    /// A seeded random duration from `low` up to `high` (splitmix64: Steele, Lea and Flood, 2014).
    fn random(&mut self, low: Duration, high: Duration) -> Duration {
        self.jitter = self.jitter.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut z = self.jitter;
        z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        z ^= z >> 31;
        let span = high.saturating_sub(low).as_nanos();
        let nanos = (span * u128::from(z)) >> 64;
        low + Duration::from_nanos(u64::try_from(nanos).unwrap_or(u64::MAX))
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
            Phase::Tenure { deadline, .. } => assert!(
                self.majority_acknowledged()
                    .is_some_and(|sent| deadline <= sent + self.timing.tenure()),
                "a deadline never lies beyond the tenure of an acknowledged heartbeat"
            ),
            Phase::Releasing { .. } => assert!(
                self.stores.iter().all(|view| !view.awaits(Kind::Claim)),
                "who releases claims nothing"
            ),
        }
    }
}

/// What makes a record another one in the eyes of people: everything but the beat.
fn holding(
    record: &Record,
) -> (
    Term,
    Option<CandidateId>,
    std::mem::Discriminant<super::Occupancy>,
    Orders,
) {
    (
        record.term,
        record.holder().cloned(),
        std::mem::discriminant(&record.occupancy),
        record.orders.clone(),
    )
}

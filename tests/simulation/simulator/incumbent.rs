//! The real thing as a party: the `Candidate` and the record function that ship.

use std::time::Duration;

use incumbent::protocol::{
    Candidate, CandidateConfig, Electorate, Event, HostName, Input, LossReason, Memory, MemoryId,
    Opening, Order, Record, Reply, Request, RequestId, Role, Sightings, State, StoreIndex,
    Timestamp, Timing, WallMillis, apply,
};

use super::operator::Operator;
use super::party::{Birth, Lease, Notice, Party, Reaction, Server, Stimulus, Turn};

pub(crate) struct Contender {
    candidate: Candidate,
    /// What it and the campaigns before it saw.
    sightings: Sightings,
    stores: usize,
    /// Whether it deletes the record when it releases it.
    ephemeral: bool,
    /// When it last did anything: what it hands on to the next campaign was seen by then.
    last: Timestamp,
    /// Whether an operator asked it to resign: the next one of its slot sits out a window.
    asked: bool,
    /// Whether the texts of notices are wanted.
    verbose: bool,
}

impl Contender {
    pub(crate) fn new(
        birth: &Birth,
        (timing, ephemeral): (Timing, bool),
        electorate: Electorate,
        predecessor: Option<&Self>,
        verbose: bool,
    ) -> Self {
        let sightings = predecessor.map(|before| before.sightings.clone());
        let asked = predecessor.filter(|before| before.asked);
        let not_before = asked.map_or(Timestamp::ZERO, |before| before.last + timing.window());
        Self {
            candidate: Candidate::new(CandidateConfig {
                id: format!("c{}.{}", birth.slot, birth.incarnation)
                    .parse()
                    .expect("a valid id"),
                host: HostName::new(&format!("h{}", birth.slot)).ok(),
                not_before,
                timing,
                electorate,
                seed: birth.seed,
                ephemeral,
                openings: predecessor.map_or_else(Vec::new, Self::openings),
            }),
            sightings: sightings.unwrap_or_else(|| Sightings::new(electorate)),
            stores: electorate.size(),
            ephemeral,
            last: Timestamp::ZERO,
            asked: false,
            verbose,
        }
    }

    fn openings(&self) -> Vec<Option<Opening>> {
        let known = (0..self.stores).map(|store| self.candidate.knowledge(index(store)));
        self.sightings.openings(known)
    }
}

fn index(store: usize) -> StoreIndex {
    StoreIndex(u8::try_from(store).expect("few stores"))
}

/// The parties: those that want to lead, and those that give orders.
pub(crate) enum Player {
    Contender(Box<Contender>),
    Operator(Box<Operator>),
}

impl Player {
    pub(crate) fn contender(&self) -> Option<&Contender> {
        match self {
            Self::Contender(contender) => Some(contender),
            Self::Operator(_) => None,
        }
    }

    pub(crate) fn candidate(&self) -> Option<&Candidate> {
        Some(&self.contender()?.candidate)
    }
}

impl Party for Player {
    type Request = Request;
    type Reply = Reply;
    type Server = Keeping;

    fn name(&self) -> String {
        match self {
            Self::Contender(contender) => contender.name(),
            Self::Operator(_) => "operator".to_owned(),
        }
    }

    fn handle(&mut self, now: Timestamp, stimulus: Stimulus<Reply>) -> Reaction<Request> {
        match self {
            Self::Contender(contender) => contender.handle(now, stimulus),
            Self::Operator(operator) => operator.handle(now, stimulus),
        }
    }

    fn lease(&self) -> Option<Lease> {
        self.contender()?.lease()
    }

    fn is_done(&self) -> bool {
        match self {
            Self::Contender(contender) => contender.is_done(),
            Self::Operator(operator) => operator.is_done(),
        }
    }

    fn last_will(&self) -> Vec<(usize, Request)> {
        self.contender().map_or_else(Vec::new, Party::last_will)
    }
}

impl Party for Contender {
    type Request = Request;
    type Reply = Reply;
    type Server = Keeping;

    fn name(&self) -> String {
        self.candidate.id().to_string()
    }

    fn handle(&mut self, now: Timestamp, stimulus: Stimulus<Reply>) -> Reaction<Request> {
        let input = match stimulus {
            Stimulus::Tick => Input::Tick,
            Stimulus::Replied { store, id, result } => Input::Replied {
                store: index(store),
                id: RequestId(id),
                result,
            },
            Stimulus::Woken {
                store,
                reply,
                called,
            } => Input::Woken {
                store: index(store),
                record: reply.record,
                memory: reply.memory,
                called: called.map(|name| name.parse().expect("a valid id")),
            },
            Stimulus::Resign => Input::Resign(LossReason::Resigned),
            Stimulus::WorkEnded => Input::WorkEnded(LossReason::Resigned),
        };
        self.last = now;
        let step = self.candidate.handle(now, input);
        for event in &step.events {
            self.asked |= is_asked(event);
            if let Event::Saw { store, record } = event {
                self.sightings.keep(*store, record.clone());
            }
        }
        assert!(
            step.sends.len() <= 2 * self.stores,
            "{} sends {} requests in one step",
            self.candidate.id(),
            step.sends.len()
        );
        assert!(
            step.wake_at > now,
            "{} wants to be woken in the past, as {:?}: {:?}",
            self.candidate.id(),
            self.candidate.role(),
            self.candidate
        );
        Reaction {
            wake_at: step.wake_at,
            notices: step
                .events
                .iter()
                .map(|event| notice(event, self.verbose))
                .collect(),
            sends: step
                .sends
                .into_iter()
                .map(|sent| (sent.store.get(), sent.id.0, sent.request))
                .collect(),
        }
    }

    fn lease(&self) -> Option<Lease> {
        let deadline = self.candidate.deadline()?;
        let token = self.candidate.term().map(|term| term.get());
        Some(Lease { token, deadline })
    }

    fn is_done(&self) -> bool {
        self.candidate.role() == Role::Done
    }

    fn last_will(&self) -> Vec<(usize, Request)> {
        let Some(term) = self.candidate.term() else {
            return Vec::new();
        };
        let release = |store| {
            let holder = self.candidate.id().clone();
            (
                store,
                Request::Release {
                    holder,
                    term,
                    reason: LossReason::ElectorDied,
                    delete: self.ephemeral,
                },
            )
        };
        (0..self.stores).map(release).collect()
    }
}

fn is_asked(event: &Event) -> bool {
    let requested = LossReason::Requested;
    matches!(event, Event::Stopping { reason, .. } if *reason == requested)
}

fn notice(event: &Event, verbose: bool) -> Notice {
    let (turn, heading) = match event {
        Event::Saw { .. } => (Turn::Other, "saw"),
        Event::Claimed { .. } => (Turn::Other, "claims"),
        Event::ClaimFailed { .. } => (Turn::Other, "failed claims"),
        Event::Probation { .. } => (Turn::Other, "probations"),
        Event::Elected { .. } => (Turn::Elected, "elections"),
        Event::Joined { .. } => (Turn::Other, "joins"),
        Event::Parted { .. } => (Turn::Other, "partings"),
        Event::Stopping {
            deadline, reason, ..
        } => (
            Turn::Stopping {
                deadline: *deadline,
            },
            match reason {
                LossReason::Deposed => "losses: deposed",
                LossReason::TenureEnded => "losses: tenure ended",
                LossReason::Suspended => "losses: suspended",
                LossReason::StoreForgot => "losses: store forgot",
                LossReason::Resigned => "losses: resigned",
                LossReason::Requested => "losses: requested",
                _ => "losses: other",
            },
        ),
        Event::Expired { .. } => (Turn::Expired, "expirations"),
        Event::Released { .. } => (Turn::Other, "releases"),
        _ => (Turn::Other, "other"),
    };
    Notice {
        turn,
        heading,
        text: if verbose {
            format!("{event:?}")
        } else {
            String::new()
        },
    }
}

/// Whether a store can lose what it holds: a Redis can, a file on this host cannot.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Durability {
    Forgetful,
    Durable,
}

/// A store that keeps one record, with the record function that ships.
pub(crate) struct Keeping {
    state: State,
    /// How many ids of memories it could have given away.
    ids: u64,
    clock: WallMillis,
    /// What it held before each of the last writes, the oldest first.
    past: Vec<State>,
}

impl Keeping {
    const PAST: usize = 64;

    pub(crate) fn new(durability: Durability) -> Self {
        let mut keeping = Self {
            state: State::EMPTY,
            ids: 0,
            clock: WallMillis::ZERO,
            past: Vec::new(),
        };
        if durability == Durability::Durable {
            keeping.state.memory = Some(Memory::mature(keeping.fresh()));
        }
        keeping
    }

    pub(crate) const fn state(&self) -> &State {
        &self.state
    }

    fn fresh(&mut self) -> MemoryId {
        self.ids += 1;
        MemoryId {
            made: self.clock,
            nonce: self.ids,
        }
    }
}

impl Server for Keeping {
    type Request = Request;
    type Reply = Reply;

    fn execute(&mut self, wall_ms: u64, request: &Request) -> (Reply, bool) {
        let clock = WallMillis::new(wall_ms).expect("a clock of this age");
        self.clock = clock;
        let fresh = self.fresh();
        let (state, verdict) = apply(&self.state, request, fresh, clock);
        if state != self.state {
            if self.past.len() == Self::PAST {
                self.past.remove(0);
            }
            self.past.push(std::mem::replace(&mut self.state, state));
        }
        let record = self.state.record.clone();
        let reply = Reply {
            verdict,
            record: record.clone(),
            memory: self.state.memory.expect("a request makes a memory"),
            clock,
        };
        let frees = matches!(
            request,
            Request::Release { .. } | Request::Order(Order::Resume | Order::Depose { .. })
        );
        let free = record.is_free() && record.orders.paused.is_none();
        let woken = frees && free && verdict == incumbent::protocol::Verdict::Granted;
        (reply, woken)
    }

    fn writes(request: &Request) -> bool {
        !matches!(request, Request::Observe)
    }

    fn wipe(&mut self) {
        self.state = State::EMPTY;
    }

    fn evict(&mut self) {
        self.state.record = Record::ABSENT;
    }

    fn roll_back(&mut self, writes: usize) {
        let kept = self.past.len().saturating_sub(writes);
        if let Some(state) = self.past.get(kept) {
            self.state = state.clone();
            self.past.truncate(kept);
        }
        self.state.restarted = true;
    }
}

/// The largest window of a set of timings: what probation must be set to.
pub(crate) fn longest_window(timings: &[Timing]) -> Duration {
    timings
        .iter()
        .map(Timing::window)
        .max()
        .unwrap_or(Duration::ZERO)
}

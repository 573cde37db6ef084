//! The driver: gives one candidate its clock, its stores and its timer, and carries out what it returns.
//!
//! ```text
//!   commands ─────┐                      ┌──▶ requests to the stores, all at once, each bounded
//!   replies ──────┼─▶ Candidate::handle ─┼──▶ Lease       what the work may still do
//!   wake-ups ─────┤     (the clock)      ├──▶ Standing    what a campaign waits for
//!   the timer ────┘                      └──▶ events
//! ```

use std::sync::Arc;

use tokio::sync::{mpsc, watch};

use super::Alarm;
use super::Shared;
use super::agreement::Agreement;
use super::clock;
use super::guard;
use super::lease::Lease;
use super::link::Link;
use super::links::{Arrival, Links};
use super::memories;
use super::standing::{Command, Standing};
use super::tracker::{Change, Tracker};
use crate::observe::{ElectionView, EventKind};
use crate::protocol::{
    Candidate, CandidateConfig, Event, FencingToken, HostName, Input, LossReason, Pause, Prospect,
    Request, Role, Step, StoreIndex, Timestamp,
};
use crate::store::Identity;

pub(super) struct Driver {
    shared: Arc<Shared>,
    candidate: Candidate,
    links: Links,
    commands: mpsc::Receiver<Command>,
    /// The other end of `commands`, for holders other than the owner: it keeps nothing alive.
    owner: mpsc::WeakSender<Command>,
    standing: watch::Sender<Standing>,
    lease: Option<Lease>,
    tracker: Tracker,
    /// The term whose work had not ended when its deadline passed, and when to check again.
    overdue: Option<(FencingToken, Timestamp)>,
    /// The pause that was reported last.
    paused: Option<Pause>,
    agreement: Agreement,
}

/// What wakes a driver.
enum Wake {
    Owner(Option<Command>),
    Store(Arrival),
    Agreement(ElectionView),
    Timer,
}

/// The queue of a driver: what its owner sends, and the other end for those who keep nothing alive.
type Commands = (mpsc::WeakSender<Command>, mpsc::Receiver<Command>);

impl Driver {
    pub(super) fn new(
        shared: Arc<Shared>,
        identity: Identity,
        commands: Commands,
        standing: watch::Sender<Standing>,
    ) -> Self {
        let agreement = Agreement::new(&shared, identity.id(), clock::now());
        let mut candidate = Candidate::new(CandidateConfig {
            id: identity.id().clone(),
            host: HostName::new(identity.host()).ok(),
            not_before: shared.sits_out_until.get(),
            timing: shared.timing,
            electorate: shared.electorate,
            seed: fastrand::u64(..),
            ephemeral: shared.ephemeral,
            openings: shared.openings(),
        });
        candidate.hold_back(!agreement.allows_claims());
        let identity = Arc::new(identity);
        Self::with(shared, (identity, candidate), agreement, commands, standing)
    }

    /// Goes on with a candidate that was elected elsewhere.
    pub(super) fn of_elected(
        shared: Arc<Shared>,
        (identity, candidate): (Arc<Identity>, Candidate),
        lease: Lease,
        commands: Commands,
        standing: watch::Sender<Standing>,
    ) -> Self {
        let agreement = Agreement::of_elected(&shared, identity.id(), clock::now());
        let mut driver = Self::with(shared, (identity, candidate), agreement, commands, standing);
        driver
            .shared
            .leading
            .set(Some((lease.clone(), driver.owner.clone())));
        driver.lease = Some(lease);
        driver
    }

    fn with(
        shared: Arc<Shared>,
        (identity, candidate): (Arc<Identity>, Candidate),
        agreement: Agreement,
        (owner, commands): Commands,
        standing: watch::Sender<Standing>,
    ) -> Self {
        let tracker = Tracker::new(shared.electorate, shared.timing, shared.gap.replace(None));
        Self {
            links: Links::new(Arc::clone(&shared), identity),
            shared,
            candidate,
            commands,
            owner,
            standing,
            lease: None,
            tracker,
            overdue: None,
            paused: None,
            agreement,
        }
    }

    /// Runs the candidacy to its end.
    pub(super) async fn run(mut self, mut timer: Alarm) {
        self.report(EventKind::Campaigning);
        if let Some(lease) = &self.lease {
            let term = lease.fencing_token();
            let leaderless = None;
            self.report(EventKind::Elected { term, leaderless });
        }
        let mut input = Input::Tick;
        let mut owner_gone = false;
        let mut now = clock::now();
        loop {
            self.handle(now, input, &mut timer).await;
            if self.candidate.role() == Role::Done {
                break;
            }
            let wake = tokio::select! {
                biased;
                command = self.commands.recv(), if !owner_gone => Wake::Owner(command),
                arrival = self.links.next() => Wake::Store(arrival),
                view = self.agreement.read() => Wake::Agreement(view),
                () = timer.ring() => Wake::Timer,
            };
            now = clock::now();
            input = match wake {
                Wake::Owner(Some(Command::Resign(reason)))
                    if self.lease.as_ref().is_some_and(Lease::has_work_ended) =>
                {
                    // The command that says that it has ended may have found the queue full.
                    self.handle(now, Input::Resign(reason), &mut timer).await;
                    now = clock::now();
                    Input::WorkEnded(reason)
                }
                Wake::Owner(Some(Command::Resign(reason))) => Input::Resign(reason),
                Wake::Owner(Some(Command::WorkEnded(reason))) => Input::WorkEnded(reason),
                Wake::Owner(None) => {
                    owner_gone = true;
                    // The owner, which could stop the work or would have begun it, is gone.
                    let resigned = Input::Resign(LossReason::Resigned);
                    self.handle(now, resigned, &mut timer).await;
                    now = clock::now();
                    Input::WorkEnded(LossReason::Resigned)
                }
                Wake::Store(arrival) => self.arrived(&mut now, arrival),
                Wake::Agreement(view) => self.agreement.take_in(now, view, &mut self.candidate),
                Wake::Timer => Input::Tick,
            };
        }
        self.finish().await;
    }

    async fn handle(&mut self, now: Timestamp, input: Input, timer: &mut Alarm) {
        self.shared.counters.turned(now);
        if matches!(input, Input::Tick) {
            self.shared.turns.pass_on(now);
        }
        let answered = match &input {
            Input::Replied {
                store,
                result: Ok(_),
                ..
            } => Some(*store),
            _ => None,
        };
        let step = self.candidate.handle(now, input);
        // A lock of this process may be claimed on another server meanwhile, because its address was moved.
        if let Some(store) = answered
            && !self.shared.stores[store.get()].has_memory_per_election()
        {
            self.keep_memory(store);
        }
        self.carry_out(now, step, timer).await;
    }

    async fn carry_out(&mut self, now: Timestamp, step: Step, timer: &mut Alarm) {
        let urgent = is_urgent(&step);
        for outgoing in step.sends {
            self.links.ask(now, outgoing);
        }
        // The right to act first, then the notification: work that hears of the loss finds that it may not act.
        self.renew_lease(now);
        if urgent {
            self.links.send_at_once().await;
        }
        for event in step.events {
            self.happened(now, event);
        }
        self.tracker.note_sign(&self.candidate);
        self.tell_of_overrun(now);
        self.tell_of_pause();
        self.links.listen(&self.candidate);
        self.show_standing();
        self.agreement
            .read_when_due(now, self.candidate.role(), self.links.known());
        let look_at = self.overdue.map_or(step.wake_at, |(_, look_at)| look_at);
        timer.set(step.wake_at.min(look_at));
    }

    fn arrived(&mut self, now: &mut Timestamp, arrival: Arrival) -> Input {
        match arrival {
            Arrival::Answer(answer) => {
                if let Some(news) = self.links.take_in(*now, &answer) {
                    self.report(news);
                    // The log may have taken its time.
                    *now = clock::now();
                }
                Input::Replied {
                    store: answer.store,
                    id: answer.id,
                    result: answer.result.map_err(|error| error.failure()),
                }
            }
            Arrival::Release(store, wake_up) => {
                self.tracker.woken(*now, &wake_up.record);
                Input::Woken {
                    store,
                    record: wake_up.record,
                    memory: wake_up.memory,
                    called: wake_up.called,
                }
            }
        }
    }

    fn tell_changes(&self, changes: impl IntoIterator<Item = Change>) {
        for change in changes {
            match change {
                Change::Follows((leader, term)) => {
                    self.report(EventKind::Following { leader, term })
                }
                Change::Leaderless(term) => self.report(EventKind::Leaderless { term }),
                Change::GapOver(gap) => self.shared.counters.leaderless(gap),
            }
        }
    }

    fn happened(&mut self, now: Timestamp, event: Event) {
        match event {
            Event::Saw { store, record } => {
                self.shared.keep_opening(store, record);
                if self.candidate.role() == Role::Standby {
                    let changes = self.tracker.saw(now, &self.candidate);
                    self.tell_changes(changes);
                }
            }
            Event::Claimed { term, stores } => {
                let change = self.tracker.claimed(now, &self.candidate);
                self.tell_changes(change);
                self.report(EventKind::Claiming { term, stores });
            }
            Event::TermsUsedUp { store } => self.report(EventKind::TermsUsedUp {
                store: self.label(store),
            }),
            Event::ClaimFailed { term, granted } => {
                self.tracker.claim_failed();
                self.report(EventKind::ClaimFailed { term, granted });
            }
            Event::Probation { term, until } => self.report(EventKind::Probation {
                term,
                wait: until.since(now),
            }),
            Event::Elected { term, deadline } => {
                let lease = Lease::new(term, deadline);
                self.lease = Some(lease.clone());
                let leading = (lease.clone(), self.owner.clone());
                self.shared.leading.set(Some(leading));
                let leaderless = self.tracker.elected(now);
                self.tell_changes(leaderless.map(Change::GapOver));
                // The work starts here; everything else can wait.
                self.standing.send_replace(Standing::Elected(lease));
                self.links.stop_listening();
                self.report(EventKind::Elected { term, leaderless });
            }
            Event::Joined { store } => self.report(EventKind::StoreJoined {
                store: self.label(store),
            }),
            Event::Parted { store } => self.report(EventKind::StoreParted {
                store: self.label(store),
            }),
            Event::Stopping {
                term,
                reason,
                deadline,
            } => {
                if let Some(lease) = &self.lease {
                    lease.lose(reason);
                }
                self.report(EventKind::Stopping {
                    term,
                    reason,
                    within: deadline.since(now),
                });
            }
            Event::Expired { term } => {
                self.overdue = Some((term, now + self.shared.timing.margin()));
            }
            Event::Released { term, stores } => self.report(EventKind::Released { term, stores }),
        }
    }

    /// Reports work that goes on after its deadline. A process that was frozen as a whole sees the deadline
    /// before it sees that the work ended in time, so it checks twice.
    fn tell_of_overrun(&mut self, now: Timestamp) {
        let Some((term, _)) = self.overdue.take_if(|(_, look_at)| *look_at <= now) else {
            return;
        };
        if self
            .lease
            .as_ref()
            .is_some_and(|lease| !lease.has_work_ended())
        {
            self.report(EventKind::Overrun { term });
        }
    }

    fn tell_of_pause(&mut self) {
        let paused = self.candidate.pause();
        if paused == self.paused.as_ref() {
            return;
        }
        let paused = paused.cloned();
        self.report(match &paused {
            Some(pause) => EventKind::Paused {
                pause: pause.clone(),
            },
            None => EventKind::Resumed,
        });
        self.paused = paused;
    }

    fn renew_lease(&mut self, now: Timestamp) {
        let Some(lease) = &self.lease else { return };
        match self.candidate.deadline() {
            Some(deadline) => {
                if lease.renew(deadline, self.candidate.may_act(now)) {
                    guard::hasten(deadline);
                }
            }
            // A candidate releases only what has ended.
            None => {
                lease.end_work(LossReason::Resigned);
                // The new holder of the record may already lead.
                let taken = [LossReason::Deposed, LossReason::StoreForgot];
                if !lease.loss().is_some_and(|loss| taken.contains(&loss)) {
                    self.tracker.vacated(now);
                }
            }
        }
    }

    fn show_standing(&self) {
        let standing = match (self.candidate.role(), self.links.no_majority(Link::refusal)) {
            // A candidate that may not send heartbeats is never elected.
            (Role::Probation, _) => match self.links.no_majority(Link::forbidden) {
                Some(error) => Standing::Refused(error.clone()),
                None => Standing::Probation {
                    error: self.links.error().cloned(),
                },
            },
            (Role::Standby, Some(error)) => Standing::Refused(error.clone()),
            (Role::Standby, None) => self.campaigning(),
            _ => return,
        };
        self.standing.send_if_modified(|current| {
            let changed = !current.is_like(&standing);
            if changed {
                *current = standing;
            }
            changed
        });
    }

    fn campaigning(&self) -> Standing {
        let unwritable = self.links.no_majority(Link::unwritable);
        let prospect = match self.candidate.prospect() {
            // A leader needs only the changes that it was granted.
            Prospect::Open if unwritable.is_some() => Prospect::Unreachable,
            prospect => prospect,
        };
        let error = unwritable.or_else(|| self.links.error());
        Standing::Campaigning {
            prospect,
            leader: self.tracker.leader(),
            paused: self.candidate.pause().cloned(),
            error: error.cloned(),
        }
    }

    fn label(&self, store: StoreIndex) -> Arc<str> {
        self.shared.stores[store.get()].label().into()
    }

    fn report(&self, kind: EventKind) {
        self.shared.report(self.candidate.id(), kind);
    }

    fn keep_memory(&self, store: StoreIndex) {
        if let Some(knowledge) = self.candidate.knowledge(store) {
            let name = &self.shared.name;
            memories::keep(&self.shared.stores[store.get()], name, knowledge);
        }
    }

    async fn finish(self) {
        let now = clock::now();
        for store in self.shared.electorate.stores() {
            self.keep_memory(store);
        }
        let loss = self.lease.as_ref().and_then(Lease::loss);
        if loss == Some(LossReason::Requested) {
            let window = self.shared.timing.window();
            self.shared.sits_out_until.set(now + window);
        }
        let led = self.lease.as_ref().map(Lease::fencing_token);
        if let Some(gap) = self.tracker.left(now, &self.candidate, led) {
            self.shared.gap.set(Some(gap));
        }
        self.shared.counters.campaign_over();
        self.standing
            .send_replace(Standing::Over(self.agreement.conflict));
        self.links.leave().await;
        self.shared.candidacy_over();
    }
}

/// Whether another process or a caller waits for what a step sends: standbys for a release, a campaign for a
/// claim. Events for the work come before any claim of the same step. A release is of work that has ended.
fn is_urgent(step: &Step) -> bool {
    let sends = |is: fn(&Request) -> bool| step.sends.iter().any(|sent| is(&sent.request));
    let for_the_work =
        |event: &Event| matches!(event, Event::Elected { .. } | Event::Stopping { .. });
    let releases = sends(|request| matches!(request, Request::Release { .. }));
    let claims = sends(|request| matches!(request, Request::Claim(_)));
    releases || (claims && !step.events.iter().any(for_the_work))
}

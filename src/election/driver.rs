//! The driver: gives one candidate its clock, its stores and its timer, and carries out what it says.
//!
//! ```text
//!   commands ─────┐                      ┌──▶ requests to the stores, all at once, each bounded
//!   replies ──────┼─▶ Candidate::handle ─┼──▶ Lease       what the work may still do
//!   wake-ups ─────┤     (the clock)      ├──▶ Standing    what a campaign waits for
//!   the timer ────┘                      └──▶ events
//! ```

use std::future::{pending, poll_fn};
use std::pin::Pin;
use std::sync::Arc;
use std::task::Poll;
use std::time::Duration;

use futures_util::FutureExt;
use futures_util::future::join_all;
use futures_util::stream::{FuturesUnordered, StreamExt};
use tokio::sync::{mpsc, watch};

use super::Alarm;
use super::Shared;
use super::clock;
use super::gap::Gap;
use super::guard;
use super::late;
use super::lease::Lease;
use super::link::{Link, News};
use super::runtime;
use crate::observe::{Happening, HeartbeatResult};
use crate::protocol::{
    Beat, Candidate, CandidateConfig, CandidateId, Event, HostName, Input, LossReason, Occupancy,
    Outgoing, Pause, Prospect, Record, Reply, Request, RequestId, Role, Step, StoreIndex, Term,
    Timestamp, Verdict,
};
use crate::store::Identity;
use crate::store::{StoreError, WakeUp, WakeUps, let_others_go_first};

/// How long the end of a candidacy may take for what only people read. A standby that is told to stop is
/// gone within 100 ms, also when its store hangs.
const FAREWELL: Duration = Duration::from_millis(80);

/// What the owner of a candidacy tells its driver.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Command {
    /// Leave the election; a leader's work is told to stop.
    Resign(LossReason),
    /// The work has provably ended, for this reason unless it was told to stop for another.
    WorkEnded(LossReason),
}

/// How a candidacy stands, for who waits for it.
#[derive(Clone, Debug)]
pub(super) enum Standing {
    Campaigning {
        prospect: Prospect,
        leader: Option<(CandidateId, Term)>,
        paused: Option<Pause>,
        error: Option<StoreError>,
    },
    /// It holds the election, and waits out its probation.
    Probation,
    /// The stores refuse us, and have never done otherwise.
    Refused(StoreError),
    Elected(Lease),
    Over,
}

impl Standing {
    pub(super) const START: Self = Self::Campaigning {
        prospect: Prospect::Open,
        leader: None,
        paused: None,
        error: None,
    };
}

/// What came of a request.
struct Answer {
    store: StoreIndex,
    id: RequestId,
    /// Whether the request was to change the record, and not only to look at it.
    changes: bool,
    result: Result<Reply, StoreError>,
    /// How long it took, of a heartbeat.
    beat: Option<Duration>,
    /// Whether it was asked to release.
    releases: bool,
}

type Answering = Pin<Box<dyn Future<Output = Answer> + Send>>;

pub(super) struct Driver {
    shared: Arc<Shared>,
    identity: Arc<Identity>,
    candidate: Candidate,
    commands: mpsc::Receiver<Command>,
    /// The other end of `commands`, for whoever is not the owner: it keeps nothing alive.
    owner: mpsc::WeakSender<Command>,
    standing: watch::Sender<Standing>,
    answers: FuturesUnordered<Answering>,
    /// An answer that came while its request was sent.
    answered: Option<Answer>,
    wake_ups: Vec<Option<WakeUps>>,
    links: Vec<Link>,
    lease: Option<Lease>,
    leader: Option<Following>,
    /// Since when nobody leads, as far as the records seen tell.
    leaderless: Option<Timestamp>,
    /// What the campaign before left of that, until the records tell whether it goes on.
    before: Option<Gap>,
    /// The leadership of this process that it began with.
    ended: Option<Following>,
    /// The last sign of life of the leader we follow.
    sign: Option<Sign>,
    /// The release of the leader we follow that we heard of, until another leads.
    told: Option<Told>,
    /// The term whose work had not ended when its deadline passed, and when to look at it again.
    overdue: Option<(Term, Timestamp)>,
    /// The pause that was told of last.
    paused: Option<Pause>,
    /// The release that each store has not confirmed.
    unconfirmed: Vec<Option<Request>>,
}

/// A heartbeat of a leader: when it was first seen, and the highest counter of its stores.
#[derive(Clone, Copy, Debug)]
struct Sign {
    at: Timestamp,
    beat: Beat,
}

/// A release as a hint tells of it.
#[derive(Clone, Copy, Debug)]
struct Told {
    heard: Timestamp,
    /// Since when nobody leads, if it is true.
    since: Timestamp,
}

/// Who leads in the eyes of a standby.
type Following = (Option<CandidateId>, Term);

impl Driver {
    pub(super) fn new(
        shared: Arc<Shared>,
        identity: Identity,
        (owner, commands): (mpsc::WeakSender<Command>, mpsc::Receiver<Command>),
        standing: watch::Sender<Standing>,
    ) -> Self {
        let candidate = Candidate::new(CandidateConfig {
            id: identity.id().clone(),
            host: HostName::new(identity.host()).ok(),
            not_before: shared.sits_out_until(),
            timing: shared.timing,
            electorate: shared.electorate,
            seed: fastrand::u64(..),
            openings: shared.take_openings(),
        });
        let stores = shared.stores.len();
        let before = shared.take_gap();
        Self {
            shared,
            identity: Arc::new(identity),
            candidate,
            commands,
            owner,
            standing,
            answers: FuturesUnordered::new(),
            answered: None,
            wake_ups: (0..stores).map(|_| None).collect(),
            links: vec![Link::default(); stores],
            lease: None,
            leader: None,
            leaderless: None,
            before,
            ended: None,
            sign: None,
            told: None,
            overdue: None,
            paused: None,
            unconfirmed: vec![None; stores],
        }
    }

    /// Runs the candidacy to its end.
    pub(super) async fn run(mut self, mut timer: Alarm) {
        self.tell(Happening::Campaigning);
        let mut input = Input::Tick;
        let mut owner_gone = false;
        loop {
            self.handle(input, &mut timer).await;
            if self.candidate.role() == Role::Done {
                break;
            }
            input = tokio::select! {
                biased;
                command = self.commands.recv(), if !owner_gone => match command {
                    Some(Command::Resign(reason)) => Input::Resign(reason),
                    Some(Command::WorkEnded(reason)) => Input::WorkEnded(reason),
                    None => {
                        owner_gone = true;
                        // Whoever could stop the work, or would have begun it, is gone.
                        self.handle(Input::Resign(LossReason::Resigned), &mut timer)
                            .await;
                        Input::WorkEnded(LossReason::Resigned)
                    }
                },
                answer = next_answer(&mut self.answered, &mut self.answers) => self.answer(answer),
                (store, wake_up) = next_release(&mut self.wake_ups) => self.woken(store, wake_up),
                () = timer.ring() => Input::Tick,
            };
        }
        self.finish().await;
    }

    async fn handle(&mut self, input: Input, timer: &mut Alarm) {
        let now = clock::now();
        self.shared.counters.turned(now);
        if matches!(input, Input::Tick) {
            self.shared.turns.send_replace(now);
        }
        let step = self.candidate.handle(now, input);
        self.carry_out(now, step, timer).await;
    }

    async fn carry_out(&mut self, now: Timestamp, step: Step, timer: &mut Alarm) {
        let urgent = is_urgent(&step);
        for outgoing in step.sends {
            self.ask(outgoing);
        }
        // First the right to act, then the word of it: who hears that it lost finds that it may not act.
        self.renew_lease(now);
        if urgent {
            self.send_at_once().await;
        }
        for event in step.events {
            self.happened(now, event);
        }
        self.note_sign();
        self.tell_of_overrun(now);
        self.tell_of_pause();
        self.listen();
        self.show_standing();
        let look_at = self.overdue.map_or(step.wake_at, |(_, look_at)| look_at);
        timer.set(step.wake_at.min(look_at));
    }

    /// Lets the connections write what was just asked, before anything is told and any timer set: that can
    /// be done while the answer is under way.
    async fn send_at_once(&mut self) {
        if let Some(Some(answer)) = self.answers.next().now_or_never() {
            self.answered = Some(answer);
        }
        let_others_go_first().await;
    }

    fn ask(&mut self, outgoing: Outgoing) {
        let notes_us = matches!(outgoing.request, Request::Observe | Request::Beat { .. });
        self.links[outgoing.store.get()].lists_us |= notes_us;
        if matches!(outgoing.request, Request::Release { .. }) {
            self.unconfirmed[outgoing.store.get()] = Some(outgoing.request.clone());
        }
        let shared = Arc::clone(&self.shared);
        let identity = Arc::clone(&self.identity);
        self.answers.push(Box::pin(async move {
            let store = &shared.stores[outgoing.store.get()];
            let beats = matches!(outgoing.request, Request::Beat { .. });
            let sent = beats.then(clock::now);
            let result = store
                .execute(&shared.name, &identity, &outgoing.request)
                .await;
            Answer {
                store: outgoing.store,
                id: outgoing.id,
                changes: !matches!(outgoing.request, Request::Observe),
                result,
                beat: sent.map(|sent| clock::now().since(sent)),
                releases: matches!(outgoing.request, Request::Release { .. }),
            }
        }));
    }

    fn answer(&mut self, answer: Answer) -> Input {
        self.count(&answer);
        let Answer {
            store,
            id,
            changes,
            result,
            releases,
            ..
        } = answer;
        let now = clock::now();
        let label: Arc<str> = self.shared.stores[store.get()].label().into();
        let link = &mut self.links[store.get()];
        if releases && result.is_ok() {
            self.unconfirmed[store.get()] = None;
        }
        // A release takes us out of the list by itself.
        let released = result
            .as_ref()
            .is_ok_and(|reply| reply.verdict == Verdict::Granted);
        link.lists_us &= !(releases && released);
        let told = link.heard(now, changes, &result);
        let told = told.map(|news| match news {
            News::Down(error) => Happening::StoreDown {
                store: label,
                error,
            },
            News::Up(after) => Happening::StoreUp {
                store: label,
                after,
            },
        });
        if let Some(happening) = told {
            self.tell(happening);
        }
        let result = result.map_err(|error| error.failure());
        Input::Replied { store, id, result }
    }

    fn woken(&mut self, store: StoreIndex, wake_up: WakeUp) -> Input {
        let WakeUp { record, called } = wake_up;
        let now = clock::now();
        if self.leader.is_some() && self.release(now).is_none() {
            self.told = Some(Told {
                heard: now,
                since: self.gone_since(now, &[&record]),
            });
        }
        Input::Woken {
            store,
            record,
            called,
        }
    }

    fn count(&self, answer: &Answer) {
        let counters = &self.shared.counters;
        counters.store(answer.store.get(), answer.result.is_ok());
        if let Some(took) = answer.beat {
            let result = match &answer.result {
                Ok(reply) if reply.verdict == Verdict::Granted => HeartbeatResult::Granted,
                Ok(_) => HeartbeatResult::Refused,
                Err(_) => HeartbeatResult::Failed,
            };
            counters.heartbeat(result, took);
        }
    }

    /// Since when nobody leads, if the release that we were told of is true. A hint that no look has
    /// confirmed for a while was not.
    fn release(&self, now: Timestamp) -> Option<Timestamp> {
        let recent = self.shared.timing.interval() * 2;
        let told = self.told.filter(|told| now.since(told.heard) <= recent);
        told.map(|told| told.since)
    }

    /// Since when the leader we follow is gone, when it is found to be gone at `now`. One that has not been
    /// seen to beat for a tenure, say over an outage, is gone since its last heartbeat, unless what it left
    /// shows a later one.
    fn gone_since(&self, now: Timestamp, left: &[&Record]) -> Timestamp {
        let Some(sign) = self.sign else { return now };
        let silent = now.since(sign.at) > self.shared.timing.tenure();
        let went_on = left
            .iter()
            .any(|record| record.occupancy == Occupancy::Vacant && record.beat > sign.beat);
        if silent && !went_on { sign.at } else { now }
    }

    /// Notes that the leader we follow is alive.
    fn note_sign(&mut self) {
        let Some((leader, term)) = &self.leader else {
            self.sign = None;
            return;
        };
        let stores = self.shared.electorate.stores();
        let signs = stores.filter_map(|store| {
            let record = self.candidate.record(store)?;
            let its = match &record.occupancy {
                Occupancy::Held { holder, .. } => leader.as_ref() == Some(holder),
                Occupancy::Foreign { .. } => leader.is_none(),
                Occupancy::Absent | Occupancy::Vacant => false,
            };
            let at = self.candidate.unchanged_since(store)?;
            (its && record.term == *term).then_some((at, record.mark().last_counter()))
        });
        self.sign = signs.fold(self.sign, |last, (at, beat)| {
            Some(last.map_or(Sign { at, beat }, |last| Sign {
                at: last.at.max(at),
                beat: last.beat.max(beat),
            }))
        });
    }

    /// The gap that is over now, which every observer of it counts.
    fn end_gap(&mut self, now: Timestamp) -> Option<Duration> {
        let gap = self.leaderless.take().map(|since| now.since(since))?;
        self.shared.counters.leaderless(gap);
        Some(gap)
    }

    /// The gap that the campaign before has seen goes on, if nobody has led since. When somebody has, as
    /// much of it counts as was watched.
    fn resume_gap(&mut self) {
        let records = self.records();
        let majority = self.shared.electorate.majority();
        if records.len() < majority {
            return;
        }
        let goes_on = |gap: &Gap| gap.goes_on(&records, majority);
        let goes_on = self.before.as_ref().is_some_and(goes_on);
        match self.before.take() {
            Some(gap) if goes_on => {
                self.leaderless = Some(gap.since);
                self.ended = gap.of.map(|id| (Some(id), gap.term));
            }
            Some(gap) => self.shared.counters.leaderless(gap.watched()),
            None => {}
        }
    }

    fn happened(&mut self, now: Timestamp, event: Event) {
        match event {
            Event::Saw { .. } => self.saw(now),
            Event::Claimed { term, stores } => {
                self.resume_gap();
                self.note_end(now);
                self.tell(Happening::Claiming { term, stores });
            }
            Event::TermsUsedUp { store } => self.tell(Happening::TermsUsedUp {
                store: self.label(store),
            }),
            Event::ClaimFailed { term, granted } => {
                // Whoever we follow has not been seen to be gone.
                self.leaderless.take_if(|_| self.leader.is_some());
                self.tell(Happening::ClaimFailed { term, granted });
            }
            Event::Probation { term, until } => self.tell(Happening::Probation {
                term,
                wait: until.since(now),
            }),
            Event::Elected { term, deadline } => {
                let lease = Lease::new(term, deadline);
                self.lease = Some(lease.clone());
                self.shared.keep_lease(lease.clone(), self.owner.clone());
                let leaderless = self.end_gap(now);
                // The work starts here; everything else can wait.
                self.standing.send_replace(Standing::Elected(lease));
                self.wake_ups.iter_mut().for_each(|slot| *slot = None);
                (self.leader, self.told) = (None, None);
                self.tell(Happening::Elected { term, leaderless });
            }
            Event::Joined { store } => self.tell(Happening::StoreJoined {
                store: self.label(store),
            }),
            Event::Parted { store } => self.tell(Happening::StoreParted {
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
                self.tell(Happening::Stopping {
                    term,
                    reason,
                    within: deadline.since(now),
                });
            }
            Event::Expired { term } => {
                self.overdue = Some((term, now + self.shared.timing.margin()));
            }
            Event::Released { term, stores } => self.tell(Happening::Released { term, stores }),
        }
    }

    /// Works out who leads from the last record of each store, and tells when that has changed.
    fn saw(&mut self, now: Timestamp) {
        if self.candidate.role() != Role::Standby {
            return;
        }
        self.resume_gap();
        let records = self.records();
        let holders = records.iter().filter_map(|record| match &record.occupancy {
            Occupancy::Held { holder, .. } if holder != self.candidate.id() => {
                Some((Some(holder.clone()), record.term))
            }
            Occupancy::Foreign { .. } => Some((None, record.term)),
            Occupancy::Held { .. } | Occupancy::Absent | Occupancy::Vacant => None,
        });
        let majority = self.shared.electorate.majority();
        let holders: Vec<Following> = holders.collect();
        let leading = holders
            .iter()
            .find(|leader| holders.iter().filter(|other| other == leader).count() >= majority)
            .cloned();
        if let Some((leader, term)) = &leading {
            // Nobody leads who is named by nothing but the record that this process has left.
            if leading != self.ended {
                self.end_gap(now);
            }
            if self.leader != leading {
                self.sign = None;
                self.tell(Happening::Following {
                    leader: leader.clone(),
                    term: *term,
                });
            }
            self.leader = leading;
            self.told = None;
        } else if records.len() - holders.len() >= majority
            && let Some((_, term)) = self.leader
        {
            let found = self.gone_since(now, &records);
            let since = self.release(now).unwrap_or(found);
            (self.leader, self.told) = (None, None);
            self.leaderless.get_or_insert(since);
            self.tell(Happening::Leaderless { term });
        }
    }

    /// Tells of work that goes on after its deadline. A process that stood still as a whole learns of the
    /// deadline before it learns that the work ended in time, so it looks a second time.
    fn tell_of_overrun(&mut self, now: Timestamp) {
        let Some((term, _)) = self.overdue.take_if(|(_, look_at)| *look_at <= now) else {
            return;
        };
        if self
            .lease
            .as_ref()
            .is_some_and(|lease| !lease.has_work_ended())
        {
            self.tell(Happening::Overrun { term });
        }
    }

    fn tell_of_pause(&mut self) {
        let paused = self.candidate.pause();
        if paused == self.paused.as_ref() {
            return;
        }
        let paused = paused.cloned();
        self.tell(match &paused {
            Some(pause) => Happening::Paused {
                pause: pause.clone(),
            },
            None => Happening::Resumed,
        });
        self.paused = paused;
    }

    /// A leader whose record we claim has released it, or its counter stands still: then it is taken to be
    /// gone since its last heartbeat.
    fn note_end(&mut self, now: Timestamp) {
        if self.leader.is_some() && self.leaderless.is_none() {
            let stalled = self.sign.map(|sign| sign.at);
            self.leaderless = self.release(now).or(stalled);
        }
    }

    fn records(&self) -> Vec<&Record> {
        let stores = self.shared.electorate.stores();
        stores
            .filter_map(|store| self.candidate.record(store))
            .collect()
    }

    fn renew_lease(&mut self, now: Timestamp) {
        let Some(lease) = &self.lease else { return };
        match self.candidate.deadline() {
            Some(deadline) => {
                if lease.renew(deadline, self.candidate.may_act(now)) {
                    guard::hasten(deadline);
                }
            }
            // A candidate lets go of nothing but what has ended.
            None => {
                lease.end_work(LossReason::Resigned);
                // Whoever has taken the record may lead already.
                let taken = [LossReason::Deposed, LossReason::StoreForgot];
                if !lease.loss().is_some_and(|loss| taken.contains(&loss)) {
                    self.leaderless.get_or_insert(now);
                }
            }
        }
    }

    /// Listens for releases while there is somebody to wait for.
    fn listen(&mut self) {
        if self.candidate.role() != Role::Standby {
            return;
        }
        for (index, slot) in self.wake_ups.iter_mut().enumerate() {
            let store = StoreIndex(u8::try_from(index).unwrap_or(u8::MAX));
            let seen = self.candidate.record(store).is_some();
            if slot.is_none() && seen {
                *slot = Some(self.shared.stores[index].wake_ups(&self.shared.name));
            }
        }
    }

    fn show_standing(&self) {
        let standing = match (self.candidate.role(), self.no_majority(Link::refusal)) {
            (Role::Probation, _) => Standing::Probation,
            (Role::Standby, Some(error)) => Standing::Refused(error.clone()),
            (Role::Standby, None) => self.campaigning(),
            _ => return,
        };
        self.standing.send_if_modified(|current| {
            let changed = !same(current, &standing);
            if changed {
                *current = standing;
            }
            changed
        });
    }

    /// One of the errors of this kind, if so many stores have one that no majority is left.
    fn no_majority(&self, kind: fn(&Link) -> Option<&StoreError>) -> Option<&StoreError> {
        let spare = self.links.len() - self.shared.electorate.majority();
        self.links.iter().filter_map(kind).nth(spare)
    }

    fn campaigning(&self) -> Standing {
        let leader = self.leader.clone();
        let unwritable = self.no_majority(Link::unwritable);
        let prospect = match self.candidate.prospect() {
            // Who leads needs no more than the changes that it was granted.
            Prospect::Open if unwritable.is_some() => Prospect::Unreachable,
            prospect => prospect,
        };
        let error = unwritable.or_else(|| self.links.iter().find_map(Link::error));
        Standing::Campaigning {
            prospect,
            leader: leader.and_then(|(leader, term)| Some((leader?, term))),
            paused: self.candidate.pause().cloned(),
            error: error.cloned(),
        }
    }

    /// What the next campaign is to know of the time without a leader that goes on.
    fn open_gap(&self, since: Timestamp, until: Timestamp) -> Gap {
        let seen = self.records().into_iter().map(|record| record.term).max();
        let (term, of) = match &self.lease {
            Some(lease) => (lease.term(), Some(self.candidate.id().clone())),
            None => match self.ended.clone() {
                Some((of, term)) => (term, of),
                None => (seen.unwrap_or_default(), None),
            },
        };
        Gap {
            since,
            until,
            term,
            of,
        }
    }

    fn label(&self, store: StoreIndex) -> Arc<str> {
        self.shared.stores[store.get()].label().into()
    }

    fn tell(&self, happening: Happening) {
        self.shared.tell(self.candidate.id(), happening);
    }

    async fn finish(self) {
        let now = clock::now();
        let stores = self.shared.electorate.stores();
        let openings = stores.map(|store| self.candidate.opening(store));
        if let Some(lease) = &self.lease {
            self.shared.keep_openings(openings.collect());
            if lease.loss() == Some(LossReason::Requested) {
                let window = self.shared.timing.window();
                self.shared.sit_out_until(now + window);
            }
        }
        let open = self.leaderless.map(|since| self.open_gap(since, now));
        if let Some(gap) = open.or(self.before) {
            self.shared.keep_gap(gap);
        }
        self.shared.counters.campaign_over();
        self.standing.send_replace(Standing::Over);
        let Self {
            shared,
            identity,
            links,
            unconfirmed,
            ..
        } = self;
        let stores = shared.electorate.stores().zip(unconfirmed);
        let releases: Vec<_> = stores
            .filter_map(|(store, release)| Some((store, release?)))
            .collect();
        if !releases.is_empty() {
            let (kept, interval) = (Arc::downgrade(&shared), shared.timing.interval());
            let late = late::release(kept, Arc::clone(&identity), interval, releases);
            runtime::handle().spawn(late);
        }
        withdraw(&shared, &identity, &links).await;
        shared.candidacies.send_modify(|count| *count -= 1);
    }
}

/// Has the stores that still list a candidate do so no more. That is for people, so nobody waits for it for long: a
/// store forgets by itself who is not seen.
async fn withdraw(shared: &Shared, identity: &Identity, links: &[Link]) {
    let stores = shared.stores.iter().zip(links);
    let listing: Vec<_> = stores.filter(|(_, link)| link.lists_us).collect();
    if listing.is_empty() {
        return;
    }
    let told = listing.into_iter().map(async |(store, _)| {
        if let Err(error) = store.withdraw(&shared.name, identity).await {
            tracing::debug!(%error, "a candidate that is gone stays listed for a while");
        }
    });
    if tokio::time::timeout(FAREWELL, join_all(told))
        .await
        .is_err()
    {
        tracing::debug!("a candidate that is gone may stay listed for a while");
    }
}

fn same(a: &Standing, b: &Standing) -> bool {
    match (a, b) {
        (
            Standing::Campaigning {
                prospect,
                leader,
                paused,
                error,
            },
            Standing::Campaigning {
                prospect: other_prospect,
                leader: other_leader,
                paused: other_paused,
                error: other_error,
            },
        ) => {
            prospect == other_prospect
                && leader == other_leader
                && paused == other_paused
                && error.is_some() == other_error.is_some()
        }
        (Standing::Refused(_), Standing::Refused(_))
        | (Standing::Probation, Standing::Probation) => true,
        (
            Standing::Campaigning { .. }
            | Standing::Probation
            | Standing::Refused(_)
            | Standing::Elected(_)
            | Standing::Over,
            _,
        ) => false,
    }
}

/// Whether somebody waits for what a step sends: the standbys for a release, whoever campaigns for a claim.
/// What work is to hear comes before any claim of the same step. A release is of work that has ended.
fn is_urgent(step: &Step) -> bool {
    let sends = |is: fn(&Request) -> bool| step.sends.iter().any(|sent| is(&sent.request));
    let for_the_work =
        |event: &Event| matches!(event, Event::Elected { .. } | Event::Stopping { .. });
    let releases = sends(|request| matches!(request, Request::Release { .. }));
    let claims = sends(|request| matches!(request, Request::Claim(_)));
    releases || (claims && !step.events.iter().any(for_the_work))
}

/// The next answer to a request; pending forever when there will be none.
async fn next_answer(
    answered: &mut Option<Answer>,
    answers: &mut FuturesUnordered<Answering>,
) -> Answer {
    if let Some(answer) = answered.take() {
        return answer;
    }
    match answers.next().await {
        Some(answer) => answer,
        None => pending().await,
    }
}

/// The next release that any store tells of; pending forever when none will.
async fn next_release(wake_ups: &mut [Option<WakeUps>]) -> (StoreIndex, WakeUp) {
    poll_fn(|context| {
        for (index, slot) in (0..).zip(wake_ups.iter_mut()) {
            let Some(waiting) = slot else { continue };
            match waiting.0.poll_recv(context) {
                Poll::Ready(Some(wake_up)) => return Poll::Ready((StoreIndex(index), wake_up)),
                // The store will not tell: polling remains.
                Poll::Ready(None) => waiting.0.close(),
                Poll::Pending => {}
            }
        }
        Poll::Pending
    })
    .await
}

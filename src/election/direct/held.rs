//! What is held, and how it ends.

use std::mem;
use std::sync::Arc;

use futures_util::stream::{FuturesUnordered, StreamExt};
use tokio::runtime::Handle;
use tokio::sync::{mpsc, watch};

use super::Client;
use super::attempt::Candidacy;
use super::due::Place;
use crate::election::campaign::COMMANDS;
use crate::election::custody::{Custody, End};
use crate::election::driver::Driver;
use crate::election::guard::{self, Guarded};
use crate::election::late::{self, Releases};
use crate::election::leadership::unless_panicking;
use crate::election::lease::Lease;
use crate::election::standing::Standing;
use crate::election::{Alarm, Leadership, Overrun, Shared, clock, runtime};
use crate::protocol::{Candidate, ElectionName, Input, LossReason, Step};
use crate::store::Identity;

/// An election that is held. Dropping it releases the election in the background.
pub(crate) struct Held {
    entry: Option<Arc<Entry>>,
    lease: Lease,
    /// Where the election thread looks for it.
    place: Option<Place>,
}

/// One election that is held, or was.
pub(super) struct Entry {
    client: Arc<Client>,
    name: ElectionName,
    identity: Arc<Identity>,
    custody: Custody<Direct, Leadership, Releases>,
}

/// What the caller keeps of it: nothing drives its candidate until its first heartbeat is due.
struct Direct {
    candidate: Box<Candidate>,
    lease: Lease,
    guarded: Option<Guarded>,
}

impl Held {
    /// Won by the election thread.
    pub(crate) fn led(client: Arc<Client>, leadership: Leadership) -> Self {
        let lease = leadership.lease().clone();
        let entry = Entry {
            name: leadership.election().clone(),
            identity: Arc::new(leadership.identity().clone()),
            custody: Custody::with_election_thread(leadership),
            client,
        };
        Self {
            entry: Some(Arc::new(entry)),
            lease,
            place: None,
        }
    }

    /// Won by the caller.
    pub(super) fn won(candidacy: Candidacy, lease: Lease) -> Self {
        let Candidacy {
            client,
            name,
            identity,
            candidate,
            ..
        } = candidacy;
        let setup = &client.setup;
        let guarded = (setup.overrun == Overrun::Kill)
            .then(|| guard::watch(&name, lease.clone(), setup.before_kill.clone()));
        let sent = lease.deadline().before(setup.timing.tenure());
        let due = sent + setup.timing.interval();
        let direct = Direct {
            candidate,
            lease: lease.clone(),
            guarded,
        };
        let entry = Arc::new(Entry {
            client,
            name,
            identity,
            custody: Custody::with_caller(direct),
        });
        let place = entry.client.due.add(due, Arc::clone(&entry));
        Self {
            entry: Some(entry),
            lease,
            place: Some(place),
        }
    }

    pub(crate) const fn lease(&self) -> &Lease {
        &self.lease
    }

    /// Whether it was won by the process that this one was forked from.
    pub(crate) fn is_forked(&self) -> bool {
        let entry = self.entry.as_ref();
        entry.is_some_and(|entry| entry.client.is_forked())
    }

    /// Releases the election, and waits for that, or until it is left to the election thread because a store has not
    /// confirmed it.
    pub(crate) async fn release(mut self) {
        match self.end() {
            Some(End::Resign(leadership)) => leadership.resign().await,
            Some(End::Release(departure)) => departure.run().await,
            None => {}
        }
    }

    fn end(&mut self) -> Option<End<Leadership, Departure>> {
        if self.is_forked() {
            // It is the parent's, whose locks another thread may have held at the fork.
            mem::forget(self.entry.take());
            return None;
        }
        let reason = unless_panicking(LossReason::Resigned);
        self.lease.end_work(reason);
        self.entry.take()?.end(self.place, reason)
    }
}

impl Drop for Held {
    fn drop(&mut self) {
        match self.end() {
            Some(End::Resign(leadership)) => drop(leadership),
            Some(End::Release(departure)) => departure.run_in_the_background(),
            None => {}
        }
    }
}

impl Entry {
    fn end(
        self: Arc<Self>,
        place: Option<Place>,
        reason: LossReason,
    ) -> Option<End<Leadership, Departure>> {
        let end = self.custody.end(|direct| {
            let Direct {
                mut candidate,
                guarded,
                ..
            } = direct;
            let step = candidate.handle(clock::now(), Input::WorkEnded(reason));
            let mut releases = Releases::default();
            releases.sent(&step.sends);
            self.client.setup.candidacy_begun();
            (releases.clone(), (candidate, step, releases, guarded))
        });
        Some(match end? {
            End::Resign(leadership) => End::Resign(leadership),
            End::Release((candidate, step, releases, guarded)) => {
                drop(guarded);
                End::Release(Departure {
                    candidate: Some(candidate),
                    step,
                    releases,
                    place,
                    entry: self,
                })
            }
        })
    }

    /// Releases what an attempt may have won, and what it has not confirmed.
    pub(super) fn abandon(candidacy: Candidacy, mut releases: Releases) {
        let Candidacy {
            client,
            name,
            identity,
            mut candidate,
            ..
        } = candidacy;
        let now = clock::now();
        let step = candidate.handle(now, Input::Resign(LossReason::Withdrawn));
        releases.sent(&step.sends);
        client.setup.candidacy_begun();
        let due = now + client.setup.timing.interval();
        let entry = Arc::new(Self {
            client,
            name,
            identity,
            custody: Custody::leaving(releases.clone()),
        });
        let place = entry.client.due.add(due, Arc::clone(&entry));
        let departure = Departure {
            entry,
            candidate: Some(candidate),
            step,
            releases,
            place: Some(place),
        };
        departure.run_in_the_background();
    }

    /// The election thread takes over: it keeps what is held, and releases what the caller's runtime has not.
    pub(super) fn fall_due(self: &Arc<Self>) {
        if let Some(releases) = self.custody.fall_due(|direct| self.adopt(direct)) {
            self.release_from_the_election_thread(releases);
        }
    }

    fn adopt(&self, direct: Direct) -> Leadership {
        let Direct {
            candidate,
            lease,
            guarded,
        } = direct;
        let setup = &self.client.setup;
        let shared = Arc::new(Shared::new(self.name.clone(), Arc::clone(setup)));
        let (commands, received) = mpsc::channel(COMMANDS);
        let (shown, standing) = watch::channel(Standing::Elected(lease.clone()));
        setup.candidacy_begun();
        let driver = Driver::of_elected(
            shared,
            (Arc::clone(&self.identity), *candidate),
            lease.clone(),
            (commands.downgrade(), received),
            shown,
        );
        let timer = Alarm::new().expect("the task that calls this has an alarm already");
        runtime::spawn_vital(driver.run(timer));
        let identity = Identity::clone(&self.identity);
        Leadership::new(
            self.name.clone(),
            identity,
            lease,
            commands,
            standing,
            guarded,
        )
    }

    fn release_from_the_election_thread(&self, mut releases: Releases) {
        let (setup, name) = (Arc::clone(&self.client.setup), self.name.clone());
        let identity = Arc::clone(&self.identity);
        runtime::handle().spawn(async move {
            late::attempt(&setup, &name, &identity, &mut releases).await;
            setup.candidacy_over();
            let kept = Arc::downgrade(&setup);
            drop(setup);
            late::release(kept, name, identity, releases).await;
        });
    }
}

/// A release on its way, over the caller's own connection. What is not confirmed when it is dropped is left to the
/// election thread.
struct Departure {
    entry: Arc<Entry>,
    candidate: Option<Box<Candidate>>,
    step: Step,
    releases: Releases,
    place: Option<Place>,
}

impl Departure {
    async fn run(mut self) {
        let Some((stores, candidate)) = self.entry.client.stores().zip(self.candidate.take())
        else {
            return self.run_elsewhere().await;
        };
        let mut candidacy = Candidacy {
            client: Arc::clone(&self.entry.client),
            name: self.entry.name.clone(),
            identity: Arc::clone(&self.entry.identity),
            stores,
            candidate,
        };
        let mut step = mem::take(&mut self.step);
        let mut answers = FuturesUnordered::new();
        loop {
            answers.extend(step.sends.into_iter().map(|sent| candidacy.ask(sent)));
            // What has failed is sent again by the election thread.
            let Some(answer) = answers.next().await else {
                break;
            };
            self.releases.answered(&answer, self.entry.identity.id());
            step = candidacy.take_in(answer);
            self.releases.sent(&step.sends);
        }
    }

    /// On the election thread: the caller has no runtime.
    async fn run_elsewhere(&mut self) {
        let (entry, mut releases) = (Arc::clone(&self.entry), self.releases.clone());
        let attempt = async move {
            let Entry {
                client,
                name,
                identity,
                ..
            } = &*entry;
            late::attempt(&client.setup, name, identity, &mut releases).await;
            releases
        };
        if let Ok(left) = runtime::handle().spawn(attempt).await {
            self.releases = left;
        }
    }

    fn run_in_the_background(self) {
        if let Ok(runtime) = Handle::try_current() {
            runtime.spawn(self.run());
        }
    }
}

impl Drop for Departure {
    fn drop(&mut self) {
        if let Some(place) = self.place.take() {
            self.entry.client.due.remove(place);
        }
        if !self.entry.custody.depart() {
            return;
        }
        let releases = mem::take(&mut self.releases);
        if releases.is_empty() {
            self.entry.client.setup.candidacy_over();
        } else {
            self.entry.release_from_the_election_thread(releases);
        }
    }
}

//! Whether all candidates use the same stores: majorities of two lists need not overlap.
//!
//! ```text
//!   a majority answers, another store answers, ten windows pass ──▶ read the candidates
//!   one publishes other stores ──▶ read them again each interval: does it show signs of life?
//!     before our first claim: it does            ──▶ we leave
//!     later:                  for a whole window ──▶ we leave a window after that
//! ```
//!
//! So a candidate that is started with the wrong stores leaves before it has claimed anything, and the others go
//! on. If two were elected while the stores that they share were away, both have found the other by the time that
//! one of them leaves. An entry that is left over, or was written by someone else, shows no signs of life. In SQLite
//! files signs of life are rarer, and a window counts as at least [`NOTED`].

use std::collections::{BTreeMap, BTreeSet};
use std::future::pending;
use std::sync::Arc;
use std::time::Duration;

use futures_util::FutureExt;
use futures_util::future::BoxFuture;

use super::link::Link;
use super::{CampaignError, Election, Observer, Shared};
use crate::observe::{CandidateView, Difference, ElectionView};
use crate::protocol::{
    Candidate, CandidateId, Input, LossReason, Role, Timestamp, Timing, WallMillis,
};
use crate::store::{Identity, Store, StoreError, StoreList};

/// How many windows pass between two comparisons while nothing happens.
const WINDOWS: u32 = 10;

/// How long a candidate that campaigns may show no sign of life in a file. Unless it polls less often than that, it is
/// noted there anew after five seconds, at its next poll.
const NOTED: Duration = Duration::from_secs(12);

/// How often a read that fails although the store answers is tried.
const ATTEMPTS: u32 = 3;

/// How many lists that are written differently are remembered.
const MOST_WRITTEN: usize = 1000;

impl Election {
    /// The list of stores that its candidates publish.
    #[must_use]
    pub fn store_list(&self) -> StoreList {
        self.shared.store_list()
    }

    /// The other candidate for which a campaign or a leadership of this process ended last, because it uses other
    /// stores: [`CampaignError::OtherStores`]. A leadership that ends so is lost with
    /// [`LossReason::OtherStores`](crate::protocol::LossReason::OtherStores).
    #[must_use]
    pub fn conflict(&self) -> Option<CampaignError> {
        self.shared.conflict.get()
    }
}

/// The comparison of our stores with those of the other candidates, for one candidacy.
pub(super) struct Agreement {
    shared: Arc<Shared>,
    me: CandidateId,
    ours: StoreList,
    every: Duration,
    /// Whether they were compared, so that this candidate may have won an election.
    compared: bool,
    /// Whether a candidate that uses other stores shows signs of life.
    in_doubt: bool,
    /// How many reads failed in a way that keeps no one from being elected.
    refused: u32,
    /// Which stores answered last.
    up: Vec<bool>,
    /// When one of them answered for the first time, or again.
    returned: Timestamp,
    /// When to read next.
    due: Timestamp,
    reading: Option<BoxFuture<'static, ElectionView>>,
    suspects: BTreeMap<CandidateId, Suspect>,
    /// The hosts that write a list differently, and whether it was seen to be the same stores there.
    written: BTreeMap<(String, StoreList), bool>,
    /// Why the candidacy ends, if another candidate uses other stores.
    pub(super) conflict: Option<CampaignError>,
}

/// A candidate that uses other stores.
struct Suspect {
    who: Identity,
    difference: Difference,
    since: Timestamp,
    /// When it last showed a sign of life, after that.
    alive: Timestamp,
    /// When each store last saw it.
    seen: BTreeMap<Arc<str>, WallMillis>,
    /// The longer window of the two: by then, a candidate that leaves by itself has left. It is at least as long as a
    /// store may take to show that another one campaigns.
    patience: Duration,
}

impl Agreement {
    pub(super) fn new(shared: &Arc<Shared>, me: &CandidateId, now: Timestamp) -> Self {
        let every = shared.timing.window() * WINDOWS;
        let before = shared.compared.get();
        Self {
            me: me.clone(),
            ours: shared.store_list(),
            every,
            compared: before.is_some_and(|before| now.since(before) < every),
            in_doubt: false,
            refused: 0,
            up: vec![false; shared.stores.len()],
            returned: now,
            due: now,
            reading: None,
            suspects: BTreeMap::new(),
            written: BTreeMap::new(),
            conflict: None,
            shared: Arc::clone(shared),
        }
    }

    /// Of a candidate that is elected already: it is compared with the others later, as after any other comparison.
    pub(super) fn of_elected(shared: &Arc<Shared>, me: &CandidateId, now: Timestamp) -> Self {
        let new = Self::new(shared, me, now);
        Self {
            due: now + new.every,
            up: vec![true; new.up.len()],
            ..new
        }
    }

    /// Whether this candidate may claim.
    pub(super) const fn allows_claims(&self) -> bool {
        self.compared && !self.in_doubt
    }

    /// Begins to read the candidates when that is due.
    pub(super) fn read_when_due(&mut self, now: Timestamp, role: Role, links: &[Link]) {
        let window = self.shared.timing.window();
        for (known, up) in self.up.iter_mut().zip(links.iter().map(Link::is_up)) {
            if up && !*known {
                // Not all standbys at once, and not before the others have found the store.
                let crowded = self.compared && role == Role::Standby;
                let wait = match crowded {
                    true => window.mul_f64(0.2 + 0.4 * fastrand::f64()),
                    false => Duration::ZERO,
                };
                self.due = self.due.min(now + wait);
                self.returned = now;
            }
            *known = up;
        }
        if now < self.due || self.reading.is_some() || !is_campaign(role) {
            return;
        }
        let stores = self.shared.stores.iter().zip(&self.up);
        let answering = stores.filter(|(_, up)| **up);
        let answering: Vec<Arc<dyn Store>> = answering.map(|(store, _)| store.clone()).collect();
        // The first comparison waits for every store that may show another candidate.
        let settled = self.compared || links.iter().all(Link::is_known);
        if !settled || answering.len() < self.shared.electorate.majority() {
            return;
        }
        self.due = now + self.every;
        let observer = Observer::of(&answering, self.shared.electorate);
        let name = self.shared.name.clone();
        self.reading = Some(async move { observer.look(name).await }.boxed());
    }

    /// What the stores answer; pending while nothing is being read.
    pub(super) async fn read(&mut self) -> ElectionView {
        let Some(reading) = &mut self.reading else {
            return pending().await;
        };
        let view = reading.await;
        self.reading = None;
        view
    }

    /// Takes in what the stores answered: it leaves, or may claim, or waits.
    pub(super) fn take_in(
        &mut self,
        now: Timestamp,
        view: ElectionView,
        candidate: &mut Candidate,
    ) -> Input {
        if !is_campaign(candidate.role()) {
            return Input::Tick;
        }
        if let Err(conflict) = self.compare(now, candidate.role(), view) {
            self.shared.conflict.set(Some(conflict.clone()));
            self.conflict = Some(conflict);
            return Input::Resign(LossReason::OtherStores);
        }
        candidate.hold_back(!self.allows_claims());
        Input::Tick
    }

    /// Compares them, and returns why this candidate must leave, if it must.
    fn compare(
        &mut self,
        now: Timestamp,
        role: Role,
        mut view: ElectionView,
    ) -> Result<(), CampaignError> {
        let soon = now + self.shared.timing.interval();
        // The others may need a while to find a store that is back.
        let settled = self.returned + self.shared.timing.window();
        if now < settled {
            let again = if role == Role::Leading { soon } else { settled };
            self.due = self.due.min(again);
        }
        if view.answers() < self.shared.electorate.majority() {
            if !self.compared {
                self.due = self.due.min(soon);
                self.count_refusal(&view);
            }
            return Ok(());
        }
        // A store that does not list us lists no one.
        view.stores.retain(|store| store.lists(&self.me));
        let mut listed = BTreeSet::new();
        for (one, difference) in view.other_stores(&self.ours) {
            if self.is_the_same(&view, &one, &difference) {
                self.suspects.remove(one.identity.id());
            } else {
                listed.insert(one.identity.id().clone());
                self.suspect(now, &view, one.identity, difference);
            }
        }
        let compared = self.compared;
        let mut suspects = self.suspects.values();
        if let Some(other) = suspects.find(|one| one.is_there(now, compared)) {
            return Err(self.conflict_with(other));
        }
        self.suspects
            .retain(|id, one| listed.contains(id) || now < one.alive + one.patience);
        let suspects = || self.suspects.values();
        self.in_doubt = suspects().any(|one| one.is_alive(now));
        self.compared |= suspects().all(|one| now >= one.since + one.patience);
        if suspects().any(|one| now < one.alive + one.patience * 2) {
            self.due = self.due.min(soon);
        }
        let compared = self.allows_claims().then_some(now);
        self.shared.compared.set(compared);
        Ok(())
    }

    /// While a store is unreachable no one is elected on it. Any other error may concern this read alone, which
    /// elections do not depend on.
    fn count_refusal(&mut self, view: &ElectionView) {
        let other = |error: &&StoreError| !matches!(error, StoreError::Unreachable { .. });
        let Some(error) = view.errors().find(other) else {
            return;
        };
        self.refused += 1;
        if self.refused == ATTEMPTS || error.is_hopeless() {
            tracing::warn!(
                %error,
                "cannot read the other candidates: make sure that all of them use the same stores"
            );
            self.compared = true;
        }
    }

    /// Whether a candidate only writes the addresses of our stores differently, or did when it could reach all of
    /// them.
    fn is_the_same(
        &mut self,
        view: &ElectionView,
        one: &CandidateView,
        difference: &Difference,
    ) -> bool {
        let who = &one.identity;
        let Some(theirs) = who.stores() else {
            return true;
        };
        let key = (who.host().to_owned(), theirs.clone());
        if *difference != Difference::Written {
            return self.written.get(&key).is_some_and(|same| *same);
        }
        if !self.written.contains_key(&key) {
            tracing::warn!(
                host = who.host(),
                pid = who.pid(),
                "a candidate writes the addresses of the stores differently: make sure that they are the same"
            );
            if self.written.len() == MOST_WRITTEN {
                self.written.clear();
            }
        }
        let all = view.stores.len() == self.shared.stores.len();
        let everywhere = all && view.stores.iter().all(|store| store.lists(who.id()));
        *self.written.entry(key).or_default() |= everywhere;
        true
    }

    fn suspect(
        &mut self,
        now: Timestamp,
        view: &ElectionView,
        who: Identity,
        difference: Difference,
    ) {
        let seen = view.stores.iter().filter_map(|store| {
            let at = store.seen(who.id())?;
            Some((Arc::clone(&store.store), at))
        });
        let seen: Vec<(Arc<str>, WallMillis)> = seen.collect();
        let window = self.shared.timing.window();
        let theirs = who.timing().map_or(window, Timing::window);
        let noted = match self
            .shared
            .stores
            .iter()
            .any(|store| store.is_of_one_host())
        {
            true => NOTED,
            false => Duration::ZERO,
        };
        let suspect = self.suspects.entry(who.id().clone());
        let suspect = suspect.or_insert_with(|| {
            tracing::warn!(
                host = who.host(),
                pid = who.pid(),
                "a candidate {difference}: checking whether it is alive"
            );
            Suspect {
                who,
                difference: difference.clone(),
                since: now,
                alive: now,
                seen: BTreeMap::new(),
                patience: theirs.clamp(window, self.every).max(noted),
            }
        });
        suspect.difference = difference;
        for (store, at) in seen {
            let before = suspect.seen.insert(store, at);
            // A time that does not move, such as one in the future, is no sign.
            if before.is_some_and(|before| before != at) {
                suspect.alive = now;
            }
        }
    }

    fn conflict_with(&self, other: &Suspect) -> CampaignError {
        let labels = self.shared.stores.iter().map(|store| store.label().into());
        CampaignError::OtherStores {
            election: self.shared.name.as_str().to_owned(),
            who: Box::new(other.who.clone()),
            difference: other.difference.clone(),
            ours: labels.collect(),
        }
    }
}

impl Suspect {
    /// Whether it has shown signs of life lately.
    fn is_alive(&self, now: Timestamp) -> bool {
        self.alive > self.since && now < self.alive + self.patience
    }

    /// Whether there is no doubt that it campaigns, so that we must leave. `compared` is whether we may have been
    /// elected.
    fn is_there(&self, now: Timestamp, compared: bool) -> bool {
        if !compared {
            return self.alive > self.since;
        }
        let stayed = self.since + self.patience;
        self.alive >= stayed && now >= stayed + self.patience
    }
}

/// Whether a candidate in this role may lead later, or does.
const fn is_campaign(role: Role) -> bool {
    match role {
        Role::Standby | Role::Claiming | Role::Probation | Role::Leading => true,
        Role::Draining | Role::Releasing | Role::Done => false,
    }
}

#[cfg(test)]
mod tests;

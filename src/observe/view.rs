//! One election as a majority of its stores shows it: their inspections, merged.
//!
//! The merge is a pure function, so what an operator reads can be tested as a table.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use crate::protocol::{
    Beat, CandidateId, ElectionName, Electorate, FencingToken, Handover, Occupancy, Pause, Record,
    Timing, WallMillis,
};
use crate::store::Identity;
use crate::store::{Inspection, StoreError};

/// One election, as its stores show it at one moment.
///
/// It is for people and for alarms. It decides nothing: by the time it is read, it is out of date.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct ElectionView {
    /// The election.
    pub election: ElectionName,
    /// The number of stores, and their majority.
    pub electorate: Electorate,
    /// What a majority of the stores agrees on.
    pub state: State,
    /// The pause that keeps candidates from being elected, as one of the stores shows it: too few of the stores that
    /// answer are without one.
    pub paused: Option<Pause>,
    /// The handover that a majority of the stores shows: the leader is asked to resign, or a successor is
    /// preferred.
    pub handover: Option<Handover>,
    /// The candidates, the leader first, then by id.
    pub candidates: Vec<CandidateView>,
    /// What each store said, in configuration order.
    pub stores: Vec<StoreView>,
}

/// What a majority of the stores agrees on.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum State {
    /// One candidate holds a majority under one term.
    Held(Holding),
    /// A program that speaks only the bare protocol holds a majority.
    Foreign {
        /// How long ago one of our candidates last changed the counter; `None` when that is not known.
        idle: Option<Duration>,
    },
    /// Not held: the last leader has released it.
    Vacant {
        /// The last term.
        term: FencingToken,
        /// When it was released, by the store's clock.
        since: Option<WallMillis>,
    },
    /// No store has a record of it: it was never held, or the stores have lost their data.
    Absent,
    /// A majority answers and does not agree: an election is in progress, or a store missed one.
    Divided,
    /// No majority of the stores answers.
    Unreachable,
    /// No majority of the stores grants access.
    Forbidden,
    /// No majority of the stores can be reached as configured.
    Misconfigured,
    /// No majority of the records can be read.
    Garbled,
}

impl State {
    /// The state in one word, as `-o json` and the metrics call it.
    #[must_use]
    pub const fn word(&self) -> &'static str {
        match self {
            Self::Held(_) => "held",
            Self::Foreign { .. } => "foreign",
            Self::Vacant { .. } => "vacant",
            Self::Absent => "absent",
            Self::Divided => "divided",
            Self::Unreachable => "unreachable",
            Self::Forbidden => "forbidden",
            Self::Misconfigured => "misconfigured",
            Self::Garbled => "garbled",
        }
    }

    /// The leadership, when one candidate holds a majority.
    #[must_use]
    pub const fn holding(&self) -> Option<&Holding> {
        match self {
            Self::Held(holding) => Some(holding),
            Self::Foreign { .. }
            | Self::Vacant { .. }
            | Self::Absent
            | Self::Divided
            | Self::Unreachable
            | Self::Forbidden
            | Self::Misconfigured
            | Self::Garbled => None,
        }
    }
}

/// A leadership, as its stores show it.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Holding {
    /// The id of the leader.
    pub holder: CandidateId,
    /// The identity of the leader, when a store knows it.
    pub identity: Option<Identity>,
    /// Its term, which is its fencing token.
    pub term: FencingToken,
    /// When it was claimed, by the store's clock. A leader acts after that, unless it waits out a probation
    /// first.
    pub since: Option<WallMillis>,
    /// How long ago that is, by the same clock.
    pub held_for: Option<Duration>,
    /// The highest heartbeat counter of the stores that it holds.
    pub beat: Beat,
    /// How long its counter must stall before anyone may take over, as it published it.
    pub window: Duration,
    /// How long ago it last beat, by the clock of the store with the latest heartbeat.
    pub beat_age: Option<Duration>,
    /// How many stores it holds.
    pub stores: usize,
    /// Whether it may still be waiting until the memories of a majority of the stores are as old as a probation.
    pub unproven: bool,
}

impl Holding {
    /// Whether the counter has stalled for longer than the window: a standby may take over.
    #[must_use]
    pub fn is_stalled(&self) -> bool {
        self.beat_age.is_some_and(|age| age > self.window)
    }

    /// How long the leader may still act at most if no further heartbeat comes: it counts from when it sent
    /// the last one, its stores from when it arrived.
    #[must_use]
    pub fn tenure_left(&self) -> Option<Duration> {
        Some(Timing::tenure_of(self.window).saturating_sub(self.beat_age?))
    }
}

/// A candidate that campaigns.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct CandidateView {
    /// Its identity.
    pub identity: Identity,
    /// How long ago a store last saw it, by that store's clock.
    pub age: Duration,
    /// Whether it leads.
    pub leads: bool,
}

/// What one store said.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct StoreView {
    /// The store's label.
    pub store: Arc<str>,
    /// What it said, or why it did not.
    pub inspection: Result<Inspection, StoreError>,
}

impl StoreView {
    /// What the store of this label said.
    #[must_use]
    pub fn new(store: &str, inspection: Result<Inspection, StoreError>) -> Self {
        Self {
            store: store.into(),
            inspection,
        }
    }
}

impl ElectionView {
    /// Merges what the stores of an electorate said.
    ///
    /// # Examples
    ///
    /// ```
    /// use incumbent::observe::{ElectionView, State};
    /// use incumbent::protocol::Electorate;
    ///
    /// let view = ElectionView::merge("billing".parse()?, Electorate::new(1)?, Vec::new());
    /// assert_eq!(view.state, State::Unreachable, "no store answered");
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[must_use]
    pub fn merge(election: ElectionName, electorate: Electorate, stores: Vec<StoreView>) -> Self {
        let state = agreed(electorate, &stores);
        let candidates = candidates(&stores, &state);
        let answers = || stores.iter().filter_map(|one| one.inspection.as_ref().ok());
        let pauses = answers().filter_map(|one| one.record.orders.paused.clone());
        let mut handovers = answers().filter_map(|one| one.record.handover().cloned());
        let needed = electorate.majority();
        let unpaused = answers().filter(|one| one.record.orders.paused.is_none());
        // A store that does not answer elects no one either.
        let paused = pauses.take(electorate.size() - needed + 1).last();
        let paused = paused.filter(|_| unpaused.count() < needed);
        let handover = handovers.nth(needed - 1);
        Self {
            paused,
            handover,
            election,
            electorate,
            state,
            candidates,
            stores,
        }
    }

    /// The leader, when one candidate holds a majority.
    #[must_use]
    pub const fn leader(&self) -> Option<&Holding> {
        self.state.holding()
    }

    /// The stores whose record has granted the highest term there is: no one can be elected after it.
    pub fn used_up(&self) -> impl Iterator<Item = &StoreView> {
        let used_up = |inspection: &Inspection| inspection.record.floor == FencingToken::MAX;
        let stores = self.stores.iter();
        stores.filter(move |one| one.inspection.as_ref().is_ok_and(used_up))
    }

    /// The errors of the stores that did not answer.
    pub fn errors(&self) -> impl Iterator<Item = &StoreError> {
        self.stores
            .iter()
            .filter_map(|store| store.inspection.as_ref().err())
    }
}

fn agreed(electorate: Electorate, stores: &[StoreView]) -> State {
    let answers: Vec<&Inspection> = stores
        .iter()
        .filter_map(|store| store.inspection.as_ref().ok())
        .collect();
    if answers.len() < electorate.majority() {
        return silence(stores);
    }
    let records: Vec<&Record> = answers.iter().map(|one| &one.record).collect();
    match electorate.holder(&records) {
        Some((Some(holder), term)) => {
            let held = |one: &&Inspection| one.record.is_held_by(holder, term);
            let held: Vec<&Inspection> = answers.iter().copied().filter(held).collect();
            return State::Held(held_by(holder, term, &held, electorate.majority()));
        }
        Some((None, _)) => {
            let idle = answers.iter().filter_map(|one| age(one)).min();
            return State::Foreign { idle };
        }
        None => {}
    }
    let absent = answers
        .iter()
        .filter(|one| one.record.occupancy == Occupancy::Absent);
    if absent.count() >= electorate.majority() {
        return State::Absent;
    }
    let last = answers.iter().max_by_key(|one| one.record.term);
    match last {
        Some(last) if electorate.is_free(&records, None) => State::Vacant {
            term: last.record.term,
            since: last.changed,
        },
        Some(_) | None => State::Divided,
    }
}

/// Why there is no majority of answers: the most common reason of the missing stores.
fn silence(stores: &[StoreView]) -> State {
    let count = |is: fn(&StoreError) -> bool| {
        let errors = stores
            .iter()
            .filter_map(|store| store.inspection.as_ref().err());
        errors.filter(|error| is(error)).count()
    };
    let denied = count(StoreError::is_denied);
    let misconfigured = count(StoreError::is_misconfigured);
    let garbled = count(StoreError::is_garbled);
    let silent = count(|error| !error.is_hopeless() && !error.is_garbled());
    if silent >= denied.max(misconfigured).max(garbled) {
        State::Unreachable
    } else if denied >= misconfigured.max(garbled) {
        State::Forbidden
    } else if misconfigured >= garbled {
        State::Misconfigured
    } else {
        State::Garbled
    }
}

/// What the stores that one candidate holds report about it.
fn held_by(
    holder: &CandidateId,
    term: FencingToken,
    held: &[&Inspection],
    majority: usize,
) -> Holding {
    // A leader that rejoined a store after a loss of its data is known there only since then; the term shows
    // when it was claimed.
    let claimed = term.claimed_at();
    let since = |one: &Inspection| {
        one.since
            .map(|at| claimed.map_or(at, |claimed| at.min(claimed)))
    };
    let proven = held.iter().filter(|one| !is_unproven(one, since(one)));
    Holding {
        holder: holder.clone(),
        identity: held.iter().find_map(|one| one.holder.clone()),
        term,
        since: held.iter().filter_map(|one| since(one)).min(),
        held_for: held
            .iter()
            .filter_map(|one| Some(between(since(one)?, one.clock)))
            .max(),
        beat: held
            .iter()
            .map(|one| one.record.beat)
            .max()
            .unwrap_or_default(),
        window: held
            .iter()
            .map(|one| one.record.window())
            .max()
            .unwrap_or_default(),
        beat_age: held.iter().filter_map(|one| age(one)).min(),
        stores: held.len(),
        unproven: proven.count() < majority,
    }
}

/// Whether the holder of a record, which claimed it at `since`, may not act yet: the store's memory is young, and
/// already was then.
fn is_unproven(held: &Inspection, since: Option<WallMillis>) -> bool {
    let timing = held.holder.as_ref().and_then(Identity::timing);
    let probation = timing.map_or(Duration::ZERO, Timing::probation);
    held.memory.is_none_or(|memory| {
        let young = memory.age < probation.max(held.record.window());
        young && since.is_none_or(|since| since >= memory.id.made)
    })
}

/// How long ago a record last changed, by its store's own clock: no two clocks are compared.
fn age(inspection: &Inspection) -> Option<Duration> {
    Some(between(inspection.changed?, inspection.clock))
}

fn candidates(stores: &[StoreView], state: &State) -> Vec<CandidateView> {
    let leader = state.holding().map(|holding| &holding.holder);
    let led = state.holding().map(|holding| holding.window);
    // Every candidate is seen within a window; a store remembers the others a little longer.
    let gone = |identity: &Identity| {
        let own = identity.timing().map(Timing::window);
        own.max(led)
            .map_or(Duration::MAX, |window| window.saturating_mul(2))
    };
    let mut seen: BTreeMap<&Identity, Duration> = BTreeMap::new();
    for answer in stores
        .iter()
        .filter_map(|store| store.inspection.as_ref().ok())
    {
        for listed in &answer.candidates {
            let age = between(listed.last_seen, answer.clock);
            let youngest = seen.entry(&listed.identity).or_insert(age);
            *youngest = age.min(*youngest);
        }
    }
    let mut candidates: Vec<CandidateView> = seen
        .into_iter()
        .filter(|(identity, age)| *age <= gone(identity) || leader == Some(identity.id()))
        .map(|(identity, age)| CandidateView {
            identity: identity.clone(),
            age,
            leads: leader == Some(identity.id()),
        })
        .collect();
    // The sort is stable: by id within each half.
    candidates.sort_by_key(|candidate| !candidate.leads);
    candidates
}

/// The time from one reading of a store's clock to a later one; zero when it has jumped back.
pub(super) const fn between(earlier: WallMillis, later: WallMillis) -> Duration {
    Duration::from_millis(later.get().saturating_sub(earlier.get()))
}

#[cfg(test)]
mod tests;

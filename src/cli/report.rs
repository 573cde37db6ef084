//! An election as `-o json` shows it, and as the text is written from: a schema that only grows within
//! its version.

use std::time::Duration;

use incumbent::observe::{Contender, ElectionView, State, StoreView};
use incumbent::protocol::{CandidateId, Identity, Occupancy, Record, WallMillis};
use incumbent::store::{Inspection, StoreError};
use serde::Serialize;

use super::exit::Exit;
use super::output::Tone;

/// One election. All times are milliseconds, and all ages are by the clock of the store that told them.
#[derive(Debug, Serialize)]
pub(crate) struct Report {
    /// Its name.
    pub(crate) election: String,
    /// How it stands: `held`, `foreign`, `vacant`, `absent`, `divided`, `unreachable`, `forbidden` or
    /// `garbled`.
    pub(crate) state: &'static str,
    /// Who holds it.
    pub(crate) holder: Option<Person>,
    /// The term of the holder, or of the last one. It is the fencing token.
    pub(crate) term: Option<u64>,
    /// The heartbeat counter.
    pub(crate) beat: Option<i64>,
    /// How long the counter must stand still before a takeover.
    pub(crate) window_ms: Option<u64>,
    /// When the holder was granted it, since the epoch.
    pub(crate) since_ms: Option<u64>,
    /// How long ago that is.
    pub(crate) held_for_ms: Option<u64>,
    /// How long ago the record last changed: a heartbeat, a claim or a release.
    pub(crate) changed_ago_ms: Option<u64>,
    /// Whether the counter has stood still for longer than the window.
    pub(crate) stalled: bool,
    /// Whether the holder may still be waiting out its probation.
    pub(crate) unproven: bool,
    /// Who campaigns, the leader first.
    pub(crate) candidates: Vec<Candidate>,
    /// What each store says, in the order of configuration.
    pub(crate) stores: Vec<StoreReport>,
}

/// A candidate, as it introduced itself.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct Person {
    /// The id of its candidacy.
    pub(crate) id: String,
    /// Its host, when a store knows it.
    pub(crate) host: Option<String>,
    /// Its process there.
    pub(crate) pid: Option<u32>,
    /// The version of incumbent it runs.
    pub(crate) version: Option<String>,
}

/// A candidate that campaigns.
#[derive(Debug, Serialize)]
pub(crate) struct Candidate {
    /// Who it is.
    #[serde(flatten)]
    pub(crate) person: Person,
    /// Whether it leads.
    pub(crate) leads: bool,
    /// How long ago a store last heard of it.
    pub(crate) seen_ago_ms: u64,
}

/// What one store says.
#[derive(Debug, Serialize)]
pub(crate) struct StoreReport {
    /// Its address, without secrets.
    pub(crate) store: String,
    /// How its record stands: `held`, `foreign`, `vacant` or `absent`; or why it did not tell:
    /// `unreachable`, `forbidden`, `garbled` or `unusable`.
    pub(crate) state: &'static str,
    /// Who holds its record.
    pub(crate) holder: Option<String>,
    /// The term of its record.
    pub(crate) term: Option<u64>,
    /// The counter of its record.
    pub(crate) beat: Option<i64>,
    /// How long ago its record last changed.
    pub(crate) changed_ago_ms: Option<u64>,
    /// Why it did not tell.
    pub(crate) error: Option<String>,
}

impl Report {
    /// Writes down what was seen.
    pub(crate) fn new(view: &ElectionView) -> Self {
        let leader = view.leader();
        let shown = shown(view);
        let since = leader.and_then(|leader| leader.since);
        let changed_ago = match &view.state {
            State::Held(holding) => holding.beat_age,
            State::Foreign { idle } => *idle,
            _ => shown.and_then(|one| ago(one, one.changed)),
        };
        Self {
            election: view.election.as_str().to_owned(),
            state: view.state.word(),
            holder: leader.map(|leader| person(&leader.holder, leader.identity.as_ref())),
            term: shown.map(|one| one.record.term.get()),
            beat: leader
                .map(|leader| leader.beat.get())
                .or_else(|| shown.map(|one| counter(&one.record))),
            window_ms: leader.map(|leader| millis(leader.window)),
            since_ms: since.map(WallMillis::get),
            held_for_ms: leader
                .and(shown)
                .and_then(|one| ago(one, one.since))
                .map(millis),
            changed_ago_ms: changed_ago.map(millis),
            stalled: leader.is_some_and(incumbent::observe::Holding::is_stalled),
            unproven: leader.is_some_and(|leader| leader.unproven),
            candidates: view.candidates.iter().map(Candidate::new).collect(),
            stores: view.stores.iter().map(StoreReport::new).collect(),
        }
    }
}

/// The record that stands for the others: of the holder, or else the one with the highest term.
fn shown(view: &ElectionView) -> Option<&Inspection> {
    let answers = view
        .stores
        .iter()
        .filter_map(|store| store.inspection.as_ref().ok());
    match &view.state {
        State::Held(holding) => {
            let same = answers.filter(|one| one.record.is_held_by(&holding.holder, holding.term));
            same.min_by_key(|one| one.since)
        }
        State::Foreign { .. } => {
            let foreign =
                answers.filter(|one| matches!(one.record.occupancy, Occupancy::Foreign { .. }));
            foreign.max_by_key(|one| counter(&one.record))
        }
        State::Vacant { .. } => answers.max_by_key(|one| one.record.term),
        _ => None,
    }
}

impl Candidate {
    fn new(contender: &Contender) -> Self {
        let identity = &contender.identity;
        Self {
            person: person(identity.id(), Some(identity)),
            leads: contender.leads,
            seen_ago_ms: millis(contender.age),
        }
    }
}

impl StoreReport {
    fn new(view: &StoreView) -> Self {
        let store = view.store.to_string();
        match &view.inspection {
            Ok(one) => {
                let known = one.record != Record::ABSENT;
                Self {
                    store,
                    state: record_state(&one.record),
                    holder: one.record.holder().map(|id| id.as_str().to_owned()),
                    term: known.then(|| one.record.term.get()),
                    beat: known.then(|| counter(&one.record)),
                    changed_ago_ms: ago(one, one.changed).map(millis),
                    error: None,
                }
            }
            Err(error) => Self {
                store,
                state: trouble(error),
                holder: None,
                term: None,
                beat: None,
                changed_ago_ms: None,
                error: Some(error.to_string()),
            },
        }
    }

    /// How it is shown.
    pub(crate) fn tone(&self) -> Tone {
        match self.state {
            _ if self.error.is_some() => Tone::Bad,
            "held" => Tone::Good,
            _ => Tone::Odd,
        }
    }
}

/// What `status` ends with.
pub(crate) fn exit(state: &State) -> Exit {
    match state {
        State::Held(_) | State::Foreign { .. } => Exit::Success,
        State::Vacant { .. } | State::Absent | State::Divided => Exit::NotHeld,
        State::Forbidden => Exit::Refused,
        _ => Exit::Unreachable,
    }
}

/// How a state is shown.
pub(crate) fn tone(state: &State) -> Tone {
    match state {
        State::Held(holding) if !holding.is_stalled() => Tone::Good,
        State::Held(_)
        | State::Foreign { .. }
        | State::Vacant { .. }
        | State::Absent
        | State::Divided => Tone::Odd,
        _ => Tone::Bad,
    }
}

/// The state of a store that could not be asked, in one word.
pub(crate) fn trouble(error: &StoreError) -> &'static str {
    match error {
        StoreError::Unreachable { .. } | StoreError::Unknown { .. } => "unreachable",
        StoreError::Denied { .. } => "forbidden",
        StoreError::Garbled { .. } => "garbled",
        _ => "unusable",
    }
}

fn record_state(record: &Record) -> &'static str {
    match record.occupancy {
        Occupancy::Absent => "absent",
        Occupancy::Vacant => "vacant",
        Occupancy::Held { .. } => "held",
        Occupancy::Foreign { .. } => "foreign",
    }
}

fn person(id: &CandidateId, identity: Option<&Identity>) -> Person {
    Person {
        id: id.as_str().to_owned(),
        host: identity.map(|identity| identity.host().to_owned()),
        pid: identity.map(Identity::pid),
        version: identity.map(|identity| identity.version().to_owned()),
    }
}

/// The counter that stands on the key: a foreign program's is not in the record.
fn counter(record: &Record) -> i64 {
    match record.occupancy {
        Occupancy::Foreign {
            counter: Some(counter),
            ..
        } => counter.get(),
        Occupancy::Foreign { counter: None, .. }
        | Occupancy::Absent
        | Occupancy::Vacant
        | Occupancy::Held { .. } => record.beat.get(),
    }
}

fn ago(one: &Inspection, at: Option<WallMillis>) -> Option<Duration> {
    let ago = one.clock.get().saturating_sub(at?.get());
    Some(Duration::from_millis(ago))
}

/// Whole milliseconds.
pub(crate) fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}

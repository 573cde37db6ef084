//! What programs read: the one schema behind `-o json` and behind the JSON of the HTTP server.
//!
//! Every document names its schema and version; within a version, fields are only added. All times are
//! milliseconds, since the epoch or as a duration, and all ages are by the clock of the store that reported
//! them. Unknown values are `null`.

mod order;
mod past;

use std::time::Duration;

use serde::Serialize;

use super::{Answers, CandidateView, ElectionView, State, StoreView};
use crate::protocol::{CandidateId, Electorate, FencingToken, Occupancy, Record, WallMillis};
use crate::store::{self, Inspection, StoreError, millis};

pub use order::{Followed, Handover, Ordered, Paused};
pub use past::{History, PastOrder, Term};

/// A document, with the schema it follows.
#[derive(Debug, Serialize)]
#[non_exhaustive]
pub struct Document<T> {
    /// Which schema, and which version of it.
    pub schema: &'static str,
    /// The document itself.
    #[serde(flatten)]
    pub content: T,
}

/// `incumbent.status.v1`: one election.
#[derive(Debug, Serialize)]
#[non_exhaustive]
pub struct Status {
    /// Its name.
    pub election: String,
    /// How many stores have to agree.
    pub majority: usize,
    /// Its state: `held`, `foreign`, `vacant`, `absent`, `divided`, `unreachable`, `forbidden`, `misconfigured` or
    /// `garbled`.
    pub state: &'static str,
    /// Its holder.
    pub holder: Option<Identity>,
    /// The term of the holder, or of the last one. It is the fencing token.
    pub term: Option<FencingToken>,
    /// The heartbeat counter.
    pub beat: Option<i64>,
    /// How long the counter must stall before a takeover.
    pub window_ms: Option<u64>,
    /// How long the leader may still act at most if no further heartbeat comes: it counts from when it sent
    /// the last one, which its stores do not know, and they count from when it arrived.
    pub tenure_left_ms: Option<u64>,
    /// When the holder was granted it, since the epoch.
    pub since_ms: Option<u64>,
    /// How long ago that is.
    pub held_for_ms: Option<u64>,
    /// How long ago the record last changed: a heartbeat, a claim or a release.
    pub changed_ago_ms: Option<u64>,
    /// Whether the counter has stalled for longer than the window.
    pub stalled: bool,
    /// Whether the holder may still be waiting out its probation.
    pub unproven: bool,
    /// The pause that keeps candidates from being elected.
    pub paused: Option<Paused>,
    /// The handover in progress: the leader is asked to resign, or a successor is preferred.
    pub handover: Option<Handover>,
    /// The candidates, the leader first.
    pub candidates: Vec<Candidate>,
    /// What each store says, in configuration order.
    pub stores: Vec<Store>,
}

/// The identity of a candidate or an operator.
#[derive(Clone, Debug, Serialize)]
#[non_exhaustive]
pub struct Identity {
    /// The id of its candidacy.
    pub id: String,
    /// Its host, when a store knows it.
    pub host: Option<String>,
    /// Its process id there.
    pub pid: Option<u32>,
    /// The version of incumbent that it runs.
    pub version: Option<String>,
}

/// A candidate that campaigns.
#[derive(Debug, Serialize)]
#[non_exhaustive]
pub struct Candidate {
    /// Its identity.
    #[serde(flatten)]
    pub identity: Identity,
    /// Whether it leads.
    pub leads: bool,
    /// How long ago a store last saw it.
    pub seen_ago_ms: u64,
    /// Its timing, if it publishes one.
    pub timing: Option<Timing>,
    /// What holds the processes of its program together, if it publishes that.
    pub containment: Option<String>,
    /// A digest of the address of each of its stores, if it publishes them: candidates of one election have
    /// the same ones, unless they write the addresses differently.
    pub store_digests: Option<Vec<String>>,
}

/// The timing of a candidate, with fractions where there are any.
#[derive(Debug, Serialize)]
#[non_exhaustive]
pub struct Timing {
    /// Time between two heartbeats, and between two polls.
    pub interval_ms: f64,
    /// How many polls a counter must stall.
    pub stall_polls: u32,
    /// `interval × stall_polls`.
    pub window_ms: f64,
    /// How long one request may take.
    pub op_timeout_ms: f64,
    /// How long before the end of its tenure a leader stops its work.
    pub stop_grace_ms: f64,
    /// How long it waits when the stores may have forgotten a leader.
    pub probation_ms: f64,
}

/// What one store says.
#[derive(Debug, Serialize)]
#[non_exhaustive]
pub struct Store {
    /// Its address, without secrets.
    pub store: String,
    /// The state of its record: `held`, `foreign`, `vacant` or `absent`; or why it did not answer:
    /// `unreachable`, `forbidden`, `misconfigured`, `garbled` or `unusable`.
    pub state: &'static str,
    /// The holder of its record.
    pub holder: Option<String>,
    /// The term of its record.
    pub term: Option<FencingToken>,
    /// The counter of its record.
    pub beat: Option<i64>,
    /// How long ago its record last changed.
    pub changed_ago_ms: Option<u64>,
    /// Why it did not answer.
    pub error: Option<String>,
}

/// `incumbent.candidates.v1`: the candidates of one election.
#[derive(Debug, Serialize)]
#[non_exhaustive]
pub struct Candidates {
    /// The election.
    pub election: String,
    /// The candidates, the leader first.
    pub candidates: Vec<Candidate>,
    /// The stores, with the error of each that has one.
    pub stores: Vec<StoreAnswer>,
}

/// `incumbent.list.v1`: all elections of the stores.
#[derive(Debug, Serialize)]
#[non_exhaustive]
pub struct List {
    /// How many stores have to agree.
    pub majority: usize,
    /// The elections, by name.
    pub elections: Vec<Status>,
    /// How many further elections are left out.
    pub omitted: usize,
    /// The stores, with the error of each that has one.
    pub stores: Vec<StoreAnswer>,
}

/// Whether a store answered.
#[derive(Debug, Serialize)]
#[non_exhaustive]
pub struct StoreAnswer {
    /// Its address, without secrets.
    pub store: String,
    /// `ok`; or why it did not answer, as in [`Store::state`].
    pub state: &'static str,
    /// The error of the store or the system.
    pub error: Option<String>,
}

impl From<&ElectionView> for Document<Status> {
    fn from(view: &ElectionView) -> Self {
        Self {
            schema: "incumbent.status.v1",
            content: Status::new(view),
        }
    }
}

impl From<&ElectionView> for Document<Candidates> {
    fn from(view: &ElectionView) -> Self {
        let stores = view
            .stores
            .iter()
            .map(|store| StoreAnswer::new(&store.store, store.inspection.as_ref().err()));
        Self {
            schema: "incumbent.candidates.v1",
            content: Candidates {
                election: view.election.as_str().to_owned(),
                candidates: view.candidates.iter().map(Candidate::new).collect(),
                stores: stores.collect(),
            },
        }
    }
}

impl Document<List> {
    /// A list of elections, without `omitted` further ones.
    #[must_use]
    pub fn list(
        electorate: Electorate,
        views: &[ElectionView],
        omitted: usize,
        stores: &Answers<()>,
    ) -> Self {
        Self {
            schema: "incumbent.list.v1",
            content: List {
                majority: electorate.majority(),
                elections: views.iter().map(Status::new).collect(),
                omitted,
                stores: store_answers(stores),
            },
        }
    }
}

fn store_answers(stores: &Answers<()>) -> Vec<StoreAnswer> {
    let asked = stores
        .iter()
        .map(|(store, answer)| StoreAnswer::new(store, answer.as_ref().err()));
    asked.collect()
}

impl StoreAnswer {
    fn new(store: &str, error: Option<&StoreError>) -> Self {
        Self {
            store: store.to_owned(),
            state: error.map_or("ok", trouble),
            error: error.map(ToString::to_string),
        }
    }
}

impl Status {
    /// The document of what was seen.
    #[must_use]
    pub fn new(view: &ElectionView) -> Self {
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
            majority: view.electorate.majority(),
            state: view.state.word(),
            holder: leader.map(|leader| identity_of(&leader.holder, leader.identity.as_ref())),
            // Without a holder by record there is no term.
            term: shown
                .map(|one| one.record.term)
                .filter(|term| *term > FencingToken::ZERO),
            beat: leader
                .map(|leader| leader.beat.get())
                .or_else(|| shown.map(|one| counter(&one.record))),
            window_ms: leader.map(|leader| millis(leader.window)),
            tenure_left_ms: leader
                .and_then(crate::observe::Holding::tenure_left)
                .map(millis),
            since_ms: since.map(WallMillis::get),
            held_for_ms: leader
                .and(shown)
                .and_then(|one| ago(one, one.since))
                .map(millis),
            changed_ago_ms: changed_ago.map(millis),
            stalled: leader.is_some_and(crate::observe::Holding::is_stalled),
            unproven: leader.is_some_and(|leader| leader.unproven),
            paused: view.paused.as_ref().map(Paused::new),
            handover: view.handover.as_ref().map(Handover::new),
            candidates: view.candidates.iter().map(Candidate::new).collect(),
            stores: view.stores.iter().map(Store::new).collect(),
        }
    }
}

/// The record that represents the others: the holder's, or else the one with the highest term.
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
    fn new(candidate: &CandidateView) -> Self {
        let identity = &candidate.identity;
        Self {
            identity: identity_of(identity.id(), Some(identity)),
            leads: candidate.leads,
            seen_ago_ms: millis(candidate.age),
            timing: identity.timing().map(Timing::new),
            containment: identity.containment().map(str::to_owned),
            store_digests: identity
                .stores()
                .map(|stores| stores.to_string().split('.').map(str::to_owned).collect()),
        }
    }
}

impl Timing {
    fn new(timing: &crate::protocol::Timing) -> Self {
        let ms = |duration: Duration| duration.as_secs_f64() * 1000.0;
        Self {
            interval_ms: ms(timing.interval()),
            stall_polls: timing.stall_polls(),
            window_ms: ms(timing.window()),
            op_timeout_ms: ms(timing.op_timeout()),
            stop_grace_ms: ms(timing.stop_grace()),
            probation_ms: ms(timing.probation()),
        }
    }
}

impl Store {
    fn new(view: &StoreView) -> Self {
        let store = view.store.to_string();
        match &view.inspection {
            Ok(one) => {
                let known = one.record != Record::ABSENT;
                Self {
                    store,
                    state: record_state(&one.record),
                    holder: one.record.holder().map(|id| id.as_str().to_owned()),
                    term: known.then_some(one.record.term),
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
}

/// The state of a store that could not be asked, in one word.
#[must_use]
pub fn trouble(error: &StoreError) -> &'static str {
    match error {
        StoreError::Unreachable { .. } | StoreError::Unknown { .. } => "unreachable",
        StoreError::Denied { .. } => "forbidden",
        StoreError::Misconfigured { .. } => "misconfigured",
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

fn identity_of(id: &CandidateId, identity: Option<&store::Identity>) -> Identity {
    Identity {
        id: id.as_str().to_owned(),
        host: identity.map(|identity| identity.host().to_owned()),
        pid: identity.map(store::Identity::pid),
        version: identity.map(|identity| identity.version().to_owned()),
    }
}

/// The counter on the key: a foreign program's is not in the record.
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

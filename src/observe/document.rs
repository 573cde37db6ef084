//! What is told to programs: the one schema behind `-o json` and behind the JSON of the HTTP server.
//!
//! Every document names its schema and version. A version is kept as long as fields are only added.
//! Times are milliseconds, since the epoch or as a duration; what is not known is `null`.

use std::time::Duration;

use serde::Serialize;

use super::{Contender, ElectionView, HistoryView, PastTerm, StoreView, Told};
use crate::protocol::{Identity, Occupancy, WallMillis};
use crate::store::{Change, StoreError};

/// A document, with the schema it follows.
#[derive(Debug, Serialize)]
pub struct Document<T> {
    /// Which schema, and which version of it.
    pub schema: &'static str,
    /// What it tells.
    #[serde(flatten)]
    pub content: T,
}

/// `incumbent.status.v1`: one election.
#[derive(Debug, Serialize)]
pub struct Status {
    /// Its name.
    pub election: String,
    /// How it stands: [`State::word`](super::State::word).
    pub state: &'static str,
    /// Who holds it.
    pub holder: Option<Person>,
    /// The term of the holder, or of the last one. It is the fencing token.
    pub term: Option<u64>,
    /// The heartbeat counter.
    pub beat: Option<i64>,
    /// How long ago the leader last beat, by the clock of a store.
    pub beat_age_ms: Option<u64>,
    /// Whether the counter has stood still for longer than the window.
    pub stalled: bool,
    /// How long the counter must stand still before a takeover.
    pub window_ms: Option<u64>,
    /// How long the leader may still act if no further heartbeat comes.
    pub tenure_left_ms: Option<u64>,
    /// When the holder was granted it, or when it was released, by the clock of a store.
    pub since_ms: Option<u64>,
    /// How long the holder has held it, by the same clock.
    pub held_for_ms: Option<u64>,
    /// Who campaigns, the leader first.
    pub candidates: Vec<Candidate>,
    /// How many stores have to agree.
    pub majority: usize,
    /// What each of them says.
    pub stores: Vec<Store>,
}

/// `incumbent.candidates.v1`: who campaigns for one election.
#[derive(Debug, Serialize)]
pub struct Candidates {
    /// The election.
    pub election: String,
    /// Who campaigns, the leader first.
    pub candidates: Vec<Candidate>,
    /// The stores, with what is wrong with one.
    pub stores: Vec<Asked>,
}

/// `incumbent.history.v1`: the last terms of one election, the newest first.
#[derive(Debug, Serialize)]
pub struct History {
    /// The election.
    pub election: String,
    /// Its terms.
    pub terms: Vec<Term>,
    /// The stores, with what is wrong with one.
    pub stores: Vec<Asked>,
}

/// `incumbent.list.v1`: all elections of the stores.
#[derive(Debug, Serialize)]
pub struct List {
    /// The elections, by name.
    pub elections: Vec<Status>,
    /// The stores, with what is wrong with one.
    pub stores: Vec<Asked>,
}

/// A candidate, as it introduced itself.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Person {
    /// The id of its candidacy.
    pub id: String,
    /// Its host; not known of a holder that left no introduction.
    pub host: Option<String>,
    /// Its process there.
    pub pid: Option<u32>,
    /// The version of incumbent it runs.
    pub version: Option<String>,
}

/// Somebody who campaigns.
#[derive(Debug, Serialize)]
pub struct Candidate {
    /// Who.
    #[serde(flatten)]
    pub person: Person,
    /// Whether it leads.
    pub leads: bool,
    /// How long ago a store last heard of it, by that store's clock.
    pub last_seen_ago_ms: u64,
}

/// One leadership.
#[derive(Debug, Serialize)]
pub struct Term {
    /// Its term, which was its fencing token.
    pub term: u64,
    /// Who led.
    pub holder: Person,
    /// When it began.
    pub from_ms: u64,
    /// When it was released.
    pub to_ms: Option<u64>,
    /// How it began: `absent`, `vacant`, `stalled`, `foreign` or `joined`, which is what its record was.
    pub began: &'static str,
    /// Why it ended: [`Ending::word`](super::Ending::word).
    pub ended: Option<&'static str>,
    /// How long nobody led before the next term.
    pub gap_ms: Option<u64>,
    /// How many stores told of it.
    pub stores: usize,
}

/// What one store says of one election.
#[derive(Debug, Serialize)]
pub struct Store {
    /// Its address, without secrets.
    pub store: String,
    /// How its record stands: `held`, `foreign`, `vacant`, `absent`, or `unknown` without an answer.
    pub state: &'static str,
    /// Who holds its record.
    pub holder: Option<String>,
    /// The term of its record.
    pub term: Option<u64>,
    /// The counter of its record.
    pub beat: Option<i64>,
    /// How long ago its record last changed.
    pub changed_ago_ms: Option<u64>,
    /// Why it did not answer.
    pub problem: Option<Problem>,
}

/// Whether a store answered.
#[derive(Debug, Serialize)]
pub struct Asked {
    /// Its address, without secrets.
    pub store: String,
    /// Why it did not answer.
    pub problem: Option<Problem>,
}

/// Why a store did not answer.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Problem {
    /// `unreachable`, `refused`, `garbled`, or `unusable`.
    pub kind: &'static str,
    /// What the store or the system said.
    pub message: String,
}

impl From<&ElectionView> for Document<Status> {
    fn from(view: &ElectionView) -> Self {
        Self {
            schema: "incumbent.status.v1",
            content: view.into(),
        }
    }
}

impl From<&ElectionView> for Document<Candidates> {
    fn from(view: &ElectionView) -> Self {
        Self {
            schema: "incumbent.candidates.v1",
            content: Candidates {
                election: view.election.as_str().to_owned(),
                candidates: view.candidates.iter().map(Candidate::from).collect(),
                stores: view
                    .stores
                    .iter()
                    .map(|store| Asked {
                        store: store.store.to_string(),
                        problem: store.inspection.as_ref().err().map(Problem::from),
                    })
                    .collect(),
            },
        }
    }
}

impl From<&HistoryView> for Document<History> {
    fn from(view: &HistoryView) -> Self {
        Self {
            schema: "incumbent.history.v1",
            content: History {
                election: view.election.as_str().to_owned(),
                terms: view.terms.iter().map(Term::from).collect(),
                stores: asked(&view.stores),
            },
        }
    }
}

impl Document<List> {
    /// A list of elections.
    #[must_use]
    pub fn list(views: &[ElectionView], stores: &Told<()>) -> Self {
        Self {
            schema: "incumbent.list.v1",
            content: List {
                elections: views.iter().map(Status::from).collect(),
                stores: asked(stores),
            },
        }
    }
}

fn asked(stores: &Told<()>) -> Vec<Asked> {
    let asked = stores.iter().map(|(store, told)| Asked {
        store: store.to_string(),
        problem: told.as_ref().err().map(Problem::from),
    });
    asked.collect()
}

impl From<&ElectionView> for Status {
    fn from(view: &ElectionView) -> Self {
        let holding = view.leader();
        let (last_term, vacant_since) = match &view.state {
            super::State::Vacant { term, since } => (Some(term.get()), *since),
            _ => (None, None),
        };
        let since = holding.and_then(|holding| holding.since).or(vacant_since);
        Self {
            election: view.election.as_str().to_owned(),
            state: view.state.word(),
            holder: holding.map(|holding| match &holding.identity {
                Some(identity) => identity.into(),
                None => Person {
                    id: holding.holder.as_str().to_owned(),
                    host: None,
                    pid: None,
                    version: None,
                },
            }),
            term: holding.map(|holding| holding.term.get()).or(last_term),
            beat: holding.map(|holding| holding.beat.get()),
            beat_age_ms: holding.and_then(|holding| holding.beat_age).map(millis),
            stalled: holding.is_some_and(super::Holding::is_stalled),
            window_ms: holding.map(|holding| millis(holding.window)),
            tenure_left_ms: holding.and_then(super::Holding::tenure_left).map(millis),
            since_ms: since.map(WallMillis::get),
            held_for_ms: holding.and_then(|holding| holding.held_for).map(millis),
            candidates: view.candidates.iter().map(Candidate::from).collect(),
            majority: view.electorate.majority(),
            stores: view.stores.iter().map(Store::from).collect(),
        }
    }
}

impl From<&Identity> for Person {
    fn from(identity: &Identity) -> Self {
        Self {
            id: identity.id().as_str().to_owned(),
            host: Some(identity.host().to_owned()),
            pid: Some(identity.pid()),
            version: Some(identity.version().to_owned()),
        }
    }
}

impl From<&Contender> for Candidate {
    fn from(contender: &Contender) -> Self {
        Self {
            person: (&contender.identity).into(),
            leads: contender.leads,
            last_seen_ago_ms: millis(contender.age),
        }
    }
}

impl From<&PastTerm> for Term {
    fn from(past: &PastTerm) -> Self {
        Self {
            term: past.term.get(),
            holder: (&past.holder).into(),
            from_ms: past.from.get(),
            to_ms: past.to.map(WallMillis::get),
            began: match past.began {
                Change::ClaimedAbsent => "absent",
                Change::ClaimedVacant | Change::Released => "vacant",
                Change::ClaimedStalled => "stalled",
                Change::ClaimedForeign => "foreign",
                Change::Joined => "joined",
            },
            ended: past.ended.map(super::Ending::word),
            gap_ms: past.gap.map(millis),
            stores: past.stores,
        }
    }
}

impl From<&StoreView> for Store {
    fn from(view: &StoreView) -> Self {
        let seen = view.inspection.as_ref().ok();
        let record = seen.map(|inspection| &inspection.record);
        let known = record.filter(|record| record.occupancy != Occupancy::Absent);
        Self {
            store: view.store.to_string(),
            state: record.map_or("unknown", |record| match record.occupancy {
                Occupancy::Absent => "absent",
                Occupancy::Vacant => "vacant",
                Occupancy::Held { .. } => "held",
                Occupancy::Foreign { .. } => "foreign",
            }),
            holder: known
                .and_then(|record| record.holder())
                .map(|id| id.as_str().to_owned()),
            term: known.map(|record| record.term.get()),
            beat: known.map(|record| match record.occupancy {
                // The counter that stands on the key: a foreign program's is not in the record.
                Occupancy::Foreign {
                    counter: Some(counter),
                    ..
                } => counter.get(),
                Occupancy::Foreign { counter: None, .. }
                | Occupancy::Absent
                | Occupancy::Vacant
                | Occupancy::Held { .. } => record.beat.get(),
            }),
            changed_ago_ms: seen.and_then(|inspection| {
                let changed = inspection.changed?;
                Some(inspection.clock.get().saturating_sub(changed.get()))
            }),
            problem: view.inspection.as_ref().err().map(Problem::from),
        }
    }
}

impl From<&StoreError> for Problem {
    fn from(error: &StoreError) -> Self {
        let kind = match error {
            StoreError::Unreachable { .. } | StoreError::Unknown { .. } => "unreachable",
            StoreError::Denied { .. } => "refused",
            StoreError::Garbled { .. } => "garbled",
            StoreError::Unwritable { .. } | StoreError::Unexpected { .. } => "unusable",
        };
        Self {
            kind,
            message: error.to_string(),
        }
    }
}

fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}

//! Why an operator order was not given, or does not count.

use std::fmt;
use std::sync::Arc;

use crate::observe::{Answers, State, pause_in_words};
use crate::protocol::{CandidateId, Pause, Verdict};
use crate::store::{Identity, Inspection, StoreError};

/// Why an order was not given.
#[derive(Clone, Debug, thiserror::Error)]
#[non_exhaustive]
pub enum OrderError {
    /// No candidate holds a majority of the stores, so there is none to resign or to depose.
    #[error("no one leads election {election:?}: it is {state}{}", beyond_orders(.state))]
    NotHeld {
        /// The election.
        election: String,
        /// Its state: [`State::word`].
        state: &'static str,
    },
    /// No majority of the stores could be read.
    #[error("no majority of the stores of election {election:?} can be read: {source}")]
    Unread {
        /// The election.
        election: String,
        /// The error of one of them.
        r#source: Box<StoreError>,
    },
    /// No other candidate has this name.
    #[error("no standby of election {election:?} is {name:?}: {}", standbys(.candidates))]
    UnknownSuccessor {
        /// The election.
        election: String,
        /// The name given.
        name: String,
        /// The standbys.
        candidates: Vec<Identity>,
    },
    /// The name is the label of several standbys, or the label of one and the host of another.
    #[error("{name:?} names {} standbys of election {election:?}: {}", .candidates.len(), standbys(.candidates))]
    AmbiguousSuccessor {
        /// The election.
        election: String,
        /// The name given.
        name: String,
        /// The standbys that it names.
        candidates: Vec<Identity>,
    },
    /// The holder's counter moves: it is alive.
    #[error(
        "election {election:?} stays held: the counter{} moves, so its holder is alive; ask it to resign instead",
        of(.holder)
    )]
    Alive {
        /// The election.
        election: String,
        /// The holder, when a majority names one.
        holder: Option<CandidateId>,
    },
    /// It cannot be forgotten yet.
    #[error("election {election:?} cannot be forgotten: on {store} it is {obstacle}")]
    InUse {
        /// The election.
        election: String,
        /// The store that shows why.
        store: Arc<str>,
        /// Why.
        obstacle: Obstacle,
    },
    /// Too few stores for a majority have carried it out, so it does not count. Those that did may keep it
    /// until the next order, or the next election.
    #[error("{} of the {majority} stores needed took the order for election {election:?}{}", granted(.stores), Missing(.stores))]
    NoMajority {
        /// The election.
        election: String,
        /// How many were needed.
        majority: usize,
        /// The outcome at each store.
        stores: Answers<Verdict>,
    },
}

impl OrderError {
    /// Whether the stores refuse access.
    #[must_use]
    pub fn is_denied(&self) -> bool {
        self.failed_with(StoreError::is_denied)
    }

    /// Whether the stores cannot be reached as they are configured.
    #[must_use]
    pub fn is_misconfigured(&self) -> bool {
        self.failed_with(StoreError::is_misconfigured)
    }

    /// Whether a store that answered did not carry it out.
    pub(super) fn is_refused(&self) -> bool {
        matches!(self, Self::NoMajority { stores, .. }
            if stores.iter().any(|(_, answer)| matches!(answer, Ok(Verdict::Refused))))
    }

    fn failed_with(&self, is: fn(&StoreError) -> bool) -> bool {
        match self {
            Self::Unread { source, .. } => is(source),
            Self::NoMajority { stores, .. } => stores
                .iter()
                .any(|(_, answer)| answer.as_ref().is_err_and(is)),
            Self::NotHeld { .. }
            | Self::UnknownSuccessor { .. }
            | Self::AmbiguousSuccessor { .. }
            | Self::Alive { .. }
            | Self::InUse { .. } => false,
        }
    }
}

/// Why an election cannot be forgotten, and what to do first.
#[derive(Clone, Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Obstacle {
    /// A store shows it held.
    #[error("held{}: ask the leader to resign first, or depose it if its heartbeat has stalled", by(.holder))]
    Held {
        /// The holder; none for a program that speaks only the bare protocol.
        holder: Option<CandidateId>,
    },
    /// It is paused.
    #[error("paused {}: resume it first", pause_in_words(.0))]
    Paused(Box<Pause>),
    /// A successor is preferred, and was not elected yet.
    #[error("kept for a successor that was asked for: let a leader be elected and resign first")]
    HandedOver,
    /// Its term or counter is more than a minute ahead of the store's clock, and would be lost.
    #[error("more than a minute ahead of the store's clock: wait until that has caught up")]
    Ahead,
}

impl Obstacle {
    pub(super) fn of(seen: &Inspection) -> Option<Self> {
        let record = &seen.record;
        if !record.is_free() {
            let holder = record.holder().cloned();
            return Some(Self::Held { holder });
        }
        if let Some(pause) = &record.orders.paused {
            return Some(Self::Paused(Box::new(pause.clone())));
        }
        if record.orders.handover.is_some() {
            return Some(Self::HandedOver);
        }
        record.is_ahead_of(seen.clock).then_some(Self::Ahead)
    }
}

/// How many stores have carried an order out.
pub(super) fn granted(stores: &Answers<Verdict>) -> usize {
    let granted = |answer: &Result<Verdict, StoreError>| matches!(answer, Ok(Verdict::Granted));
    stores.iter().filter(|(_, answer)| granted(answer)).count()
}

struct Missing<'a>(&'a Answers<Verdict>);

impl fmt::Display for Missing<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (store, answer) in self.0 {
            match answer {
                Ok(Verdict::Granted) => {}
                Ok(Verdict::Refused) => {
                    write!(
                        f,
                        "; {store}: refused because the record has changed meanwhile"
                    )?;
                }
                Err(error) => write!(f, "; {error}")?,
            }
        }
        Ok(())
    }
}

fn standbys(candidates: &[Identity]) -> String {
    if candidates.is_empty() {
        return "it has no standby".to_owned();
    }
    let named = candidates
        .iter()
        .map(|one| format!("{} on {}", one.id(), one.host()));
    format!("name one of {}", named.collect::<Vec<_>>().join(", "))
}

/// What else to say about a state in which there is a holder, but none that would obey.
fn beyond_orders(state: &str) -> &'static str {
    if state == (State::Foreign { idle: None }).word() {
        ", held by a program that speaks only the bare protocol and ignores orders"
    } else if state == State::Divided.word() {
        ", an election is in progress"
    } else {
        ""
    }
}

fn by(holder: &Option<CandidateId>) -> String {
    match holder {
        Some(holder) => format!(" by {holder}"),
        None => " by a program that speaks only the bare protocol".to_owned(),
    }
}

fn of(holder: &Option<CandidateId>) -> String {
    holder
        .as_ref()
        .map_or_else(String::new, |holder| format!(" of {holder}"))
}

//! The errors of an election: one type for each situation in which a caller decides something.

use std::sync::Arc;
use std::time::Duration;
use std::{fmt, io};

use super::OrderError;
use crate::observe::{Difference, pause_in_words};
use crate::protocol::{
    CandidateId, FencingToken, InvalidElectorate, InvalidText, InvalidTiming, LossReason, Pause,
};
use crate::store::{Identity, InvalidAddress, StoreError};

// A message that contains the source names the field `r#source`, so that `Error::source` returns nothing and a
// caller that prints the whole chain prints it once.

/// Why an election cannot be set up as configured.
#[derive(Clone, Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ConfigError {
    /// The name of the election.
    #[error(transparent)]
    Name(#[from] InvalidText),
    /// The label of the candidate.
    #[error("the candidate label {label:?} cannot be used: {source}")]
    Label {
        /// The label given.
        label: String,
        /// Which rule it breaks.
        r#source: InvalidText,
    },
    /// The address of a store.
    #[error(transparent)]
    Address(#[from] InvalidAddress),
    /// The timing.
    #[error(transparent)]
    Timing(#[from] InvalidTiming),
    /// The number of stores.
    #[error(transparent)]
    Electorate(#[from] InvalidElectorate),
    /// The number of seats.
    #[error("there cannot be {count} seats: give 1 to {most}", most = super::Seats::MOST)]
    Seats {
        /// The number given.
        count: u16,
    },
    /// The same store is named twice: a majority of the addresses might not be a majority of the stores.
    #[error("the store {store} is given twice: the stores must be independent")]
    SameStore {
        /// Its label.
        store: String,
    },
    /// A file is named beside a server: each host would count its own file, and two hosts could have a
    /// majority each.
    #[error(
        "{file} and {server} cannot form an electorate: a file is a store of one host, and every host would \
         count its own; give only servers, or only files"
    )]
    MixedHosts {
        /// The label of the file.
        file: String,
        /// The label of the server.
        server: String,
    },
}

/// Why a campaign did not end in a leadership.
#[derive(Clone, Debug, thiserror::Error)]
#[non_exhaustive]
pub enum CampaignError {
    /// Another candidate leads, and the campaign was not to wait.
    #[error("election {election:?} is held{}", by(.leader))]
    Held {
        /// The election.
        election: String,
        /// The leader, if known.
        leader: Option<(CandidateId, FencingToken)>,
    },
    /// The campaign has timed out.
    #[error("not elected in {election:?} within {waited:?}; it is held{}", by(.leader))]
    TimedOut {
        /// The election.
        election: String,
        /// How long it waited.
        waited: Duration,
        /// The leader, if known.
        leader: Option<(CandidateId, FencingToken)>,
    },
    /// The campaign has timed out, although no other candidate holds the election.
    #[error("not elected in {election:?} within {waited:?}; no other candidate holds it{}{}", but(.store), still(.probation))]
    NotYet {
        /// The election.
        election: String,
        /// How long it waited.
        waited: Duration,
        /// The probation that the candidate was waiting out, if any: a store is new or has
        /// restarted, and may have forgotten a leader. Wait longer than that.
        probation: Option<Duration>,
        /// The error of a store that could not be used at the end, if there is one.
        store: Option<Box<StoreError>>,
    },
    /// An operator has paused the election: no one is elected until the pause is lifted or ends.
    #[error("election {election:?} is paused {}", pause_in_words(.pause))]
    Paused {
        /// The election.
        election: String,
        /// Until when, by whose order, and why, as one of the stores shows it.
        pause: Box<Pause>,
    },
    /// The run of a tick could not be marked as such, so it must not happen: [`Election::campaign_once`]. Whether
    /// another process can run in this tick is unknown. The leadership was given up.
    ///
    /// [`Election::campaign_once`]: super::Election::campaign_once
    #[error(
        "won election {election:?}, but it is not certain that others would see it: {source}. Nothing was run, and \
         perhaps no one can run in this tick"
    )]
    Unmarked {
        /// The election.
        election: String,
        /// Why.
        r#source: Box<OrderError>,
    },
    /// A dead holder could not be replaced within a tick: [`Election::campaign_once`].
    ///
    /// [`Election::campaign_once`]: super::Election::campaign_once
    #[error(
        "{at_least:?} is too short for election {election:?}: it must be longer than a dead leader takes to be \
         replaced, which is {needed:?} with this timing; set a shorter failover time"
    )]
    TooShort {
        /// The election.
        election: String,
        /// The time between two runs that was asked for.
        at_least: Duration,
        /// What it must exceed.
        needed: Duration,
    },
    /// Too few stores answer for a majority, so no one can be elected.
    #[error("no majority of the stores of {election:?} can be used: {source}")]
    Unreachable {
        /// The election.
        election: String,
        /// The error of the last of them.
        r#source: Box<StoreError>,
    },
    /// A store has granted the highest term there is, so no later leader could have a higher token. Only a
    /// forged or damaged record gets there, and it has to be repaired.
    #[error(
        "no one can be elected in {election:?}: a record has the highest term there is, {max}; `incumbent \
         doctor {election}` prints the repair",
        max = FencingToken::MAX
    )]
    TermsUsedUp {
        /// The election.
        election: String,
    },
    /// The stores cannot be reached as they are configured, and never could.
    #[error("cannot use {election:?}: {source}")]
    Misconfigured {
        /// The election.
        election: String,
        /// The error of the store.
        r#source: Box<StoreError>,
    },
    /// Another candidate campaigns with another list of stores: both could lead.
    #[error(
        "cannot take part in {election:?}: {} pid {} {difference}, so two could lead. It uses {}; this \
         candidate uses {}. All candidates must use the same stores. To change them: stop every candidate on every \
         host, wait one window, then start them with the new stores",
        .who.host(), .who.pid(), theirs(.who, .ours), .ours.join(", ")
    )]
    OtherStores {
        /// The election.
        election: String,
        /// The other candidate.
        who: Box<Identity>,
        /// How its stores differ from ours.
        difference: Difference,
        /// Our stores. Those of the other candidate are digests in its identity.
        ours: Vec<Arc<str>>,
    },
    /// The system refuses the threads, the timers or the event loop of an election.
    #[error("this process cannot take part in {election:?}: {source}")]
    System {
        /// The election.
        election: String,
        /// The system's error.
        r#source: Arc<io::Error>,
    },
    /// The stores refuse us, and have never done otherwise.
    #[error(
        "cannot use {election:?}: {source}; check the user name, the password and the permissions: `incumbent doctor` tries them one by one"
    )]
    Denied {
        /// The election.
        election: String,
        /// The store's refusal.
        r#source: Box<StoreError>,
    },
}

impl CampaignError {
    /// Whether another candidate leads.
    #[must_use]
    pub const fn is_held(&self) -> bool {
        matches!(self, Self::Held { .. } | Self::TimedOut { .. })
    }

    /// Whether an operator has paused the election.
    #[must_use]
    pub const fn is_paused(&self) -> bool {
        matches!(self, Self::Paused { .. })
    }

    /// Whether another process runs or has run what this one wanted to run once, or an operator has paused it.
    #[must_use]
    pub const fn is_skipped(&self) -> bool {
        self.is_held() || self.is_paused()
    }

    /// Whether the stores refuse us, so that retrying without a change of configuration is pointless.
    #[must_use]
    pub const fn is_denied(&self) -> bool {
        matches!(self, Self::Denied { .. })
    }
}

/// The stores of a candidate, by address where it is one of ours.
fn theirs(who: &Identity, ours: &[Arc<str>]) -> String {
    let Some(theirs) = who.stores() else {
        return "unknown stores".to_owned();
    };
    let shared = ours.iter().filter(|store| theirs.names(store));
    let mut words: Vec<String> = shared.map(|store| store.to_string()).collect();
    match theirs.count().saturating_sub(words.len()) {
        0 => {}
        1 => words.push("1 other store".to_owned()),
        others => words.push(format!("{others} other stores")),
    }
    words.join(", ")
}

fn still(probation: &Option<Duration>) -> String {
    probation.map_or_else(String::new, |probation| {
        format!(
            ". The candidate was waiting {probation:?} before acting: a store is new or has restarted, and may \
             have lost a leader's record. Wait longer than that"
        )
    })
}

fn but(error: &Option<Box<StoreError>>) -> String {
    error
        .as_ref()
        .map_or_else(String::new, |error| format!("; {error}"))
}

fn by(leader: &Option<(CandidateId, FencingToken)>) -> String {
    match leader {
        Some((id, term)) => format!(" by {id} since term {term}"),
        None => String::new(),
    }
}

/// The leadership is over: another leader may act from now on.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the leadership of term {term} is over: {reason}")]
#[non_exhaustive]
pub struct Lost {
    /// The term that is over.
    pub term: FencingToken,
    /// Why.
    pub reason: LossReason,
}

/// Why `run_as_leader` did not end with the work, under the leadership.
#[derive(Clone, thiserror::Error)]
#[non_exhaustive]
pub enum RunError<T = ()> {
    /// The election cannot be set up as configured.
    #[error(transparent)]
    Config(#[from] ConfigError),
    /// There was no leadership.
    #[error(transparent)]
    Campaign(#[from] CampaignError),
    /// The leadership was lost, or asked to stop, before the work was done. The work has ended, or was dropped.
    #[error("{lost}")]
    Lost {
        /// Which leadership, and why.
        lost: Lost,
        /// What the work returned nevertheless; `None` when it was dropped. Another leader may have been acting
        /// when it finished.
        value: Option<T>,
    },
}

/// The value is left out, so it need not implement `Debug`.
impl<T> fmt::Debug for RunError<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Config(error) => f.debug_tuple("Config").field(error).finish(),
            Self::Campaign(error) => f.debug_tuple("Campaign").field(error).finish(),
            Self::Lost { lost, .. } => f.debug_tuple("Lost").field(lost).finish(),
        }
    }
}

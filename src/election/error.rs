//! The errors of an election, one type per situation in which a caller decides something.

use std::sync::Arc;
use std::time::Duration;
use std::{fmt, io};

use crate::observe::{Difference, pause_in_words};
use crate::protocol::{
    CandidateId, InvalidElectorate, InvalidId, InvalidName, InvalidTiming, LossReason, Pause, Term,
};
use crate::store::{Identity, InvalidAddress, StoreError};

// A message that contains the source names the field `r#source`: `Error::source` returns nothing then, and whoever
// prints the whole chain prints it once.

/// Why an election cannot be set up as configured.
#[derive(Clone, Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ConfigError {
    /// The name of the election.
    #[error(transparent)]
    Name(#[from] InvalidName),
    /// The label of the candidate.
    #[error("the candidate label {label:?} cannot be used: {source}")]
    Label {
        /// The label given.
        label: String,
        /// What is wrong with it.
        r#source: InvalidId,
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
    /// The same store is named twice: a majority of the addresses would be no majority of stores.
    #[error("the store {store} is given twice: the stores of an electorate must be independent")]
    SameStore {
        /// Its label.
        store: String,
    },
    /// A file is named beside a server: each host would count its own file, and two of them could have a
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
    /// Somebody else leads, and the campaign was not to wait.
    #[error("election {election:?} is held{}", by(.leader))]
    Held {
        /// The election.
        election: String,
        /// Who leads, when that is known.
        leader: Option<(CandidateId, Term)>,
    },
    /// The time given to the campaign is over.
    #[error("not elected in {election:?} within {waited:?}; it is held{}", by(.leader))]
    TimedOut {
        /// The election.
        election: String,
        /// How long it waited.
        waited: Duration,
        /// Who leads, when that is known.
        leader: Option<(CandidateId, Term)>,
    },
    /// The time given to the campaign is over, and nobody else holds the election.
    #[error("not elected in {election:?} within {waited:?}; nobody else holds it{}", still(.probation))]
    NotYet {
        /// The election.
        election: String,
        /// How long it waited.
        waited: Duration,
        /// The probation that the candidate was waiting out, if it was: a store has no record of the
        /// election, and may have forgotten a leader. A wait must be longer than that.
        probation: Option<Duration>,
    },
    /// An operator has paused the election: nobody is elected until the pause is lifted, or over.
    #[error("election {election:?} is paused {}", pause_in_words(.pause))]
    Paused {
        /// The election.
        election: String,
        /// Until when, by whose order, and why, as one of the stores shows it.
        pause: Box<Pause>,
    },
    /// So many stores do not answer that nobody can be elected.
    #[error("no majority of the stores of election {election:?} can be used: {source}")]
    Unreachable {
        /// The election.
        election: String,
        /// What the last of them failed with.
        r#source: Box<StoreError>,
    },
    /// A store has granted the highest term there is, so no later leader could have a higher token. Only a
    /// forged or damaged record gets there, and it has to be repaired.
    #[error(
        "nobody can be elected in {election:?}: a record has the highest term there is, {max}; `incumbent \
         doctor {election}` tells how to repair it",
        max = Term::MAX
    )]
    TermsUsedUp {
        /// The election.
        election: String,
    },
    /// The stores cannot be reached as they are configured, and never could.
    #[error("election {election:?} cannot be entered: {source}")]
    Misconfigured {
        /// The election.
        election: String,
        /// What is wrong.
        r#source: Box<StoreError>,
    },
    /// Somebody campaigns with another list of stores: both could lead.
    #[error(
        "election {election:?} cannot be entered: {} pid {} {difference}, so two could lead. All candidates must \
         use the same stores. To change them: stop every candidate on every host, wait one window, then start \
         them with the new stores",
        .who.host(), .who.pid()
    )]
    OtherStores {
        /// The election.
        election: String,
        /// Who.
        who: Box<Identity>,
        /// How its stores differ from ours.
        difference: Difference,
    },
    /// The system refuses the threads, the timers or the event loop of an election.
    #[error("this process cannot take part in election {election:?}: {source}")]
    System {
        /// The election.
        election: String,
        /// What the system said.
        r#source: Arc<io::Error>,
    },
    /// The stores refuse us, and have never done otherwise.
    #[error(
        "election {election:?} cannot be entered: {source}; check the user name, the password and the permissions, which `incumbent doctor` tries one by one"
    )]
    Denied {
        /// The election.
        election: String,
        /// What the store said.
        r#source: Box<StoreError>,
    },
}

impl CampaignError {
    /// Whether somebody else leads.
    #[must_use]
    pub const fn is_held(&self) -> bool {
        matches!(self, Self::Held { .. } | Self::TimedOut { .. })
    }

    /// Whether an operator has paused the election.
    #[must_use]
    pub const fn is_paused(&self) -> bool {
        matches!(self, Self::Paused { .. })
    }

    /// Whether the stores refuse us, so that trying again without a change of configuration is in vain.
    #[must_use]
    pub const fn is_denied(&self) -> bool {
        matches!(self, Self::Denied { .. })
    }
}

fn still(probation: &Option<Duration>) -> String {
    probation.map_or_else(String::new, |probation| {
        format!(
            ". The candidate was waiting {probation:?} before acting: a store has no record of this election and \
             may have lost a leader's. Wait longer than that"
        )
    })
}

fn by(leader: &Option<(CandidateId, Term)>) -> String {
    match leader {
        Some((id, term)) => format!(" by {id} since term {term}"),
        None => " by somebody else".to_owned(),
    }
}

/// The leadership is over: whatever the work does from here on, another leader may be doing too.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the leadership of term {term} is over: {reason}")]
pub struct Lost {
    /// The term that is over.
    pub term: Term,
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
    /// The leadership was lost, or told to stop, before the work was done. The work has ended, or was dropped.
    #[error("{lost}")]
    Lost {
        /// Which leadership, and why.
        lost: Lost,
        /// What the work returned all the same; `None` when it was dropped. Another leader may have been at work
        /// when it was finished.
        value: Option<T>,
    },
}

/// The value is left out, so it need not have a `Debug`.
impl<T> fmt::Debug for RunError<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Config(error) => f.debug_tuple("Config").field(error).finish(),
            Self::Campaign(error) => f.debug_tuple("Campaign").field(error).finish(),
            Self::Lost { lost, .. } => f.debug_tuple("Lost").field(lost).finish(),
        }
    }
}

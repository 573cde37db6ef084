//! Campaigning: waiting, not waiting, and waiting for a while.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{mpsc, watch};

use super::driver::Driver;
use super::runtime::AbortOnDrop;
use super::standing::{Command, Standing};
use super::{Alarm, CampaignError, Election, Leadership, Overrun, guard, runtime};
use crate::protocol::{CandidateId, Prospect};
use crate::store::Identity;
use crate::store::StoreError;

/// How many commands may wait in a candidacy's queue. There are only two to give, and one more of either changes nothing.
pub(super) const COMMANDS: usize = 4;

/// How long a campaign waits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Patience {
    /// Until it is elected.
    Endless,
    /// Until it is clear that another candidate leads, or that no one can.
    None,
    /// Until the election is paused.
    UnlessPaused,
}

impl Election {
    /// Campaigns until elected, however long that takes, store outages included.
    ///
    /// Dropping the future leaves the election.
    ///
    /// **The process is killed by SIGKILL when the [`Leadership`] outlives its deadline**: work that goes on would
    /// act beside the next leader. Drop it, or end the work, when [`Lease::lost`](super::Lease::lost) returns.
    /// [`ElectionBuilder::overrun`](super::ElectionBuilder::overrun) opts out, and
    /// [`ElectionBuilder::before_kill`](super::ElectionBuilder::before_kill) sets a hook that runs first.
    ///
    /// # Errors
    ///
    /// [`CampaignError::Denied`] when the stores refuse us from the start, [`CampaignError::OtherStores`] when another
    /// candidate uses other stores, [`CampaignError::System`] when the system refuses the threads of an election.
    pub async fn campaign(&self) -> Result<Leadership, CampaignError> {
        self.enter()?.elected(Patience::Endless).await
    }

    /// Campaigns only if no one leads: it returns as soon as it is clear that another candidate does.
    ///
    /// On a store that may have forgotten a leader it waits out the probation first, because until then it
    /// cannot know whether there is one.
    ///
    /// # Errors
    ///
    /// [`CampaignError::Held`] when another candidate leads, [`CampaignError::Paused`] when an operator has paused
    /// the election, [`CampaignError::Unreachable`] when no majority of the stores answers,
    /// [`CampaignError::Denied`] when they refuse us, [`CampaignError::OtherStores`] when another candidate uses other
    /// stores, [`CampaignError::TermsUsedUp`] when a record has the highest term there is.
    pub async fn try_campaign(&self) -> Result<Leadership, CampaignError> {
        self.enter()?.elected(Patience::None).await
    }

    /// Campaigns for at most `wait`.
    ///
    /// # Errors
    ///
    /// At the end of the wait: [`CampaignError::TimedOut`] when another candidate holds the election,
    /// [`CampaignError::NotYet`] when none does, as on a new name of a Redis with a `wait` shorter than the
    /// probation, [`CampaignError::Paused`] when the election is paused, [`CampaignError::Unreachable`] when no
    /// majority of the stores answers. At any time: [`CampaignError::Denied`] when they refuse us from the start,
    /// [`CampaignError::OtherStores`] when another candidate uses other stores, [`CampaignError::TermsUsedUp`] when a
    /// record has the highest term there is.
    pub async fn campaign_timeout(&self, wait: Duration) -> Result<Leadership, CampaignError> {
        self.campaign_within(wait, wait).await
    }

    /// Campaigns for what is left of a wait.
    pub(super) async fn campaign_within(
        &self,
        left: Duration,
        wait: Duration,
    ) -> Result<Leadership, CampaignError> {
        let mut candidacy = self.enter()?;
        let elected = candidacy.elected(Patience::Endless);
        match timeout(left, elected).await {
            Some(outcome) => outcome,
            None => Err(candidacy.timed_out(wait)),
        }
    }

    /// Campaigns for at most `wait`, and ends early when the election is paused. The wait is longer while the
    /// candidate itself holds the election, on probation.
    pub(super) async fn campaign_unless_paused(
        &self,
        wait: Duration,
    ) -> Result<Leadership, CampaignError> {
        let mut candidacy = self.enter()?;
        let longer = self.timing().probation() + self.timing().interval();
        for wait in [wait, longer] {
            let elected = candidacy.elected(Patience::UnlessPaused);
            if let Some(outcome) = timeout(wait, elected).await {
                return outcome;
            }
            if !matches!(*candidacy.standing.borrow(), Standing::Probation { .. }) {
                break;
            }
        }
        Err(candidacy.timed_out(wait))
    }

    /// Starts what every election of this process needs.
    pub(super) fn start(&self) -> Result<(), CampaignError> {
        let started = runtime::start().and_then(|()| match self.shared.overrun {
            Overrun::Kill => guard::start(),
            Overrun::Report => Ok(()),
        });
        started.map_err(|source| self.no_room(source))
    }

    pub(crate) fn no_room(&self, source: io::Error) -> CampaignError {
        CampaignError::System {
            election: self.shared.name.as_str().to_owned(),
            source: Arc::new(source),
        }
    }

    /// Campaigns until elected, or until `shutdown` is ready: then it leaves the stores, and returns `None`.
    pub(super) async fn campaign_until(
        &self,
        shutdown: impl Future,
    ) -> Result<Option<Leadership>, CampaignError> {
        let mut candidacy = self.enter()?;
        tokio::select! {
            biased;
            _ = shutdown => {}
            elected = candidacy.elected(Patience::Endless) => return elected.map(Some),
        }
        candidacy.leave().await;
        Ok(None)
    }

    fn enter(&self) -> Result<Candidacy, CampaignError> {
        self.start()?;
        let timer = Alarm::new().map_err(|source| self.no_room(source))?;
        let identity = self.new_identity();
        let (commands, received) = mpsc::channel(COMMANDS);
        let (shown, standing) = watch::channel(Standing::START);
        self.shared.candidacy_begun();
        let driver = Driver::new(
            self.shared.clone(),
            identity.clone(),
            (commands.downgrade(), received),
            shown,
        );
        runtime::spawn_vital(driver.run(timer));
        Ok(Candidacy {
            election: self.clone(),
            identity,
            commands: Some(commands),
            standing,
        })
    }

    /// The operator of orders given in the name of this process.
    pub(super) fn operator_identity(&self) -> Identity {
        self.shared.operator_identity()
    }

    /// An identity that no candidacy had before: the label and 64 random bits.
    fn new_identity(&self) -> Identity {
        let random = uuid::Uuid::new_v4().as_u64_pair().0;
        let id = CandidateId::numbered(&self.shared.label, random);
        let id = id.expect("the label was checked when it was given");
        self.shared.identity().with_id(id)
    }
}

/// A campaign in progress. Dropping it leaves the election.
struct Candidacy {
    election: Election,
    identity: Identity,
    commands: Option<mpsc::Sender<Command>>,
    standing: watch::Receiver<Standing>,
}

impl Candidacy {
    /// Leaves the election, and waits until what it held is released, or until twice `op_timeout` has
    /// passed without confirmation.
    async fn leave(mut self) {
        drop(self.commands.take());
        let over = |standing: &Standing| matches!(standing, Standing::Over(_));
        if self.standing.wait_for(over).await.is_err() {
            tracing::debug!("the driver of the candidacy is gone");
        }
    }

    fn refused(&self, source: StoreError) -> CampaignError {
        let (election, source) = (self.name(), Box::new(source));
        if source.is_misconfigured() {
            CampaignError::Misconfigured { election, source }
        } else {
            CampaignError::Denied { election, source }
        }
    }

    async fn elected(&mut self, patience: Patience) -> Result<Leadership, CampaignError> {
        loop {
            let standing = self.standing.borrow_and_update().clone();
            if patience == Patience::None
                && let Some(obstacle) = self.obstacle(&standing)
            {
                return Err(obstacle);
            }
            match standing {
                Standing::Elected(lease) => {
                    let commands = self.commands.take();
                    let commands = commands.expect("a candidacy is elected once");
                    let overrun = self.election.shared.overrun;
                    let guarded = (overrun == Overrun::Kill).then(|| {
                        let hook = self.election.shared.before_kill.clone();
                        guard::watch(self.election.name(), lease.clone(), hook)
                    });
                    return Ok(Leadership::new(
                        self.election.name().clone(),
                        self.identity.clone(),
                        lease,
                        commands,
                        self.standing.clone(),
                        guarded,
                    ));
                }
                Standing::Refused(source) => return Err(self.refused(source)),
                Standing::Campaigning {
                    paused: Some(pause),
                    ..
                } if patience == Patience::UnlessPaused => {
                    let (election, pause) = (self.name(), Box::new(pause));
                    return Err(CampaignError::Paused { election, pause });
                }
                Standing::Campaigning {
                    prospect: Prospect::Held,
                    leader,
                    ..
                } if patience == Patience::None => {
                    return Err(CampaignError::Held {
                        election: self.name(),
                        leader,
                    });
                }
                Standing::Over(Some(conflict)) => return Err(conflict),
                Standing::Campaigning { .. }
                | Standing::Probation { .. }
                | Standing::Over(None) => {}
            }
            if self.standing.changed().await.is_err() {
                // The driver ends only after it was asked to, and only this code could have asked it.
                unreachable!("a candidacy ended while its campaign was waiting");
            }
        }
    }

    /// Why no one can be elected at present, if that is so.
    fn obstacle(&self, standing: &Standing) -> Option<CampaignError> {
        let election = self.name();
        match standing.clone() {
            Standing::Refused(source) => Some(self.refused(source)),
            Standing::Campaigning {
                prospect: Prospect::Paused,
                paused: Some(pause),
                ..
            } => Some(CampaignError::Paused {
                election,
                pause: Box::new(pause),
            }),
            Standing::Campaigning {
                prospect: Prospect::Unreachable,
                error: Some(source),
                ..
            } => Some(CampaignError::Unreachable {
                election,
                source: Box::new(source),
            }),
            Standing::Campaigning {
                prospect: Prospect::TermsUsedUp,
                ..
            } => Some(CampaignError::TermsUsedUp { election }),
            Standing::Campaigning { .. }
            | Standing::Probation { .. }
            | Standing::Elected(_)
            | Standing::Over(_) => None,
        }
    }

    fn timed_out(&self, waited: Duration) -> CampaignError {
        let (election, standing) = (self.name(), self.standing.borrow().clone());
        if let Standing::Campaigning {
            paused: Some(pause),
            ..
        } = standing
        {
            let pause = Box::new(pause);
            return CampaignError::Paused { election, pause };
        }
        if let Some(obstacle) = self.obstacle(&standing) {
            return obstacle;
        }
        if let Standing::Over(Some(conflict)) = standing {
            return conflict;
        }
        let probation = self.election.shared.timing.probation();
        match standing {
            Standing::Campaigning {
                prospect, leader, ..
            } if prospect == Prospect::Held
                || (leader.is_some() && prospect != Prospect::Unreachable) =>
            {
                CampaignError::TimedOut {
                    election,
                    waited,
                    leader,
                }
            }
            Standing::Probation { error } => CampaignError::NotYet {
                election,
                waited,
                probation: Some(probation),
                store: error.map(Box::new),
            },
            Standing::Campaigning { error, .. } => CampaignError::NotYet {
                election,
                waited,
                probation: None,
                store: error.map(Box::new),
            },
            Standing::Refused(_) | Standing::Elected(_) | Standing::Over(_) => {
                CampaignError::NotYet {
                    election,
                    waited,
                    probation: None,
                    store: None,
                }
            }
        }
    }

    fn name(&self) -> String {
        self.election.shared.name.as_str().to_owned()
    }
}

/// `tokio::time::timeout` on the runtime of the elections, so that the caller needs no timer.
pub(super) async fn timeout<F: Future>(wait: Duration, future: F) -> Option<F::Output> {
    let timer = runtime::handle().spawn(async move { tokio::time::sleep(wait).await });
    let _ended_too = AbortOnDrop(timer.abort_handle());
    tokio::select! {
        biased;
        output = future => Some(output),
        _ = timer => None,
    }
}

//! The claim on the caller's runtime.

use std::mem;
use std::sync::Arc;

use futures_util::future::BoxFuture;
use futures_util::stream::{FuturesUnordered, StreamExt};

use super::held::{Entry, Held};
use super::{Client, Stores};
use crate::election::late::Releases;
use crate::election::lease::Lease;
use crate::election::links::Answer;
use crate::election::tracker::Tracker;
use crate::election::{clock, memories};
use crate::protocol::{
    Candidate, CandidateConfig, CandidateId, ElectionName, Event, FencingToken, HostName, Input,
    Opening, Outgoing, Prospect, Record, Request, Step, Timestamp,
};
use crate::store::Identity;

/// How many times a claim is repeated because the record was free, but not as expected.
const CLAIMS: usize = 4;

/// The holder of an election that could not be won.
type Leader = Option<(CandidateId, FencingToken)>;

/// A candidate that is driven by the caller.
pub(super) struct Candidacy {
    pub(super) client: Arc<Client>,
    pub(super) name: ElectionName,
    pub(super) identity: Arc<Identity>,
    pub(super) stores: Stores,
    pub(super) candidate: Box<Candidate>,
}

impl Candidacy {
    /// Sends a request over the caller's own connection.
    pub(super) fn ask(&self, outgoing: Outgoing) -> BoxFuture<'static, Answer> {
        let (stores, name) = (Arc::clone(&self.stores), self.name.clone());
        let identity = Arc::clone(&self.identity);
        Box::pin(async move {
            let store = &stores[outgoing.store.get()];
            let result = store.execute(&name, &identity, &outgoing.request).await;
            Answer {
                store: outgoing.store,
                id: outgoing.id,
                changes: true,
                result,
                beat: None,
                releases: matches!(outgoing.request, Request::Release { .. }),
            }
        })
    }

    pub(super) fn take_in(&mut self, answer: Answer) -> Step {
        let now = clock::now();
        let result = answer.result.map_err(|error| error.failure());
        let (store, id) = (answer.store, answer.id);
        let step = self
            .candidate
            .handle(now, Input::Replied { store, id, result });
        if let Some(knowledge) = self.candidate.knowledge(store) {
            let stores = &self.client.setup.stores;
            memories::keep(&stores[store.get()], &self.name, knowledge);
        }
        step
    }
}

/// An attempt to win an election at once. When it is dropped, what it may have won is released.
pub(super) struct Attempt {
    candidacy: Option<Candidacy>,
    step: Step,
    /// Those of claims that have failed.
    unconfirmed: Releases,
}

impl Attempt {
    /// `None` when more than a claim is needed: nothing is known of the stores yet, or of too long ago, or there is
    /// no runtime of the caller.
    pub(super) fn prepare(client: &Arc<Client>, name: &ElectionName) -> Option<Self> {
        let setup = &client.setup;
        setup.compared.get()?;
        client.start().ok()?;
        let openings = setup.stores.iter().map(|store| {
            let knowledge = memories::of(store, name)?;
            let record = Record::ABSENT;
            Some(Opening { record, knowledge })
        });
        let openings = openings.collect();
        let stores = client.stores()?;
        let identity = client.new_identity();
        let mut candidate = Box::new(Candidate::new(CandidateConfig {
            id: identity.id().clone(),
            host: HostName::new(identity.host()).ok(),
            not_before: Timestamp::ZERO,
            timing: setup.timing,
            electorate: setup.electorate,
            seed: fastrand::u64(..),
            ephemeral: setup.ephemeral,
            openings,
        }));
        let step = candidate.handle(clock::now(), Input::Tick);
        let candidacy = Candidacy {
            client: Arc::clone(client),
            name: name.clone(),
            identity: Arc::new(identity),
            stores,
            candidate,
        };
        let claims = is_direct(&step) && !step.sends.is_empty();
        claims.then_some(Self {
            candidacy: Some(candidacy),
            step,
            unconfirmed: Releases::default(),
        })
    }

    /// Claims, and returns the hold, or who else holds it. `None` when it is something else that is in the way.
    pub(super) async fn run(mut self) -> Option<Result<Held, Leader>> {
        let mut answers = FuturesUnordered::new();
        let mut claims = 0;
        loop {
            let step = mem::take(&mut self.step);
            // Whether or not it is sent here, the candidate counts on it.
            self.unconfirmed.sent(&step.sends);
            for event in &step.events {
                match event {
                    Event::Claimed { .. } => claims += 1,
                    Event::Elected { term, deadline } => {
                        let lease = Lease::new(*term, *deadline);
                        return Some(Ok(Held::won(self.candidacy.take()?, lease)));
                    }
                    _ => {}
                }
            }
            let candidacy = self.candidacy.as_mut()?;
            if !is_direct(&step) || claims > CLAIMS {
                return None;
            }
            answers.extend(step.sends.into_iter().map(|sent| candidacy.ask(sent)));
            let Some(answer) = answers.next().await else {
                break;
            };
            self.unconfirmed.answered(&answer, candidacy.identity.id());
            self.step = candidacy.take_in(answer);
        }
        let candidate = &self.candidacy.as_ref()?.candidate;
        (candidate.prospect() == Prospect::Held).then(|| Err(leader(candidate)))
    }
}

impl Drop for Attempt {
    fn drop(&mut self) {
        if let Some(candidacy) = self.candidacy.take()
            && (candidacy.candidate.may_hold() || !self.unconfirmed.is_empty())
        {
            Entry::abandon(candidacy, mem::take(&mut self.unconfirmed));
        }
    }
}

/// Whether a step sends only what may be sent from the caller's runtime: a poll would list a candidate that does not
/// wait.
fn is_direct(step: &Step) -> bool {
    let direct =
        |sent: &Outgoing| matches!(sent.request, Request::Claim(_) | Request::Release { .. });
    step.sends.iter().all(direct)
}

/// The holder of the election that the refusals show.
fn leader(candidate: &Candidate) -> Leader {
    let mut tracker = Tracker::new(candidate.electorate(), *candidate.timing(), None);
    drop(tracker.saw(clock::now(), candidate));
    tracker.leader()
}

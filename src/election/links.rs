//! The stores of one candidacy: the requests under way, the releases that they publish, and what each has last
//! answered.

use std::cell::RefCell;
use std::future::poll_fn;
use std::sync::Arc;
use std::task::{Context, Poll};

use tokio_util::sync::ReusableBoxFuture;

use super::Shared;
use super::late::{self, Releases};
use super::link::{Link, News};
use super::runtime;
use crate::observe::{EventKind, HeartbeatResult};
use crate::protocol::{
    Candidate, Outgoing, Reply, Request, RequestId, Role, StoreIndex, Timestamp, Verdict,
};
use crate::store::{Identity, StoreError, WakeUp, WakeUps, let_others_go_first};

/// The outcome of a request.
pub(super) struct Answer {
    pub(super) store: StoreIndex,
    pub(super) id: RequestId,
    /// Whether the request was to change the record, and not only to read it.
    pub(super) changes: bool,
    pub(super) result: Result<Reply, StoreError>,
    /// When it was sent, of a heartbeat.
    pub(super) beat: Option<Timestamp>,
    /// Whether it was asked to release.
    pub(super) releases: bool,
}

/// A request under way.
type Asked = ReusableBoxFuture<'static, Answer>;

thread_local! {
    /// The memory of requests that were answered, for the next ones of the same thread. The last one is used first,
    /// because the processor still has it in its caches.
    static SPARE: RefCell<Vec<Asked>> = const { RefCell::new(Vec::new()) };
}

/// How much of it is kept.
const MOST_SPARE: usize = 256;

/// What arrives from a store.
pub(super) enum Arrival {
    Answer(Answer),
    Release(StoreIndex, WakeUp),
}

pub(super) struct Links {
    shared: Arc<Shared>,
    identity: Arc<Identity>,
    known: Vec<Link>,
    answers: Vec<Asked>,
    /// Answers that arrived while requests were being sent.
    answered: Vec<Answer>,
    wake_ups: Vec<Option<WakeUps>>,
    unconfirmed: Releases,
}

impl Links {
    pub(super) fn new(shared: Arc<Shared>, identity: Arc<Identity>) -> Self {
        let stores = shared.stores.len();
        Self {
            shared,
            identity,
            known: vec![Link::default(); stores],
            answers: Vec::new(),
            answered: Vec::new(),
            wake_ups: (0..stores).map(|_| None).collect(),
            unconfirmed: Releases::default(),
        }
    }

    /// What is known of each store.
    pub(super) fn known(&self) -> &[Link] {
        &self.known
    }

    /// What one of the stores that cannot be used failed with.
    pub(super) fn error(&self) -> Option<&StoreError> {
        self.known.iter().find_map(Link::error)
    }

    /// One of the errors of this kind, if too many stores have one for a majority.
    pub(super) fn no_majority(
        &self,
        kind: fn(&Link) -> Option<&StoreError>,
    ) -> Option<&StoreError> {
        let spare = self.known.len() - self.shared.electorate.majority();
        self.known.iter().filter_map(kind).nth(spare)
    }

    /// Sends a request; its answer arrives later.
    pub(super) fn ask(&mut self, now: Timestamp, outgoing: Outgoing) {
        let notes_us = matches!(outgoing.request, Request::Observe | Request::Beat { .. });
        self.known[outgoing.store.get()].lists_us |= notes_us;
        self.unconfirmed.sent([&outgoing]);
        let shared = Arc::clone(&self.shared);
        let identity = Arc::clone(&self.identity);
        let answer = async move {
            let store = &shared.stores[outgoing.store.get()];
            let beats = matches!(outgoing.request, Request::Beat { .. });
            let result = store
                .execute(&shared.name, &identity, &outgoing.request)
                .await;
            Answer {
                store: outgoing.store,
                id: outgoing.id,
                changes: !matches!(outgoing.request, Request::Observe),
                result,
                beat: beats.then_some(now),
                releases: matches!(outgoing.request, Request::Release { .. }),
            }
        };
        let asked = match SPARE.with_borrow_mut(Vec::pop) {
            Some(mut spare) => {
                spare.set(answer);
                spare
            }
            None => ReusableBoxFuture::new(answer),
        };
        self.answers.push(asked);
    }

    /// Lets the connections write the new requests before anything is reported or any timer set: that can
    /// be done while the answers are under way.
    pub(super) async fn send_at_once(&mut self) {
        let first = poll_fn(|context| Poll::Ready(self.poll_answers(context)));
        let first = first.await;
        self.answered.extend(first);
        let_others_go_first().await;
    }

    /// Listens for releases while a campaign is waiting.
    pub(super) fn listen(&mut self, candidate: &Candidate) {
        if candidate.role() != Role::Standby {
            return;
        }
        for (index, slot) in self.wake_ups.iter_mut().enumerate() {
            let store = StoreIndex(u8::try_from(index).unwrap_or(u8::MAX));
            let seen = candidate.record(store).is_some();
            if slot.is_none() && seen {
                let store = &self.shared.stores[index];
                *slot = Some(store.wake_ups(&self.shared.name, candidate.id()));
            }
        }
    }

    pub(super) fn stop_listening(&mut self) {
        self.wake_ups.iter_mut().for_each(|slot| *slot = None);
    }

    /// What arrives next; pending while nothing will.
    pub(super) async fn next(&mut self) -> Arrival {
        if let Some(answer) = self.answered.pop() {
            return Arrival::Answer(answer);
        }
        poll_fn(|context| {
            if let Some(answer) = self.poll_answers(context) {
                return Poll::Ready(Arrival::Answer(answer));
            }
            for (index, slot) in (0..).zip(&mut self.wake_ups) {
                let Some(waiting) = slot else { continue };
                match waiting.0.poll_recv(context) {
                    Poll::Ready(Some(wake_up)) => {
                        return Poll::Ready(Arrival::Release(StoreIndex(index), wake_up));
                    }
                    // The store cannot notify: polling remains.
                    Poll::Ready(None) => waiting.0.close(),
                    Poll::Pending => {}
                }
            }
            Poll::Pending
        })
        .await
    }

    /// An answer that is there. The newest requests are polled first: that is what sends them.
    fn poll_answers(&mut self, context: &mut Context<'_>) -> Option<Answer> {
        let polled = self.answers.iter_mut().map(|one| one.poll(context));
        let (index, answer) = polled
            .enumerate()
            .find_map(|(index, polled)| match polled {
                Poll::Ready(answer) => Some((index, answer)),
                Poll::Pending => None,
            })?;
        let answered = self.answers.swap_remove(index);
        SPARE.with_borrow_mut(|spare| {
            if spare.len() < MOST_SPARE {
                spare.push(answered);
            }
        });
        Some(answer)
    }

    /// Notes what an answer shows of its store, and returns what is worth a report.
    pub(super) fn take_in(&mut self, now: Timestamp, answer: &Answer) -> Option<EventKind> {
        self.count(now, answer);
        let store = answer.store.get();
        self.unconfirmed.answered(answer, self.identity.id());
        // A release removes us from the list by itself.
        let granted = |reply: &Reply| reply.verdict == Verdict::Granted;
        let released = answer.releases && answer.result.as_ref().is_ok_and(granted);
        let link = &mut self.known[store];
        link.lists_us &= !released;
        let news = link.heard(now, answer.changes, &answer.result)?;
        let store = self.shared.stores[store].label().into();
        Some(match news {
            News::Down(error) => EventKind::StoreDown { store, error },
            News::Up(after) => EventKind::StoreUp { store, after },
        })
    }

    fn count(&self, now: Timestamp, answer: &Answer) {
        let counters = &self.shared.counters;
        counters.store(answer.store.get(), answer.result.is_ok());
        if let Some(sent) = answer.beat {
            let result = match &answer.result {
                Ok(reply) if reply.verdict == Verdict::Granted => HeartbeatResult::Granted,
                Ok(_) => HeartbeatResult::Refused,
                Err(_) => HeartbeatResult::Failed,
            };
            counters.heartbeat(result, now.since(sent));
        }
    }

    /// Leaves the stores: what they have not confirmed is sent again, and what they list is withdrawn.
    pub(super) async fn leave(self) {
        let Self {
            shared,
            identity,
            unconfirmed,
            ..
        } = self;
        if !unconfirmed.is_empty() {
            let (kept, name) = (Arc::downgrade(shared.setup()), shared.name.clone());
            let late = late::release(kept, name, Arc::clone(&identity), unconfirmed);
            runtime::handle().spawn(late);
        }
        let lists_us: Vec<bool> = self.known.iter().map(|link| link.lists_us).collect();
        late::withdraw(&shared, &identity, &lists_us).await;
    }
}

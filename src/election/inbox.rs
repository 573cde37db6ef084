//! What a driver waits for from its stores: the answers to its requests, and release notifications.

use std::future::{pending, poll_fn};
use std::pin::Pin;
use std::task::Poll;
use std::time::Duration;

use futures_util::stream::{FuturesUnordered, StreamExt};

use crate::protocol::{Reply, RequestId, StoreIndex};
use crate::store::{StoreError, WakeUp, WakeUps};

/// The outcome of a request.
pub(super) struct Answer {
    pub(super) store: StoreIndex,
    pub(super) id: RequestId,
    /// Whether the request was to change the record, and not only to read it.
    pub(super) changes: bool,
    pub(super) result: Result<Reply, StoreError>,
    /// How long it took, of a heartbeat.
    pub(super) beat: Option<Duration>,
    /// Whether it was asked to release.
    pub(super) releases: bool,
}

pub(super) type Answering = Pin<Box<dyn Future<Output = Answer> + Send>>;

/// The next answer to a request; pending forever when there will be none.
pub(super) async fn next_answer(
    answered: &mut Option<Answer>,
    answers: &mut FuturesUnordered<Answering>,
) -> Answer {
    if let Some(answer) = answered.take() {
        return answer;
    }
    match answers.next().await {
        Some(answer) => answer,
        None => pending().await,
    }
}

/// The next release notification of any store; pending forever when none will come.
pub(super) async fn next_release(wake_ups: &mut [Option<WakeUps>]) -> (StoreIndex, WakeUp) {
    poll_fn(|context| {
        for (index, slot) in (0..).zip(wake_ups.iter_mut()) {
            let Some(waiting) = slot else { continue };
            match waiting.0.poll_recv(context) {
                Poll::Ready(Some(wake_up)) => return Poll::Ready((StoreIndex(index), wake_up)),
                // The store cannot notify: polling remains.
                Poll::Ready(None) => waiting.0.close(),
                Poll::Pending => {}
            }
        }
        Poll::Pending
    })
    .await
}

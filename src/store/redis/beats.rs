//! Heartbeats of many elections in one call of a script, each with its own outcome.
//!
//! ```text
//!   those that are due ──▶ Beats ──one call──▶ beats.lua ──▶ the outcome of each
//!                            │ the only one        │ more than the usual
//!                            └────────▶ beat.lua ◀─┘ one call each
//! ```
//!
//! A heartbeat waits for no other one, but for the tasks of its thread that are ready: those of the elections whose
//! timer has just rung. Its lease counts from an earlier moment.

use std::sync::{Arc, Mutex, PoisonError};

use redis::Value;
use tokio::sync::oneshot;

use super::failure::{self, Stage};
use super::keys::Keys;
use super::reply::Reader;
use super::servers::To;
use super::{RedisStore, script};
use crate::protocol::{CandidateId, FencingToken, Reply};
use crate::store::{StoreError, let_others_go_first};

/// How many travel in one call at most: a server does nothing else meanwhile.
const MOST: usize = 64;

/// The heartbeats that are due.
#[derive(Default)]
pub(super) struct Beats(Mutex<Vec<Waiting>>);

/// A reply of the server, or nothing for a heartbeat that was left undone and must be sent by itself.
type Outcome = Result<Option<Reply>, StoreError>;

struct Waiting {
    keys: Keys,
    holder: CandidateId,
    term: FencingToken,
    outcome: oneshot::Sender<Outcome>,
}

impl RedisStore {
    /// Sends a heartbeat with all others that are due. Nodes of a cluster have too few in common for that.
    pub(super) async fn beat_with_others(
        &self,
        keys: &Keys,
        (holder, term): (&CandidateId, FencingToken),
    ) -> Outcome {
        if self.shared.servers.is_cluster() {
            return Ok(None);
        }
        let (sender, outcome) = oneshot::channel();
        self.beats.lock().push(Waiting {
            keys: keys.clone(),
            holder: holder.clone(),
            term,
            outcome: sender,
        });
        let_others_go_first().await;
        let mut waiting = std::mem::take(&mut *self.beats.lock());
        // Nothing is sent for who has ended since.
        waiting.retain(|one| !one.outcome.is_closed());
        while !waiting.is_empty() {
            let rest = waiting.split_off(waiting.len().min(MOST));
            self.send_together(std::mem::replace(&mut waiting, rest));
        }
        // If the runtime that has sent it is gone, it is sent again.
        outcome.await.unwrap_or(Ok(None))
    }

    /// Sends them in a task, because the candidate that takes them may end first.
    fn send_together(&self, batch: Vec<Waiting>) {
        if batch.len() == 1 {
            return batch.into_iter().for_each(|one| one.end(Ok(None)));
        }
        let (shared, label, op_timeout) = (
            Arc::clone(&self.shared),
            Arc::clone(&self.label),
            self.op_timeout,
        );
        tokio::spawn(async move {
            shared.keep_running();
            let terms: Vec<String> = batch.iter().map(|one| one.term.to_string()).collect();
            let (mut keys, mut arguments) = (Vec::new(), Vec::new());
            for (one, term) in batch.iter().zip(&terms) {
                keys.extend([one.keys.counter.as_str(), &one.keys.record]);
                arguments.extend([one.holder.as_str(), term]);
            }
            keys.push(&batch[0].keys.memory);
            let (names, words) = (&keys, &arguments);
            let call = |mut connection| async move {
                script::BEATS.call(&mut connection, names, words).await
            };
            let to = To::Key(keys[0]);
            let answer = shared
                .servers
                .request((&label, &shared.timers), op_timeout, to, call)
                .await;
            let answers = answer.and_then(|answer| batch[0].reader(&label).beats(answer));
            let (memory, clock, mut answers) = match answers {
                Ok(answers) => answers,
                // What may have reached no one, or everyone, did so for all.
                Err(error @ (StoreError::Unreachable { .. } | StoreError::Unknown { .. })) => {
                    return batch
                        .into_iter()
                        .for_each(|one| one.end(Err(error.clone())));
                }
                // A refusal may concern only one of them: each asks by itself.
                Err(_) => return batch.into_iter().for_each(|one| one.end(Ok(None))),
            };
            for one in batch {
                let answer = match script::value(Ok(answers.next().unwrap_or(Value::Int(0)))) {
                    Ok(Value::Int(_)) => Ok(None),
                    Ok(answer) => one
                        .reader(&label)
                        .beaten(answer, (&one.holder, one.term), (memory, clock))
                        .map(Some),
                    Err(error) => Err(failure::store_error(&label, error, Stage::Sent)),
                };
                one.end(answer);
            }
        });
    }
}

impl Beats {
    fn lock(&self) -> std::sync::MutexGuard<'_, Vec<Waiting>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Waiting {
    const fn reader<'a>(&'a self, store: &'a Arc<str>) -> Reader<'a> {
        Reader {
            store,
            keys: &self.keys,
        }
    }

    fn end(self, outcome: Outcome) {
        if self.outcome.send(outcome).is_err() {
            tracing::trace!("whoever sent this heartbeat has ended");
        }
    }
}

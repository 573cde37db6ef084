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

use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use futures_util::future::join_all;
use redis::Value;
use tokio::runtime::{Handle, Id};
use tokio::sync::oneshot;

use super::failure::{self, Stage};
use super::keys;
use super::servers::To;
use super::{RedisStore, reply, script};
use crate::protocol::{
    CandidateId, ElectionName, FencingToken, Memory, Occupancy, Orders, Record, Reply, Verdict,
    WallMillis,
};
use crate::store::{StoreError, let_others_go_first};

/// How many travel in one call at most: a server does nothing else meanwhile.
const MOST: usize = 64;

/// The heartbeats that are due, by the runtime that has a task to send them. None relies on the task of another one.
#[derive(Default)]
pub(super) struct Beats(Mutex<HashMap<Id, Vec<Waiting>>>);

/// A reply of the server, or nothing for a heartbeat that was left undone and must be sent by itself.
type Outcome = Result<Option<Reply>, StoreError>;

struct Waiting {
    counter: String,
    record: String,
    holder: CandidateId,
    term: FencingToken,
    outcome: oneshot::Sender<Outcome>,
}

/// What the task of a runtime is about to send.
struct Sender {
    beats: Arc<Beats>,
    runtime: Id,
}

impl RedisStore {
    /// Sends a heartbeat with all others that are due. Their elections have one memory in common.
    pub(super) async fn beat_with_others(
        &self,
        election: &ElectionName,
        (holder, term): (&CandidateId, FencingToken),
    ) -> Outcome {
        let (sender, outcome) = oneshot::channel();
        let [counter, record] = keys::of_heartbeat(&self.prefix, election);
        let holder = holder.clone();
        let due = Waiting {
            counter,
            record,
            holder,
            term,
            outcome: sender,
        };
        if let Some(sender) = self.beats.add(due) {
            tokio::spawn(self.send_all(sender));
        }
        // If the runtime that was to send it is gone, it is sent by itself.
        outcome.await.unwrap_or(Ok(None))
    }

    /// The task that sends what is due: the candidate that was the first to add something may end before the others.
    fn send_all(&self, sender: Sender) -> impl Future<Output = ()> + use<> {
        let (shared, label) = (Arc::clone(&self.shared), Arc::clone(&self.label));
        let (op_timeout, memory) = (self.op_timeout, keys::memory_of_all(&self.prefix));
        async move {
            let_others_go_first().await;
            let mut waiting = sender.take();
            // Nothing is sent for who has ended since.
            waiting.retain(|one| !one.outcome.is_closed());
            let mut batches = Vec::new();
            while !waiting.is_empty() {
                let rest = waiting.split_off(waiting.len().min(MOST));
                batches.push(std::mem::replace(&mut waiting, rest));
            }
            let send = async |batch: Vec<Waiting>| {
                if batch.len() == 1 {
                    return end_all(batch, Ok(None));
                }
                let terms: Vec<String> = batch.iter().map(|one| one.term.to_string()).collect();
                let (mut keys, mut arguments) = (Vec::new(), Vec::new());
                for (one, term) in batch.iter().zip(&terms) {
                    keys.extend([one.counter.as_str(), &one.record]);
                    arguments.extend([one.holder.as_str(), term]);
                }
                keys.push(memory.as_str());
                let (names, words) = (&keys, &arguments);
                let call = |mut connection| async move {
                    script::BEATS.call(&mut connection, names, words).await
                };
                shared.keep_running();
                let (way, to) = ((&label, &shared.timers), To::Key(keys[0]));
                let answer = shared.servers.request(way, op_timeout, to, call).await;
                match answer {
                    Ok(answer) => tell_each(&label, batch, answer),
                    // What may have reached no one, or everyone, did so for all.
                    Err(error @ (StoreError::Unreachable { .. } | StoreError::Unknown { .. })) => {
                        end_all(batch, Err(error))
                    }
                    // A refusal may concern only one of them: each asks by itself.
                    Err(_) => end_all(batch, Ok(None)),
                }
            };
            join_all(batches.into_iter().map(send)).await;
        }
    }
}

impl Beats {
    fn lock(&self) -> MutexGuard<'_, HashMap<Id, Vec<Waiting>>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Adds one. The first of its runtime gets what the task that sends them needs.
    fn add(self: &Arc<Self>, one: Waiting) -> Option<Sender> {
        let runtime = Handle::current().id();
        match self.lock().entry(runtime) {
            Entry::Occupied(mut due) => {
                due.get_mut().push(one);
                return None;
            }
            Entry::Vacant(none) => none.insert(vec![one]),
        };
        Some(Sender {
            beats: Arc::clone(self),
            runtime,
        })
    }
}

impl Sender {
    /// All that are due. The next one of this runtime begins another task.
    fn take(self) -> Vec<Waiting> {
        self.remove()
    }

    fn remove(&self) -> Vec<Waiting> {
        let due = self.beats.lock().remove(&self.runtime);
        due.unwrap_or_default()
    }
}

impl Drop for Sender {
    fn drop(&mut self) {
        // If the runtime ends before its task has sent them, each is left to itself.
        drop(self.remove());
    }
}

/// What the script answered.
fn tell_each(label: &Arc<str>, batch: Vec<Waiting>, answer: Value) {
    let Some((memory, clock, answers)) = reply::beats(answer) else {
        return end_all(batch, Ok(None));
    };
    for (one, answer) in batch.into_iter().zip(answers) {
        let outcome = match script::value(Ok(answer)) {
            // What cannot be read is left to beat.lua too, whose reply is read with more words.
            Ok(answer) => Ok(one.granted(&answer, memory, clock)),
            Err(error) => Err(failure::store_error(label, error, Stage::Sent)),
        };
        one.end(outcome);
    }
}

fn end_all(batch: Vec<Waiting>, outcome: Outcome) {
    batch.into_iter().for_each(|one| one.end(outcome.clone()));
}

impl Waiting {
    /// The reply, if it was granted: the record is held by this candidate under this term, which is also its floor,
    /// and no order stands in it.
    fn granted(&self, answer: &Value, memory: Memory, clock: WallMillis) -> Option<Reply> {
        let (beat, window) = reply::beaten(answer)?;
        let holder = self.holder.clone();
        Some(Reply {
            verdict: Verdict::Granted,
            record: Record {
                floor: self.term,
                term: self.term,
                beat,
                occupancy: Occupancy::Held { holder, window },
                orders: Orders::NONE,
            },
            memory,
            clock,
        })
    }

    fn end(self, outcome: Outcome) {
        if self.outcome.send(outcome).is_err() {
            tracing::trace!("whoever sent this heartbeat has ended");
        }
    }
}

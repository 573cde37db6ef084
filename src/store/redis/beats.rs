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
use std::time::Duration;

use futures_util::future::join_all;
use redis::Value;
use tokio::runtime::{Handle, Id};
use tokio::sync::oneshot;

use super::failure::{self, Stage};
use super::keys;
use super::reply::Beaten;
use super::servers::To;
use super::{RedisStore, script};
use crate::protocol::{
    Beat, CandidateId, ElectionName, FencingToken, Memory, Occupancy, Orders, Record, Reply,
    Verdict, WallMillis,
};
use crate::store::{StoreError, let_others_go_first};

/// How many travel in one call at most: a server does nothing else meanwhile.
const MOST: usize = 64;

/// The heartbeats that are due, by the runtime that has a task to send them. None relies on the task of another one.
#[derive(Default)]
pub(super) struct Beats(Mutex<HashMap<Id, Vec<Waiting>>>);

/// What the server granted, or nothing for a heartbeat that was left undone and must be sent by itself.
type Outcome = Result<Option<Granted>, StoreError>;

struct Granted {
    beat: Beat,
    window: Duration,
    memory: Memory,
    clock: WallMillis,
}

struct Waiting {
    election: ElectionName,
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
    ) -> Result<Option<Reply>, StoreError> {
        let (sender, outcome) = oneshot::channel();
        let due = Waiting {
            election: election.clone(),
            holder: holder.clone(),
            term,
            outcome: sender,
        };
        if let Some(sender) = self.beats.add(due) {
            tokio::spawn(self.send_all(sender));
        }
        // If the runtime that was to send it is gone, it is sent by itself.
        let granted = outcome.await.unwrap_or(Ok(None))?;
        Ok(granted.map(|granted| granted.reply(holder, term)))
    }

    /// The task that sends what is due: the candidate that was the first to add something may end before the others.
    fn send_all(&self, sender: Sender) -> impl Future<Output = ()> + use<> {
        let (shared, label) = (Arc::clone(&self.shared), Arc::clone(&self.label));
        let (op_timeout, prefix) = (self.op_timeout, self.prefix.clone());
        async move {
            let_others_go_first().await;
            // Nothing is sent for who has ended since.
            let mut due = sender.take();
            due.retain(|one| !one.outcome.is_closed());
            let send = async |batch: Vec<Waiting>| {
                if batch.len() == 1 {
                    return end_all(batch, None);
                }
                let mut written = Written::with_capacity(4 * batch.len() + 1, 64);
                for one in &batch {
                    let (counter, record) = keys::of_heartbeat(&prefix, &one.election);
                    written.add(&counter);
                    written.add(&record);
                }
                written.add(&[&keys::memory_of_all(&prefix)]);
                for one in &batch {
                    written.add(&[one.holder.as_str()]);
                    written.add(&[&one.term()]);
                }
                let texts = written.texts();
                let (names, words) = texts.split_at(2 * batch.len() + 1);
                let call = |mut connection| async move {
                    script::BEATS.call(&mut connection, names, words).await
                };
                shared.keep_running();
                let (way, to) = ((&label, &shared.timers), To::Key(names[0]));
                let answer = shared.servers.request(way, op_timeout, to, call).await;
                match answer {
                    Ok(answer) => tell_each(&label, batch, answer),
                    // What may have reached no one, or everyone, did so for all.
                    Err(error @ (StoreError::Unreachable { .. } | StoreError::Unknown { .. })) => {
                        end_all(batch, Some(&error))
                    }
                    // A refusal may concern only one of them: each asks by itself.
                    Err(_) => end_all(batch, None),
                }
            };
            join_all(batches(due).map(send)).await;
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

/// Many short texts in one piece of memory.
struct Written {
    text: String,
    ends: Vec<usize>,
}

impl Written {
    /// With room for `count` texts of `length` bytes each.
    fn with_capacity(count: usize, length: usize) -> Self {
        Self {
            text: String::with_capacity(count * length),
            ends: Vec::with_capacity(count),
        }
    }

    fn add(&mut self, parts: &[&str]) {
        parts.iter().for_each(|part| self.text.push_str(part));
        self.ends.push(self.text.len());
    }

    fn texts(&self) -> Vec<&str> {
        let begins = std::iter::once(&0).chain(&self.ends);
        let bounds = begins.zip(&self.ends);
        bounds
            .map(|(begin, end)| &self.text[*begin..*end])
            .collect()
    }
}

/// What travels together. After a stall all heartbeats of a process are due at once, and each batch lives until it is
/// answered, so none may keep more memory than it needs.
fn batches<T>(due: Vec<T>) -> impl Iterator<Item = Vec<T>> {
    let mut due = due.into_iter();
    std::iter::from_fn(move || {
        let mut batch = Vec::with_capacity(due.len().min(MOST));
        batch.extend(due.by_ref().take(MOST));
        (!batch.is_empty()).then_some(batch)
    })
}

/// What the script answered.
fn tell_each(label: &Arc<str>, batch: Vec<Waiting>, answer: Value) {
    // What cannot be read is left to beat.lua too, whose reply is read with more words.
    let Some(mut beaten) = Beaten::read(answer, batch.len()) else {
        return end_all(batch, None);
    };
    let failure = beaten.failure.take();
    let mut failure = failure.and_then(|answer| script::value(Ok(answer)).err());
    let mut answers = beaten.answers();
    for one in batch {
        let outcome = match answers.next() {
            Some(answer) => Ok(answer.map(|(beat, window)| Granted {
                beat,
                window,
                memory: beaten.memory,
                clock: beaten.clock,
            })),
            None => failure.take().map_or(Ok(None), |error| {
                Err(failure::store_error(label, error, Stage::Sent))
            }),
        };
        one.end(outcome);
    }
}

fn end_all(batch: Vec<Waiting>, failure: Option<&StoreError>) {
    for one in batch {
        one.end(failure.map_or(Ok(None), |error| Err(error.clone())));
    }
}

impl Granted {
    /// The record is held by this candidate under this term, which is also its floor, and no order stands in it.
    fn reply(self, holder: &CandidateId, term: FencingToken) -> Reply {
        let (holder, window) = (holder.clone(), self.window);
        Reply {
            verdict: Verdict::Granted,
            record: Record {
                floor: term,
                term,
                beat: self.beat,
                occupancy: Occupancy::Held { holder, window },
                orders: Orders::NONE,
            },
            memory: self.memory,
            clock: self.clock,
        }
    }
}

impl Waiting {
    fn term(&self) -> String {
        self.term.get().to_string()
    }

    fn end(self, outcome: Outcome) {
        if self.outcome.send(outcome).is_err() {
            tracing::trace!("whoever sent this heartbeat has ended");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_burst_takes_memory_in_proportion_to_its_heartbeats() {
        let burst: Vec<usize> = (0..10 * MOST + 1).collect();
        let sent: Vec<_> = batches(burst.clone()).collect();
        assert_eq!(sent.concat(), burst);
        assert!(sent.iter().all(|batch| batch.capacity() <= MOST));
    }

    /// How each of four heartbeats ends.
    fn ends(answers: &str, failure: Option<Value>) -> Vec<&'static str> {
        let text = |text: &str| Value::BulkString(text.as_bytes().to_vec());
        let (clock, memory) = (
            "1700000000000",
            "1 1700000000000.17 60000 1700000000000000 2 0a",
        );
        let mut reply = vec![text(clock), text(memory), text(answers)];
        reply.extend(failure);
        let (batch, outcomes): (Vec<_>, Vec<_>) = (0..4)
            .map(|number| {
                let (sender, outcome) = oneshot::channel();
                let waiting = Waiting {
                    election: "e".parse().unwrap(),
                    holder: format!("holder-{number}").parse().unwrap(),
                    term: FencingToken::new(7).unwrap(),
                    outcome: sender,
                };
                (waiting, outcome)
            })
            .unzip();
        tell_each(&"redis://here".into(), batch, Value::Array(reply));
        let word = |outcome| match outcome {
            Ok(Some(_)) => "granted",
            Ok(None) => "undone",
            Err(_) => "failed",
        };
        let outcomes = outcomes.into_iter();
        outcomes
            .map(|mut outcome: oneshot::Receiver<Outcome>| word(outcome.try_recv().unwrap()))
            .collect()
    }

    #[test]
    fn each_heartbeat_gets_its_own_outcome() {
        let failure = || {
            let refused = redis::parse_redis_value(b"-REFUSED hset: no\r\n");
            Some(refused.unwrap())
        };
        let granted = ends("8 5000000000,,9 5000000000,8 5000000000,", None);
        assert_eq!(granted, ["granted", "undone", "granted", "granted"]);
        let failed = ends("8 5000000000,,", failure());
        assert_eq!(failed, ["granted", "undone", "failed", "undone"]);
        assert_eq!(
            ends("", failure()),
            ["failed", "undone", "undone", "undone"]
        );
        // Of a reply with too many answers, too few, or one that is cut off, none counts.
        for (answers, failure) in [
            ("8 5000000000,,,,,", None),
            ("8 5000000000,,,", None),
            ("8 5000000000,,,,", failure()),
            ("8 5000000000,,8 5000", None),
            ("8 5000000000,,8 5000", failure()),
        ] {
            assert_eq!(ends(answers, failure), ["undone"; 4], "{answers}");
        }
    }
}

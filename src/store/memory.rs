//! The memory store: the record function itself, behind a lock. It elects within one process.

use std::collections::{BTreeMap, VecDeque};
use std::io;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::mpsc;

use super::{
    Change, HistoryEntry, Inspection, Note, SeenCandidate, Store, StoreError, StoreFuture, WakeUp,
    WakeUps, fresh_memory, is_free, millis, wall_clock,
};
use crate::protocol::{
    CandidateId, ElectionName, Memory, Record, Reply, Request, State, Term, Verdict, WallMillis,
    apply,
};
use crate::store::Identity;

/// A store in the memory of this process: for tests, and for electing among the tasks of one process.
///
/// # Examples
///
/// ```
/// use incumbent::store::{MemoryStore, Store};
///
/// assert_eq!(MemoryStore::new("test").label(), "memory:test");
/// ```
///
/// A test that wants to see what its program does without a store breaks it:
///
/// ```
/// use std::sync::Arc;
/// use std::time::Duration;
/// use incumbent::Election;
/// use incumbent::store::{Fault, MemoryStore};
///
/// # tokio::runtime::Runtime::new()?.block_on(async {
/// let store = Arc::new(MemoryStore::new("test"));
/// let election = Election::builder("billing")
///     .store_object(store.clone())
///     .interval(Duration::from_millis(50))
///     .stop_grace(Duration::from_millis(50))
///     .build()?;
/// let leadership = election.campaign().await?;
/// store.set_fault(Fault::Unreachable);
/// leadership.lost().await;
/// leadership.resign().await;
/// assert!(election.try_campaign().await.is_err());
///
/// store.set_fault(None);
/// election.campaign().await?.resign().await;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// # })?;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug)]
pub struct MemoryStore {
    label: Arc<str>,
    fault: Mutex<Option<Fault>>,
    kept: Mutex<Kept>,
}

#[derive(Debug)]
struct Kept {
    memory: Option<Memory>,
    elections: BTreeMap<ElectionName, Entry>,
}

impl Kept {
    fn entry(&mut self, election: &ElectionName) -> &mut Entry {
        let entry = self.elections.entry(election.clone());
        entry.or_insert_with(Entry::new)
    }

    /// Keeps nothing of an election of which nothing is left.
    fn tidy(&mut self, election: &ElectionName) {
        if self.elections.get_mut(election).is_some_and(Entry::is_void) {
            self.elections.remove(election);
        }
    }
}

/// What is wrong with a [`MemoryStore`] while a test says so: [`MemoryStore::set_fault`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Fault {
    /// Requests do not reach it, and fail with [`StoreError::Unreachable`].
    Unreachable,
    /// Requests are executed, but their replies are lost: they fail with [`StoreError::Unknown`].
    Silent,
    /// Each request takes this long. Keep it within the timing's `op_timeout`: other stores fail by then,
    /// with [`StoreError::Unknown`].
    Slow(Duration),
}

#[derive(Debug)]
struct Entry {
    record: Record,
    /// The floor with which the store's memory lists the record.
    listed: Option<Term>,
    holder: Option<Identity>,
    since: Option<WallMillis>,
    changed: Option<WallMillis>,
    candidates: BTreeMap<Identity, WallMillis>,
    history: VecDeque<HistoryEntry>,
    waiting: Vec<(CandidateId, mpsc::Sender<WakeUp>)>,
}

impl Entry {
    const HISTORY: usize = 1000;

    fn is_void(&mut self) -> bool {
        self.waiting.retain(|(_, waiting)| !waiting.is_closed());
        let empty = self.candidates.is_empty() && self.history.is_empty();
        self.record == Record::ABSENT && empty && self.waiting.is_empty()
    }

    const fn new() -> Self {
        Self {
            record: Record::ABSENT,
            listed: None,
            holder: None,
            since: None,
            changed: None,
            candidates: BTreeMap::new(),
            history: VecDeque::new(),
            waiting: Vec::new(),
        }
    }
}

impl MemoryStore {
    /// An empty store, which has forgotten nothing: the first candidate leads at once.
    #[must_use]
    pub fn new(name: &str) -> Self {
        let memory = Memory::mature(fresh_memory(wall_clock()));
        Self::with_memory(name, Some(memory))
    }

    /// An empty store that may have forgotten someone, as a new Redis may: the first candidate waits for a
    /// probation.
    #[must_use]
    pub fn forgetful(name: &str) -> Self {
        Self::with_memory(name, None)
    }

    fn with_memory(name: &str, memory: Option<Memory>) -> Self {
        Self {
            label: format!("memory:{name}").into(),
            fault: Mutex::default(),
            kept: Mutex::new(Kept {
                memory,
                elections: BTreeMap::new(),
            }),
        }
    }

    /// Breaks the store for all requests that follow, or repairs it with `None`. Releases still wake standbys:
    /// a request that is not executed releases nothing.
    pub fn set_fault(&self, fault: impl Into<Option<Fault>>) {
        *self.fault.lock().unwrap_or_else(PoisonError::into_inner) = fault.into();
    }

    /// Runs `request`, as well as the fault permits.
    fn ask<'a, T: Send + 'a>(
        &'a self,
        request: impl FnOnce() -> T + Send + 'a,
    ) -> StoreFuture<'a, T> {
        let store = || Arc::clone(&self.label);
        Box::pin(async move {
            let fault = *self.fault.lock().unwrap_or_else(PoisonError::into_inner);
            match fault {
                None => Ok(request()),
                Some(Fault::Unreachable) => Err(StoreError::Unreachable {
                    store: store(),
                    source: Arc::new(io::Error::other("a test has made it unreachable")),
                }),
                Some(Fault::Silent) => {
                    request();
                    Err(StoreError::Unknown {
                        store: store(),
                        source: Arc::new(io::Error::other("a test has silenced it")),
                    })
                }
                Some(Fault::Slow(delay)) => {
                    tokio::time::sleep(delay).await;
                    Ok(request())
                }
            }
        })
    }

    /// Replaces the record of an election, as an operator with a shell could.
    pub fn put(&self, election: &ElectionName, record: Record) {
        self.lock().entry(election).record = record;
    }

    /// Forgets everything, as a server that restarts without its data.
    pub fn wipe(&self) {
        let mut kept = self.lock();
        kept.memory = None;
        for entry in kept.elections.values_mut() {
            *entry = Entry {
                waiting: std::mem::take(&mut entry.waiting),
                ..Entry::new()
            };
        }
    }

    fn lock(&self) -> MutexGuard<'_, Kept> {
        self.kept.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn carry_out(&self, election: &ElectionName, who: &Identity, request: &Request) -> Reply {
        let clock = wall_clock();
        let fresh = fresh_memory(clock);
        let mut kept = self.lock();
        let memory = kept.memory;
        let entry = kept.entry(election);
        let state = State {
            memory,
            restarted: false,
            listed: entry.listed,
            record: entry.record.clone(),
        };
        let (after, verdict) = apply(&state, request, fresh, clock);
        entry.listed = after.listed;
        let before = std::mem::replace(&mut entry.record, after.record);
        if verdict == Verdict::Granted {
            entry.note(who, request, (&before, after.memory), clock);
        }
        let record = entry.record.clone();
        kept.memory = after.memory;
        kept.tidy(election);
        Reply {
            verdict,
            record,
            memory: after.memory.unwrap_or(Memory::young(fresh)),
            clock,
        }
    }
}

impl Entry {
    fn note(
        &mut self,
        who: &Identity,
        request: &Request,
        (before, memory): (&Record, Option<Memory>),
        clock: WallMillis,
    ) {
        let change = Change::made_by(request, before);
        let note = Note::made_by(request, before, self.changed, &self.record);
        match request {
            Request::Observe | Request::Beat { .. } => {
                self.candidates.insert(who.clone(), clock);
            }
            Request::Claim(_) => {
                self.holder = Some(who.clone());
                self.since = Some(clock);
            }
            // A candidate that goes on campaigning is noted again by its next observation.
            Request::Release { .. } => {
                self.candidates.remove(who);
            }
            Request::Order(_) => {}
        }
        if self.record.holder().is_none() {
            self.holder = None;
            self.since = None;
        }
        if (self.record.term, self.record.beat, &self.record.occupancy)
            != (before.term, before.beat, &before.occupancy)
        {
            self.changed = Some(clock);
        }
        let deleted = Change::deletes(request, &self.record);
        if deleted {
            self.history.clear();
            self.changed = None;
        }
        let Some(change) = change else {
            return;
        };
        if change.wakes()
            && is_free(&self.record)
            && let Some(memory) = memory
        {
            let standbys = self.standbys(before.holder());
            let wake_up = WakeUp {
                record: self.record.clone(),
                memory,
                called: standbys.first().cloned(),
            };
            // The second one looks a moment later, should the one that a release calls not claim.
            let few = matches!(request, Request::Release { .. }) && !standbys.is_empty();
            let woken = &standbys[..standbys.len().min(2)];
            self.waiting.retain(|(id, waiting)| {
                if few && !woken.contains(id) {
                    return true;
                }
                // A full queue holds a release already; a closed one has no one waiting.
                !matches!(
                    waiting.try_send(wake_up.clone()),
                    Err(mpsc::error::TrySendError::Closed(_))
                )
            });
        }
        let forgotten = millis(SeenCandidate::REMEMBERED);
        self.candidates
            .retain(|_, seen| seen.get().saturating_add(forgotten) >= clock.get());
        let ephemeral = matches!(request, Request::Claim(claim) if claim.ephemeral);
        if deleted || ephemeral {
            return;
        }
        self.history.push_front(HistoryEntry {
            at: clock,
            term: self.record.term,
            holder: who.clone(),
            change,
            note,
        });
        self.history.truncate(Self::HISTORY);
    }
}

impl Entry {
    /// The standbys that listen, the one seen last first: that is the one which is called. None if an operator has
    /// named a successor.
    fn standbys(&self, leaver: Option<&CandidateId>) -> Vec<CandidateId> {
        if self.record.preferred().is_some() {
            return Vec::new();
        }
        let listens = |id: &CandidateId| {
            let mut waiting = self.waiting.iter();
            waiting.any(|(one, sender)| one == id && !sender.is_closed())
        };
        let listed = self.candidates.iter();
        let standbys = listed.filter(|(who, _)| Some(who.id()) != leaver && listens(who.id()));
        let mut standbys: Vec<_> = standbys.map(|(who, seen)| (*seen, who.id())).collect();
        standbys.sort_by_key(|(seen, _)| *seen);
        standbys
            .into_iter()
            .rev()
            .map(|(_, id)| id.clone())
            .collect()
    }
}

impl Store for MemoryStore {
    fn label(&self) -> &str {
        &self.label
    }

    fn execute<'a>(
        &'a self,
        election: &'a ElectionName,
        who: &'a Identity,
        request: &'a Request,
    ) -> StoreFuture<'a, Reply> {
        self.ask(|| self.carry_out(election, who, request))
    }

    fn withdraw<'a>(
        &'a self,
        election: &'a ElectionName,
        who: &'a Identity,
    ) -> StoreFuture<'a, ()> {
        self.ask(move || {
            let mut kept = self.lock();
            kept.entry(election).candidates.retain(|one, _| one != who);
            kept.tidy(election);
        })
    }

    fn wake_ups(&self, election: &ElectionName, who: &CandidateId) -> WakeUps {
        let (sender, receiver) = mpsc::channel(WakeUps::CAPACITY);
        let mut kept = self.lock();
        kept.entry(election).waiting.push((who.clone(), sender));
        WakeUps(receiver)
    }

    fn inspect<'a>(&'a self, election: &'a ElectionName) -> StoreFuture<'a, Inspection> {
        self.ask(|| {
            let clock = wall_clock();
            let mut kept = self.lock();
            let memory = kept.memory;
            let entry = kept.entry(election);
            Inspection {
                memory,
                holder: entry.holder.clone(),
                since: entry.since,
                changed: entry.changed,
                candidates: entry
                    .candidates
                    .iter()
                    .map(|(identity, last_seen)| SeenCandidate::new(identity.clone(), *last_seen))
                    .collect(),
                ..Inspection::new(entry.record.seen_at(clock), clock)
            }
        })
    }

    fn elections(&self) -> StoreFuture<'_, Vec<ElectionName>> {
        self.ask(|| {
            let kept = self.lock();
            let known = kept
                .elections
                .iter()
                .filter(|(_, entry)| entry.record != Record::ABSENT);
            known.map(|(name, _)| name.clone()).collect()
        })
    }

    fn history<'a>(
        &'a self,
        election: &'a ElectionName,
        limit: usize,
    ) -> StoreFuture<'a, Vec<HistoryEntry>> {
        self.ask(move || {
            let mut kept = self.lock();
            let history = kept.entry(election).history.iter();
            history.take(limit).cloned().collect()
        })
    }
}

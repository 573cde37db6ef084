//! When the election thread has to take care of what is held directly: one sleeping task for all of it.

use std::collections::BTreeMap;
use std::io;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::Notify;

use super::held::Entry;
use crate::election::{Alarm, clock, runtime};
use crate::protocol::Timestamp;

/// What is due, and when.
pub(super) struct Due {
    table: Arc<Shared>,
    started: AtomicBool,
}

/// Where an entry is in the table.
pub(super) type Place = (Timestamp, u64);

struct Shared {
    table: Mutex<Table>,
    /// Notified when something is due before the task wakes, and when there will be nothing more.
    sooner: Notify,
}

struct Table {
    entries: BTreeMap<Place, Arc<Entry>>,
    next_key: u64,
    /// When the task wakes at the latest.
    wakes: Timestamp,
    closed: bool,
}

impl Due {
    pub(super) fn new() -> Self {
        Self {
            started: AtomicBool::new(false),
            table: Arc::new(Shared {
                sooner: Notify::new(),
                table: Mutex::new(Table {
                    entries: BTreeMap::new(),
                    next_key: 0,
                    wakes: Timestamp::NEVER,
                    closed: false,
                }),
            }),
        }
    }

    /// Starts the task, once.
    pub(super) fn start(&self) -> io::Result<()> {
        if self.started.load(Ordering::Acquire) {
            return Ok(());
        }
        let alarm = Alarm::new()?;
        if !self.started.swap(true, Ordering::AcqRel) {
            runtime::spawn_vital(watch(Arc::clone(&self.table), alarm));
        }
        Ok(())
    }

    /// Has the election thread take care of an entry at `at`, unless it is removed before.
    pub(super) fn add(&self, at: Timestamp, entry: Arc<Entry>) -> Place {
        let mut table = self.table.lock();
        let place = (at, table.next_key);
        table.next_key += 1;
        table.entries.insert(place, entry);
        let sooner = at < table.wakes;
        if sooner {
            table.wakes = at;
        }
        drop(table);
        if sooner {
            self.table.sooner.notify_one();
        }
        place
    }

    pub(super) fn remove(&self, place: Place) {
        let removed = self.table.lock().entries.remove(&place);
        // Dropped only now: it may be the last user of the client.
        drop(removed);
    }

    pub(super) fn close(&self) {
        self.table.lock().closed = true;
        self.table.sooner.notify_one();
    }
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, Table> {
        self.table.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// What is due now, and when to look again; `None` once there will be nothing more.
    fn take(&self, now: Timestamp) -> Option<(Vec<Arc<Entry>>, Timestamp)> {
        let mut table = self.lock();
        if table.closed {
            return None;
        }
        let later = table.entries.split_off(&(now, u64::MAX));
        let due = std::mem::replace(&mut table.entries, later);
        let next = table.entries.first_key_value();
        table.wakes = next.map_or(Timestamp::NEVER, |((at, _), _)| *at);
        Some((due.into_values().collect(), table.wakes))
    }
}

async fn watch(table: Arc<Shared>, mut alarm: Alarm) {
    while let Some((due, next)) = table.take(clock::now()) {
        due.iter().for_each(Entry::fall_due);
        drop(due);
        alarm.set(next);
        tokio::select! {
            () = alarm.ring() => {}
            () = table.sooner.notified() => {}
        }
    }
}

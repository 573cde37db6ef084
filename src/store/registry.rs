//! What is open in this process, so that all elections on one server share its connection.

use std::sync::{Arc, Mutex, PoisonError, Weak};

/// The things of one kind that are open, each under what it was opened with.
///
/// It holds no reference itself: a store that is no longer used is closed. A process opens a handful of
/// stores, so a list does. A forked child shares none with its parent, whose threads serve them.
pub(super) struct Registry<K, T: ?Sized> {
    entries: Mutex<Vec<Entry<K, T>>>,
}

struct Entry<K, T: ?Sized> {
    process: u32,
    key: K,
    open: Weak<T>,
}

impl<K: PartialEq, T: ?Sized> Registry<K, T> {
    pub(super) const fn new() -> Self {
        Self {
            entries: Mutex::new(Vec::new()),
        }
    }

    /// The one that is open under `key`, or a new one. Two callers at once get the same.
    pub(super) fn get_or_open<E>(
        &self,
        key: K,
        open: impl FnOnce(&K) -> Result<Arc<T>, E>,
    ) -> Result<Arc<T>, E> {
        let mut entries = self.entries.lock().unwrap_or_else(PoisonError::into_inner);
        entries.retain(|entry| entry.open.strong_count() > 0);
        let process = std::process::id();
        let is_it = |entry: &&Entry<K, T>| entry.process == process && entry.key == key;
        let found = entries.iter().find(is_it);
        if let Some(shared) = found.and_then(|entry| entry.open.upgrade()) {
            return Ok(shared);
        }
        let opened = open(&key)?;
        entries.push(Entry {
            process,
            key,
            open: Arc::downgrade(&opened),
        });
        Ok(opened)
    }
}

//! What is open in this process, so that all elections on one server share its connection.

use std::sync::{Arc, Mutex, PoisonError, Weak};

/// The things of one kind that are open, each under what it was opened with.
///
/// It holds no reference itself: a store that is no longer used is closed. A process opens a handful of
/// stores, so a list does.
pub(super) struct Registry<K, T: ?Sized> {
    entries: Mutex<Vec<(K, Weak<T>)>>,
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
        entries.retain(|(_, entry)| entry.strong_count() > 0);
        let found = entries.iter().find(|(known, _)| *known == key);
        if let Some(shared) = found.and_then(|(_, entry)| entry.upgrade()) {
            return Ok(shared);
        }
        let opened = open(&key)?;
        entries.push((key, Arc::downgrade(&opened)));
        Ok(opened)
    }
}

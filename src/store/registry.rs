//! What is open in this process, so that all elections on one server share its connection.

use std::sync::{Arc, Mutex, PoisonError, Weak};

use crate::once::Once;

/// The things of one kind that are open, each under what it was opened with.
///
/// It holds no reference itself: a store that is no longer used is closed. A process opens a handful of
/// stores, so a list does. A forked child shares none with its parent, whose threads serve them.
pub(super) struct Registry<K: 'static, T: ?Sized + 'static> {
    entries: Once<Mutex<Vec<Entry<K, T>>>>,
}

struct Entry<K, T: ?Sized> {
    key: K,
    open: Weak<T>,
}

impl<K: PartialEq, T: ?Sized> Registry<K, T> {
    pub(super) const fn new() -> Self {
        Self {
            entries: Once::new(),
        }
    }

    /// The one that is open under `key`, or a new one. Two callers at once get the same.
    pub(super) fn get_or_open<E>(
        &self,
        key: K,
        open: impl FnOnce(&K) -> Result<Arc<T>, E>,
    ) -> Result<Arc<T>, E> {
        let entries = self.entries.get_or_init(Mutex::default);
        let mut entries = entries.lock().unwrap_or_else(PoisonError::into_inner);
        entries.retain(|entry| entry.open.strong_count() > 0);
        let found = entries.iter().find(|entry| entry.key == key);
        if let Some(shared) = found.and_then(|entry| entry.open.upgrade()) {
            return Ok(shared);
        }
        let opened = open(&key)?;
        entries.push(Entry {
            key,
            open: Arc::downgrade(&opened),
        });
        Ok(opened)
    }
}

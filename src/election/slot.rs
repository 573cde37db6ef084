//! A value that several campaigns or threads of a process share. Each access is one read or one write, so a thread
//! that panicked leaves nothing half done.

use std::sync::{Mutex, PoisonError};

#[derive(Debug, Default)]
pub(super) struct Slot<T>(Mutex<T>);

impl<T> Slot<T> {
    pub(super) const fn new(value: T) -> Self {
        Self(Mutex::new(value))
    }

    /// Puts another value in its place, and returns the one before.
    pub(super) fn replace(&self, value: T) -> T {
        let mut kept = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        std::mem::replace(&mut kept, value)
    }

    pub(super) fn set(&self, value: T) {
        drop(self.replace(value));
    }
}

impl<T: Clone> Slot<T> {
    pub(super) fn get(&self) -> T {
        let kept = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        kept.clone()
    }
}

//! What a process starts once, and can fail to start.

use std::io;
use std::sync::{Mutex, OnceLock, PoisonError};

/// One value, made by the first use that succeeds.
pub(super) struct Once<T> {
    made: OnceLock<T>,
    making: Mutex<()>,
}

impl<T> Once<T> {
    pub(super) const fn new() -> Self {
        Self {
            made: OnceLock::new(),
            making: Mutex::new(()),
        }
    }

    /// The value, if it was made.
    pub(super) fn get(&self) -> Option<&T> {
        self.made.get()
    }

    /// Waits for the value.
    pub(super) fn wait(&self) -> &T {
        self.made.wait()
    }

    /// The value, made by `make` if there is none yet. Two callers at once get the same.
    pub(super) fn get_or_make(&self, make: impl FnOnce() -> io::Result<T>) -> io::Result<&T> {
        if let Some(made) = self.made.get() {
            return Ok(made);
        }
        let _alone = self.making.lock().unwrap_or_else(PoisonError::into_inner);
        match self.made.get() {
            Some(made) => Ok(made),
            None => make().map(|made| self.made.get_or_init(|| made)),
        }
    }
}

//! What a process starts once, and can fail to start.

use std::io;
use std::sync::{Mutex, OnceLock, PoisonError};

/// One value for each process, made by the first use that succeeds. A forked child makes its own, because the threads
/// that belong to the value of its parent stay in the parent.
pub(super) struct Once<T: 'static> {
    first: OnceLock<&'static Made<T>>,
}

/// The value of one process.
struct Made<T: 'static> {
    process: u32,
    value: OnceLock<T>,
    making: Mutex<()>,
    /// That of a child.
    next: OnceLock<&'static Self>,
}

impl<T> Once<T> {
    pub(super) const fn new() -> Self {
        Self {
            first: OnceLock::new(),
        }
    }

    /// The value, if it was made.
    pub(super) fn get(&self) -> Option<&'static T> {
        self.of_this_process().value.get()
    }

    /// Waits for the value.
    pub(super) fn wait(&self) -> &'static T {
        self.of_this_process().value.wait()
    }

    /// The value, made by `make` if there is none yet. Two callers at once get the same.
    pub(super) fn get_or_make(
        &self,
        make: impl FnOnce() -> io::Result<T>,
    ) -> io::Result<&'static T> {
        let own = self.of_this_process();
        if let Some(value) = own.value.get() {
            return Ok(value);
        }
        let _alone = own.making.lock().unwrap_or_else(PoisonError::into_inner);
        match own.value.get() {
            Some(value) => Ok(value),
            None => make().map(|value| own.value.get_or_init(|| value)),
        }
    }

    fn of_this_process(&self) -> &'static Made<T> {
        let process = std::process::id();
        let new = || -> &'static Made<T> {
            Box::leak(Box::new(Made {
                process,
                value: OnceLock::new(),
                making: Mutex::new(()),
                next: OnceLock::new(),
            }))
        };
        let mut own = *self.first.get_or_init(new);
        while own.process != process {
            own = own.next.get_or_init(new);
        }
        own
    }
}

//! What each process has one of: what it starts once, and can fail to start, and what all of its threads share.

use std::io;
use std::sync::{Mutex, OnceLock, PoisonError};

/// One value for each process, made by the first use that succeeds. A forked child makes its own, because the threads
/// that belong to the value of its parent, or hold a lock in it, stay in the parent.
pub(crate) struct Once<T: 'static> {
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
    pub(crate) const fn new() -> Self {
        Self {
            first: OnceLock::new(),
        }
    }

    /// The value, if it was made.
    pub(crate) fn get(&self) -> Option<&'static T> {
        self.of_this_process().value.get()
    }

    /// Waits for the value.
    pub(crate) fn wait(&self) -> &'static T {
        self.of_this_process().value.wait()
    }

    /// The value, made by `make` if there is none yet. Two callers at once get the same.
    pub(crate) fn get_or_make(
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

    /// The same for what cannot fail.
    pub(crate) fn get_or_init(&self, make: impl FnOnce() -> T) -> &'static T {
        self.of_this_process().value.get_or_init(make)
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

#[cfg(all(test, feature = "sqlite"))]
mod tests {
    use std::sync::Mutex;
    use std::time::Duration;

    use nix::libc;
    use rustix::process::{Pid, Signal, WaitOptions, kill_process, waitpid};

    use super::Once;
    use crate::election::clock;

    static COUNT: Once<Mutex<u32>> = Once::new();

    #[test]
    #[expect(unsafe_code, reason = "the library wraps no fork")]
    fn a_child_does_not_wait_for_a_lock_that_a_thread_of_its_parent_held() {
        let count = || COUNT.get_or_init(Mutex::default);
        let held = count().lock().unwrap();
        // SAFETY: the child only allocates, which is made ready for a fork, takes that lock, and ends.
        let child = match unsafe { libc::fork() } {
            0 => {
                let ended = i32::from(count().lock().is_err());
                // SAFETY: it takes a number.
                unsafe { libc::_exit(ended) }
            }
            child => Pid::from_raw(child).unwrap(),
        };
        let until = clock::now() + Duration::from_secs(60);
        let status = loop {
            match waitpid(Some(child), WaitOptions::NOHANG).unwrap() {
                Some((_, status)) => break status.exit_status(),
                None if clock::now() < until => std::thread::yield_now(),
                None => {
                    kill_process(child, Signal::KILL).unwrap();
                    panic!("the child waits for the lock of its parent");
                }
            }
        };
        assert_eq!(status, Some(0));
        drop(held);
    }
}

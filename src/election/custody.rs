//! Which thread keeps something that is held: its caller's, or the election thread once its first heartbeat is due.
//!
//! ```text
//!   Caller ──── due ────▶ ElectionThread ──── end ────▶ Over      the election thread resigns
//!     │ end                                              ▲
//!     ▼                                                  │
//!   Leaving ──── due, or the caller has done its part ───┘        whoever is first sends what is left to release
//! ```

use std::mem;
use std::sync::PoisonError;

use super::sync::{Mutex, MutexGuard};

/// Something that is held, and which thread keeps it: the caller's as `C`, the election thread as `E`. `R` are its
/// releases.
pub(super) struct Custody<C, E, R>(Mutex<State<C, E, R>>);

enum State<C, E, R> {
    Caller(C),
    ElectionThread(E),
    /// These releases are on their way from the caller.
    Leaving(R),
    Over,
}

/// How something that was held ends.
pub(super) enum End<E, T> {
    /// The election thread kept it, and resigns.
    Resign(E),
    /// The caller kept it, and sends its releases.
    Release(T),
}

impl<C, E, R> Custody<C, E, R> {
    /// Won by the caller.
    pub(super) fn with_caller(kept: C) -> Self {
        Self(Mutex::new(State::Caller(kept)))
    }

    /// Won by the election thread.
    pub(super) fn with_election_thread(kept: E) -> Self {
        Self(Mutex::new(State::ElectionThread(kept)))
    }

    /// The caller releases it already.
    pub(super) fn leaving(releases: R) -> Self {
        Self(Mutex::new(State::Leaving(releases)))
    }

    /// The caller releases it, which it does once. `leave` returns the releases.
    pub(super) fn end<T>(&self, leave: impl FnOnce(C) -> (R, T)) -> Option<End<E, T>> {
        let mut state = self.lock();
        match mem::replace(&mut *state, State::Over) {
            State::ElectionThread(kept) => Some(End::Resign(kept)),
            State::Caller(kept) => {
                let (releases, rest) = leave(kept);
                *state = State::Leaving(releases);
                Some(End::Release(rest))
            }
            State::Leaving(_) | State::Over => None,
        }
    }

    /// The election thread takes over. Returns the releases that it has to send, if the caller is not done with them.
    pub(super) fn fall_due(&self, adopt: impl FnOnce(C) -> E) -> Option<R> {
        let mut state = self.lock();
        *state = match mem::replace(&mut *state, State::Over) {
            State::Caller(kept) => State::ElectionThread(adopt(kept)),
            State::Leaving(releases) => return Some(releases),
            kept_or_over => kept_or_over,
        };
        None
    }

    /// The caller sends no more. Returns whether what is left of its releases is still its to hand on.
    pub(super) fn depart(&self) -> bool {
        matches!(
            mem::replace(&mut *self.lock(), State::Over),
            State::Leaving(_)
        )
    }

    fn lock(&self) -> MutexGuard<'_, State<C, E, R>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

//! The guard: a thread that ends the process when work outlives its deadline.
//!
//! It sleeps on a timer until the earliest deadline of all leaderships, and depends on no event loop and no
//! other thread.

use std::collections::BTreeMap;
use std::io;
use std::os::fd::OwnedFd;
use std::sync::{Arc, PoisonError};

use rustix::time::TimerfdFlags;

use super::alarm;
use super::clock;
use super::end::end_process;
use super::lease::Lease;
use super::sync::{Mutex, MutexGuard, thread};
use crate::once::Once;
use crate::protocol::{ElectionName, Timestamp};

/// What is called right before the process is killed.
#[derive(Clone)]
pub(super) struct KillHook(pub(super) Arc<dyn Fn(&Lease) + Send + Sync>);

impl Default for KillHook {
    fn default() -> Self {
        Self(Arc::new(|_| {}))
    }
}

impl std::fmt::Debug for KillHook {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("a hook")
    }
}

/// Keeps a lease under guard until it is dropped.
#[derive(Debug)]
pub(super) struct Guarded {
    guard: &'static Guard,
    key: u64,
}

impl Drop for Guarded {
    fn drop(&mut self) {
        // In a forked child it is that of the parent, whose lock another thread may have held.
        if GUARD.get().is_some_and(|own| std::ptr::eq(own, self.guard)) {
            self.guard.lock().leases.remove(&self.key);
        }
    }
}

/// Puts a lease under guard.
pub(super) fn watch(election: &ElectionName, lease: Lease, hook: KillHook) -> Guarded {
    let guard = guard();
    let mut state = guard.lock();
    let key = state.next_key;
    state.next_key += 1;
    let deadline = lease.deadline();
    state.leases.insert(key, (election.clone(), lease, hook));
    guard.wake_by(&mut state, deadline);
    Guarded { guard, key }
}

/// Makes the guard wake at `deadline`, which has moved closer: a deposed leader gets only a moment.
pub(super) fn hasten(deadline: Timestamp) {
    // Without a guard there is nothing to wake.
    if let Some(guard) = GUARD.get() {
        guard.wake_by(&mut guard.lock(), deadline);
    }
}

#[derive(Debug)]
struct Guard {
    timer: OwnedFd,
    state: Mutex<State>,
}

#[derive(Debug)]
struct State {
    leases: BTreeMap<u64, (ElectionName, Lease, KillHook)>,
    next_key: u64,
    armed: Timestamp,
}

static GUARD: Once<Guard> = Once::new();

/// Starts the guard.
///
/// # Errors
///
/// When the system refuses a thread or a timer. It can be retried.
pub(super) fn start() -> io::Result<()> {
    started().map(|_| ())
}

fn started() -> io::Result<&'static Guard> {
    GUARD.get_or_make(|| {
        let timer = alarm::create(TimerfdFlags::CLOEXEC)?;
        thread::Builder::new()
            .name("incumbent-guard".to_owned())
            .spawn(|| GUARD.wait().keep())?;
        Ok(Guard {
            timer,
            state: Mutex::new(State {
                leases: BTreeMap::new(),
                next_key: 0,
                armed: Timestamp::NEVER,
            }),
        })
    })
}

fn guard() -> &'static Guard {
    started().expect("the system has room for a thread and a timer of the deadlines")
}

impl Guard {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn wake_by(&self, state: &mut State, deadline: Timestamp) {
        if deadline < state.armed {
            state.armed = deadline;
            self.arm(deadline);
        }
    }

    fn arm(&self, at: Timestamp) {
        alarm::arm_early(&self.timer, at).expect("a valid time can be set on our timer");
    }

    fn keep(&self) -> ! {
        loop {
            alarm::wait(&self.timer).expect("our timer can be read");
            let now = clock::now();
            let mut state = self.lock();
            let mut next = Timestamp::NEVER;
            for (election, lease, hook) in state.leases.values() {
                if lease.has_work_ended() {
                    continue;
                }
                if lease.deadline() <= now {
                    // Work that goes on would act beside the next leader.
                    let why = format!(
                        "killing the process: its work as holder of {:?} did not end by the deadline of term {}, \
                         and another holder may act from now; work must end when it is asked to stop or a check fails",
                        election.as_str(),
                        lease.fencing_token()
                    );
                    let (hook, lease) = (hook.clone(), lease.clone());
                    end_process(why, move || (hook.0)(&lease));
                }
                next = next.min(lease.deadline());
            }
            state.armed = next;
            if next != Timestamp::NEVER {
                self.arm(next);
            }
        }
    }
}

//! The guard: a thread that ends the process when work outlives its deadline.
//!
//! It sleeps on a timer until the earliest deadline of all leaderships, and needs neither an
//! event loop nor anybody's cooperation.

use std::collections::BTreeMap;
use std::os::fd::OwnedFd;
use std::sync::{Mutex, MutexGuard, OnceLock, PoisonError};

use rustix::io::{Errno, read};
use rustix::time::TimerfdFlags;

use super::alarm;
use super::clock;
use super::end::end_process;
use super::lease::Lease;
use crate::protocol::Timestamp;

/// Keeps a lease under guard until it is dropped.
#[derive(Debug)]
pub(super) struct Guarded {
    key: u64,
}

impl Drop for Guarded {
    fn drop(&mut self) {
        guard().lock().leases.remove(&self.key);
    }
}

/// Puts a lease under guard.
pub(super) fn watch(lease: Lease) -> Guarded {
    let guard = guard();
    let mut state = guard.lock();
    let key = state.next_key;
    state.next_key += 1;
    let deadline = lease.deadline();
    state.leases.insert(key, lease);
    guard.wake_by(&mut state, deadline);
    Guarded { key }
}

/// Has the guard wake at `deadline`, which has come closer: a deposed leader gets only a moment.
pub(super) fn hasten(deadline: Timestamp) {
    // Without a guard nobody asked for one.
    if let Some(guard) = GUARD.get() {
        guard.wake_by(&mut guard.lock(), deadline);
    }
}

struct Guard {
    timer: OwnedFd,
    state: Mutex<State>,
}

struct State {
    leases: BTreeMap<u64, Lease>,
    next_key: u64,
    armed: Timestamp,
}

static GUARD: OnceLock<Guard> = OnceLock::new();

fn guard() -> &'static Guard {
    GUARD.get_or_init(|| {
        let timer =
            alarm::create(TimerfdFlags::CLOEXEC).expect("a timer for the deadlines can be created");
        std::thread::Builder::new()
            .name("incumbent-guard".to_owned())
            .spawn(|| guard().keep())
            .expect("a thread for the deadlines can be started");
        Guard {
            timer,
            state: Mutex::new(State {
                leases: BTreeMap::new(),
                next_key: 0,
                armed: Timestamp::NEVER,
            }),
        }
    })
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
        alarm::arm_early(&self.timer, at).expect("a valid time can be set on a timer of our own");
    }

    fn keep(&self) {
        loop {
            let mut expirations = [0; 8];
            match read(&self.timer, &mut expirations) {
                Ok(_) | Err(Errno::INTR) => {}
                Err(error) => panic!("the timer of the deadlines cannot be read: {error}"),
            }
            let now = clock::now();
            let mut state = self.lock();
            let mut next = Timestamp::NEVER;
            for lease in state.leases.values() {
                if lease.has_work_ended() {
                    continue;
                }
                if lease.deadline() <= now {
                    let term = lease.fencing_token();
                    // Work that goes on would act beside the next leader.
                    end_process(move || {
                        tracing::error!(
                            term,
                            "the work has outlived the tenure of its leadership: killing the process, so \
                             that no two act"
                        );
                    });
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

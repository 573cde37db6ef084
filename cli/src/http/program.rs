//! What is counted of the program that runs while its candidate leads: the command counts, and the metrics show it.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

/// Counts what happens to a program.
#[derive(Debug, Default)]
pub struct ProgramCounters {
    pub(super) up: AtomicBool,
    pub(super) starts: AtomicU64,
    pub(super) stops: AtomicU64,
    pub(super) stop_nanos: AtomicU64,
    /// By cause, in the order of [`KillCause::WORDS`].
    pub(super) kills: [AtomicU64; KillCause::WORDS.len()],
    pub(super) checks_passed: AtomicU64,
    pub(super) checks_failed: AtomicU64,
}

/// Why a program was killed.
#[derive(Clone, Copy, Debug)]
pub(crate) enum KillCause {
    /// It had not ended by its stop timeout.
    StopTimeout,
    /// It had not ended by the deadline of its leadership.
    Deadline,
    /// A person asked for it.
    Asked,
    /// Its keeper had died.
    KeeperLost,
}

impl KillCause {
    /// The causes as the metrics call them.
    pub(super) const WORDS: [&str; 4] = ["stop-timeout", "deadline", "asked", "keeper-lost"];
}

impl ProgramCounters {
    /// The program was started.
    pub(crate) fn started(&self) {
        self.up.store(true, Ordering::Relaxed);
        self.starts.fetch_add(1, Ordering::Relaxed);
    }

    /// The program has ended, `took` after it was asked to, if it was.
    pub(crate) fn ended(&self, took: Option<Duration>) {
        self.up.store(false, Ordering::Relaxed);
        if let Some(took) = took {
            let nanos = u64::try_from(took.as_nanos()).unwrap_or(u64::MAX);
            self.stops.fetch_add(1, Ordering::Relaxed);
            self.stop_nanos.fetch_add(nanos, Ordering::Relaxed);
        }
    }

    /// The program was killed.
    pub(crate) fn killed(&self, cause: KillCause) {
        self.kills[cause as usize].fetch_add(1, Ordering::Relaxed);
    }

    /// The health of the program was checked.
    pub(crate) fn checked(&self, passed: bool) {
        let counter = match passed {
            true => &self.checks_passed,
            false => &self.checks_failed,
        };
        counter.fetch_add(1, Ordering::Relaxed);
    }
}

//! Counters of the program that runs while its candidate leads.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

/// Counts what happens to a supervised program. The supervisor and the metrics share it.
#[derive(Debug, Default)]
pub struct ProgramCounters {
    up: AtomicBool,
    starts: AtomicU64,
    stops: AtomicU64,
    stop_nanos: AtomicU64,
    kills: [AtomicU64; KillCause::ALL.len()],
    checks_passed: AtomicU64,
    checks_failed: AtomicU64,
}

/// Why a program was killed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum KillCause {
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
    /// Every cause.
    pub const ALL: &[Self] = &[
        Self::StopTimeout,
        Self::Deadline,
        Self::Asked,
        Self::KeeperLost,
    ];

    /// The cause in one word, as the metrics call it.
    #[must_use]
    pub const fn word(self) -> &'static str {
        match self {
            Self::StopTimeout => "stop-timeout",
            Self::Deadline => "deadline",
            Self::Asked => "asked",
            Self::KeeperLost => "keeper-lost",
        }
    }
}

/// What [`ProgramCounters`] have counted, at one moment.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct ProgramMetrics {
    /// Whether the program runs.
    pub up: bool,
    /// How often it was started.
    pub starts: u64,
    /// How often it ended after it was asked to.
    pub stops: u64,
    /// How long it took to end, over all of these.
    pub stop_time: Duration,
    /// How often it was killed, by cause, in the order of [`KillCause::ALL`].
    pub kills: Vec<u64>,
    /// How many of its health checks it passed.
    pub checks_passed: u64,
    /// How many of its health checks it failed.
    pub checks_failed: u64,
}

impl ProgramCounters {
    /// The program was started.
    pub fn started(&self) {
        self.up.store(true, Ordering::Relaxed);
        self.starts.fetch_add(1, Ordering::Relaxed);
    }

    /// The program has ended, `took` after it was asked to, if it was.
    pub fn ended(&self, took: Option<Duration>) {
        self.up.store(false, Ordering::Relaxed);
        if let Some(took) = took {
            let nanos = u64::try_from(took.as_nanos()).unwrap_or(u64::MAX);
            self.stops.fetch_add(1, Ordering::Relaxed);
            self.stop_nanos.fetch_add(nanos, Ordering::Relaxed);
        }
    }

    /// The program was killed.
    pub fn killed(&self, cause: KillCause) {
        self.kills[cause as usize].fetch_add(1, Ordering::Relaxed);
    }

    /// The health of the program was checked.
    pub fn checked(&self, passed: bool) {
        let counter = if passed {
            &self.checks_passed
        } else {
            &self.checks_failed
        };
        counter.fetch_add(1, Ordering::Relaxed);
    }

    /// All counters as they are now.
    #[must_use]
    pub fn metrics(&self) -> ProgramMetrics {
        ProgramMetrics {
            up: self.up.load(Ordering::Relaxed),
            starts: self.starts.load(Ordering::Relaxed),
            stops: self.stops.load(Ordering::Relaxed),
            stop_time: Duration::from_nanos(self.stop_nanos.load(Ordering::Relaxed)),
            kills: self
                .kills
                .iter()
                .map(|kills| kills.load(Ordering::Relaxed))
                .collect(),
            checks_passed: self.checks_passed.load(Ordering::Relaxed),
            checks_failed: self.checks_failed.load(Ordering::Relaxed),
        }
    }
}

//! What an election counts, for metrics with and without a server.
//!
//! The counters are atomics that the driver adds to, so that a heartbeat costs no event and no lock.
//! Everything else is counted from the events, only here.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU8, AtomicU64, Ordering};
use std::time::Duration;

use super::EventKind;
use crate::protocol::{FencingToken, LossReason, Timestamp};

/// How the heartbeats of an election have gone.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum HeartbeatResult {
    /// The store granted it.
    Granted,
    /// The store refused it: the record has another holder.
    Refused,
    /// No usable answer came.
    Failed,
}

impl HeartbeatResult {
    /// Every result, in the order of [`Metrics::heartbeats`].
    pub const ALL: &[Self] = &[Self::Granted, Self::Refused, Self::Failed];

    /// The result in one word, as the metrics call it.
    #[must_use]
    pub const fn word(self) -> &'static str {
        match self {
            Self::Granted => "granted",
            Self::Refused => "refused",
            Self::Failed => "failed",
        }
    }
}

/// Every reason that a leader lives to count, in the order of [`Metrics::ended`].
pub const LOSS_REASONS: &[LossReason] = &[
    LossReason::Resigned,
    LossReason::Requested,
    LossReason::WorkEnded { status: None },
    LossReason::Panicked,
    LossReason::Deposed,
    LossReason::TenureEnded,
    LossReason::Suspended,
    LossReason::Unhealthy,
    LossReason::StoreForgot,
    LossReason::OtherStores,
    LossReason::KeeperDied,
];

/// What one election of this process has counted, at one moment.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct Metrics {
    /// How many campaigns are in progress in this process, leaders included.
    pub campaigns: u64,
    /// How many of them wait to be elected: not leaders, and not those whose work is still ending.
    pub standing_by: u64,
    /// The term that may act now, which is the fencing token; `None` when this process does not lead.
    /// Judged against the deadline when the metrics were taken.
    pub leading: Option<FencingToken>,
    /// How long the leader here may still act if no further heartbeat succeeds.
    pub tenure_remaining: Duration,
    /// Leaderships won.
    pub elected: u64,
    /// Claims that did not get a majority.
    pub claims_failed: u64,
    /// Leaderships that ended, by reason, in the order of [`LOSS_REASONS`].
    pub ended: Vec<u64>,
    /// Times that work outlived its tenure.
    pub overruns: u64,
    /// Heartbeats, by result, in the order of [`HeartbeatResult::ALL`].
    pub heartbeats: Vec<u64>,
    /// How long heartbeats took, from the request to the answer or the failure.
    pub heartbeat_seconds: Histogram,
    /// How long no one led while a campaign of this process watched, counting the gaps that are over. A gap
    /// continues from one campaign to the next when no one has led in between.
    pub leaderless: Duration,
    /// Whether an operator has paused the election, as a campaign of this process last saw it.
    pub paused: bool,
    /// Whether each store answered its last request, in configuration order.
    pub stores: Vec<StoreHealth>,
    /// How long ago a campaign of this process last turned its loop; `None` before the first.
    pub turned: Option<Duration>,
}

/// Whether a store answers.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct StoreHealth {
    /// Its label.
    pub store: Arc<str>,
    /// Whether it answered the last request; `None` before the first.
    pub up: Option<bool>,
}

/// A histogram of durations.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct Histogram {
    /// How many durations were at most as long as [`Histogram::BOUNDS`], each counted once, and how
    /// many were longer than the last.
    pub counts: Vec<u64>,
    /// The sum of all durations.
    pub sum: Duration,
}

impl Histogram {
    /// The upper bounds of the buckets, in seconds.
    pub const BOUNDS: &[f64] = &[
        0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0,
    ];

    /// How many durations there are.
    #[must_use]
    pub fn count(&self) -> u64 {
        self.counts.iter().sum()
    }
}

/// The counters behind [`Metrics`]. All of them only ever grow, except `campaigns`.
#[derive(Debug, Default)]
pub(crate) struct Counters {
    campaigns: AtomicU64,
    elected: AtomicU64,
    claims_failed: AtomicU64,
    ended: [AtomicU64; LOSS_REASONS.len()],
    overruns: AtomicU64,
    heartbeats: [AtomicU64; HeartbeatResult::ALL.len()],
    beat_counts: [AtomicU64; Histogram::BOUNDS.len() + 1],
    beat_nanos: AtomicU64,
    leaderless_nanos: AtomicU64,
    /// 0 before the first request, 1 when the store answered the last one, 2 when it did not.
    stores: Box<[AtomicU8]>,
    paused: AtomicBool,
    turned: AtomicU64,
}

const UP: u8 = 1;
const DOWN: u8 = 2;

impl Counters {
    pub(crate) fn new(stores: usize) -> Self {
        Self {
            stores: (0..stores).map(|_| AtomicU8::new(0)).collect(),
            ..Self::default()
        }
    }

    /// Counts an event.
    pub(crate) fn note(&self, kind: &EventKind) {
        match kind {
            EventKind::Campaigning => add(&self.campaigns, 1),
            EventKind::Elected { .. } => add(&self.elected, 1),
            EventKind::ClaimFailed { .. } => add(&self.claims_failed, 1),
            EventKind::Stopping { reason, .. } => {
                let same = |one: &LossReason| one.word() == reason.word();
                if let Some(at) = LOSS_REASONS.iter().position(same) {
                    add(&self.ended[at], 1);
                }
            }
            EventKind::Overrun { .. } => add(&self.overruns, 1),
            EventKind::Paused { .. } => self.paused.store(true, Ordering::Relaxed),
            EventKind::Resumed => self.paused.store(false, Ordering::Relaxed),
            EventKind::Following { .. }
            | EventKind::TermsUsedUp { .. }
            | EventKind::Leaderless { .. }
            | EventKind::Claiming { .. }
            | EventKind::Probation { .. }
            | EventKind::StoreJoined { .. }
            | EventKind::StoreParted { .. }
            | EventKind::Released { .. }
            | EventKind::StoreDown { .. }
            | EventKind::StoreUp { .. } => {}
        }
    }

    /// A campaign is over.
    pub(crate) fn campaign_over(&self) {
        self.campaigns.fetch_sub(1, Ordering::Relaxed);
        // A later campaign sees for itself.
        self.paused.store(false, Ordering::Relaxed);
    }

    /// The loop of a campaign has turned.
    pub(crate) fn turned(&self, now: Timestamp) {
        self.turned.store(now.as_nanos(), Ordering::Relaxed);
    }

    pub(crate) fn heartbeat(&self, result: HeartbeatResult, took: Duration) {
        add(&self.heartbeats[result as usize], 1);
        let seconds = took.as_secs_f64();
        let bucket = Histogram::BOUNDS.partition_point(|bound| *bound < seconds);
        add(&self.beat_counts[bucket], 1);
        add(&self.beat_nanos, nanos(took));
    }

    pub(crate) fn leaderless(&self, gap: Duration) {
        add(&self.leaderless_nanos, nanos(gap));
    }

    pub(crate) fn store(&self, index: usize, up: bool) {
        if let Some(store) = self.stores.get(index) {
            store.store(if up { UP } else { DOWN }, Ordering::Relaxed);
        }
    }

    /// All counters as they are at `now`. The caller fills in the lease.
    pub(crate) fn snapshot<'a>(
        &self,
        now: Timestamp,
        labels: impl Iterator<Item = &'a str>,
    ) -> Metrics {
        let turned = self.turned.load(Ordering::Relaxed);
        Metrics {
            campaigns: get(&self.campaigns),
            standing_by: get(&self.campaigns),
            leading: None,
            tenure_remaining: Duration::ZERO,
            elected: get(&self.elected),
            claims_failed: get(&self.claims_failed),
            ended: self.ended.iter().map(get).collect(),
            overruns: get(&self.overruns),
            heartbeats: self.heartbeats.iter().map(get).collect(),
            heartbeat_seconds: Histogram {
                counts: self.beat_counts.iter().map(get).collect(),
                sum: Duration::from_nanos(get(&self.beat_nanos)),
            },
            leaderless: Duration::from_nanos(get(&self.leaderless_nanos)),
            paused: self.paused.load(Ordering::Relaxed),
            stores: labels
                .zip(self.stores.iter())
                .map(|(label, up)| StoreHealth {
                    store: label.into(),
                    up: match up.load(Ordering::Relaxed) {
                        UP => Some(true),
                        DOWN => Some(false),
                        _ => None,
                    },
                })
                .collect(),
            turned: (turned > 0).then(|| now.since(Timestamp::from_nanos(turned))),
        }
    }
}

fn add(counter: &AtomicU64, by: u64) {
    counter.fetch_add(by, Ordering::Relaxed);
}

fn get(counter: &AtomicU64) -> u64 {
    counter.load(Ordering::Relaxed)
}

fn nanos(duration: Duration) -> u64 {
    u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_heartbeat_falls_into_the_first_bucket_whose_bound_it_does_not_exceed() {
        let counters = Counters::new(1);
        for millis in [0, 1, 2, 1000, 1001, 10_001] {
            counters.heartbeat(HeartbeatResult::Granted, Duration::from_millis(millis));
        }
        let metrics = counters.snapshot(Timestamp::ZERO, std::iter::empty());
        let expected = [1, 1, 1, 0, 0, 0, 0, 0, 0, 0, 1, 1, 0, 0, 1];
        assert_eq!(metrics.heartbeat_seconds.counts, expected);
        assert_eq!(metrics.heartbeat_seconds.sum, Duration::from_millis(12_005));
        assert_eq!(metrics.heartbeats, [6, 0, 0]);
    }

    #[test]
    fn every_loss_is_counted_under_its_own_reason() {
        let counters = Counters::new(1);
        for reason in LOSS_REASONS.iter().copied() {
            counters.note(&EventKind::Stopping {
                term: FencingToken::ZERO,
                reason,
                within: Duration::ZERO,
            });
        }
        let metrics = counters.snapshot(Timestamp::ZERO, std::iter::empty());
        assert_eq!(metrics.ended, [1; LOSS_REASONS.len()]);
    }
}

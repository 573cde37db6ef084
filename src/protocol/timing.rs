//! The timing of an election, checked once: a [`Timing`] is the proof.

use std::time::Duration;

use crate::values::{InvalidTiming, MAX_WINDOW, TimingConfig};

/// A timing for which this holds:
///
/// ```text
/// window = interval × stall_polls
/// margin = max(window × 2 %, 50 ms)
/// interval + op_timeout + stop_grace + margin < window,   op_timeout ≤ interval
/// ```
///
/// # Examples
///
/// ```
/// use std::time::Duration;
/// use incumbent::protocol::{Timing, TimingConfig};
///
/// let timing = Timing::new(&TimingConfig::default())?;
/// assert_eq!(timing.window(), Duration::from_secs(5));
/// assert_eq!(timing.tenure(), Duration::from_millis(4900));
///
/// let hasty = TimingConfig { stall_polls: 2, ..TimingConfig::default() };
/// let error = Timing::new(&hasty).unwrap_err().to_string();
/// assert!(error.contains("stall_polls = 4"), "{error}");
/// # Ok::<(), incumbent::protocol::InvalidTiming>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Timing {
    interval: Duration,
    stall_polls: u32,
    stop_grace: Duration,
    op_timeout: Duration,
    margin: Duration,
    probation: Duration,
}

impl Timing {
    /// The smallest margin for clock drift and scheduling.
    pub const MIN_MARGIN: Duration = Duration::from_millis(50);
    /// The longest window: a day. It bounds every wait of the protocol.
    pub const MAX_WINDOW: Duration = MAX_WINDOW;

    /// How long a leader with this window may act after it sent the last heartbeat that a majority
    /// acknowledged: the tenure of another candidate, from its record.
    #[must_use]
    pub fn tenure_of(window: Duration) -> Duration {
        window.saturating_sub(margin_of(window))
    }

    /// Checks a configuration.
    ///
    /// # Errors
    ///
    /// [`InvalidTiming`] names the inequality that is broken, with the numbers, and a setting that
    /// would work.
    pub fn new(config: &TimingConfig) -> Result<Self, InvalidTiming> {
        let (interval, stall_polls) = (config.interval, config.stall_polls);
        let stop_grace = config.stop_grace;
        let by_default = interval.min(Duration::from_secs(1));
        let op_timeout = config.op_timeout.unwrap_or(by_default);
        let positive = [
            ("interval", !interval.is_zero()),
            ("stall_polls", stall_polls > 0),
            ("op_timeout", !op_timeout.is_zero()),
        ];
        if let Some((field, _)) = positive.into_iter().find(|(_, is)| !is) {
            return Err(InvalidTiming::Zero { field });
        }
        if op_timeout > interval {
            return Err(InvalidTiming::OpTimeout {
                op_timeout,
                interval,
            });
        }
        let window = allowed_window(interval, stall_polls);
        let window = window.ok_or(InvalidTiming::WindowTooLong {
            interval,
            stall_polls,
        })?;
        let margin = margin_of(window);
        let needed = [op_timeout, stop_grace, margin]
            .iter()
            .try_fold(interval, |sum, part| sum.checked_add(*part));
        if needed.is_none_or(|needed| needed >= window) {
            return Err(InvalidTiming::WindowTooShort {
                interval,
                op_timeout,
                stop_grace,
                margin,
                window,
                stall_polls: enough_polls(interval, op_timeout, stop_grace),
            });
        }
        let probation = config.probation.unwrap_or(window);
        if probation < window || probation > Self::MAX_WINDOW {
            return Err(InvalidTiming::Probation { probation, window });
        }
        Ok(Self {
            interval,
            stall_polls,
            stop_grace,
            op_timeout,
            margin,
            probation,
        })
    }

    /// Time between two heartbeats, and between two polls.
    #[must_use]
    pub const fn interval(&self) -> Duration {
        self.interval
    }

    /// How many polls a counter must stall.
    #[must_use]
    pub const fn stall_polls(&self) -> u32 {
        self.stall_polls
    }

    /// How much time the work gets to stop by itself before the end of the tenure.
    #[must_use]
    pub const fn stop_grace(&self) -> Duration {
        self.stop_grace
    }

    /// How long one request may take.
    #[must_use]
    pub const fn op_timeout(&self) -> Duration {
        self.op_timeout
    }

    /// The allowance for clock drift and scheduling.
    #[must_use]
    pub const fn margin(&self) -> Duration {
        self.margin
    }

    /// How long a candidate waits before it acts when stores may have forgotten a leader.
    #[must_use]
    pub const fn probation(&self) -> Duration {
        self.probation
    }

    /// How long a counter must stall before anyone may take over.
    #[must_use]
    pub const fn window(&self) -> Duration {
        self.interval.saturating_mul(self.stall_polls)
    }

    /// How long a leader may act after it sent the last heartbeat that a majority acknowledged.
    #[must_use]
    pub const fn tenure(&self) -> Duration {
        self.window().saturating_sub(self.margin)
    }

    /// How long an outage of the stores lasts at least without a change of leader: it may begin right
    /// before a heartbeat is sent, and one heartbeat must get through before the work is asked to
    /// stop.
    #[must_use]
    pub const fn tolerated_outage(&self) -> Duration {
        self.tenure()
            .saturating_sub(self.stop_grace)
            .saturating_sub(self.interval)
            .saturating_sub(self.op_timeout)
    }

    /// How long it takes at most to replace a leader that died without releasing, while the stores
    /// answer (`L3`).
    #[must_use]
    pub const fn worst_failover(&self) -> Duration {
        self.window()
            .saturating_add(self.interval.saturating_mul(2))
    }
}

impl Default for Timing {
    /// The default timing: 1 s × 5.
    fn default() -> Self {
        Self::new(&TimingConfig::default()).expect("the default timing satisfies its inequality")
    }
}

fn margin_of(window: Duration) -> Duration {
    (window / 50).max(Timing::MIN_MARGIN)
}

/// The window, unless it is too long.
fn allowed_window(interval: Duration, stall_polls: u32) -> Option<Duration> {
    let window = interval.checked_mul(stall_polls);
    window.filter(|window| *window <= Timing::MAX_WINDOW)
}

/// The smallest number of polls that satisfies the inequality, if any up to the longest window does.
fn enough_polls(interval: Duration, op_timeout: Duration, stop_grace: Duration) -> Option<u32> {
    let fixed = interval.checked_add(op_timeout)?.checked_add(stop_grace)?;
    // Beside its margin, a window has 49 fiftieths of itself, and all of it but the smallest margin.
    let proportional = fixed.as_nanos() * 50 / 49;
    let exceeded = proportional.max(fixed.as_nanos() + Timing::MIN_MARGIN.as_nanos());
    let polls = u32::try_from(exceeded / interval.as_nanos() + 1).ok()?;
    allowed_window(interval, polls).map(|_| polls)
}

//! The timing of an election, validated once: a [`Timing`] is the proof.

use std::time::Duration;

/// What a user may choose about the timing. Every field left `None` follows from the others.
///
/// ```text
/// window = interval × stall_polls
/// margin = max(window × 2 %, 50 ms)
/// interval + op_timeout + stop_grace + margin < window,   op_timeout ≤ interval
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TimingConfig {
    /// Time between two heartbeats of a leader, and between two polls of a standby. Shorter means
    /// faster failover and more requests. Default 1 s.
    pub interval: Duration,
    /// How many polls a counter must stall before a standby may take over. More polls tolerate longer
    /// outages of the store, and replace a dead host later. Default 5.
    pub stall_polls: u32,
    /// How long before the end of its tenure a leader that cannot reach its stores starts to stop its
    /// work. It shortens the outage that a leader survives. Default 1 s.
    pub stop_grace: Duration,
    /// How long one request may take. Default: one interval, at most 1 s.
    pub op_timeout: Option<Duration>,
    /// How long a candidate waits before it acts when stores that elected it may have forgotten a
    /// leader. At least the window, which is the default. While candidates with different windows are
    /// mixed it must be the largest of them: a store that forgot does not know its leader's window.
    pub probation: Option<Duration>,
}

impl Default for TimingConfig {
    fn default() -> Self {
        Self {
            interval: Duration::from_secs(1),
            stall_polls: 5,
            stop_grace: Duration::from_secs(1),
            op_timeout: None,
            probation: None,
        }
    }
}

/// A timing for which the inequality of [`TimingConfig`] holds.
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
    pub const MAX_WINDOW: Duration = Duration::from_secs(24 * 60 * 60);

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
        let TimingConfig {
            interval,
            stall_polls,
            stop_grace,
            ..
        } = *config;
        if interval.is_zero() {
            return Err(InvalidTiming::Zero { field: "interval" });
        }
        if stall_polls == 0 {
            return Err(InvalidTiming::Zero {
                field: "stall_polls",
            });
        }
        let op_timeout = config
            .op_timeout
            .unwrap_or_else(|| interval.min(Duration::from_secs(1)));
        if op_timeout.is_zero() {
            return Err(InvalidTiming::Zero {
                field: "op_timeout",
            });
        }
        if op_timeout > interval {
            return Err(InvalidTiming::OpTimeout {
                op_timeout,
                interval,
            });
        }
        let window = match interval.checked_mul(stall_polls) {
            Some(window) if window <= Self::MAX_WINDOW => window,
            Some(_) | None => {
                return Err(InvalidTiming::WindowTooLong {
                    interval,
                    stall_polls,
                });
            }
        };
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

/// The smallest number of polls that satisfies the inequality, if any up to the longest window does.
fn enough_polls(interval: Duration, op_timeout: Duration, stop_grace: Duration) -> Option<u32> {
    let fixed = interval.checked_add(op_timeout)?.checked_add(stop_grace)?;
    let holds = |polls: u32| {
        interval
            .checked_mul(polls)
            .filter(|window| *window <= Timing::MAX_WINDOW)
            .is_some_and(|window| fixed.saturating_add(margin_of(window)) < window)
    };
    // The slack grows with the number of polls, so bisection finds the first that holds.
    let (mut low, mut high) = (
        1,
        u32::try_from(Timing::MAX_WINDOW.as_nanos() / interval.as_nanos()).unwrap_or(u32::MAX),
    );
    if !holds(high) {
        return None;
    }
    while low < high {
        let middle = low + (high - low) / 2;
        if holds(middle) {
            high = middle;
        } else {
            low = middle + 1;
        }
    }
    Some(low)
}

/// Which inequality of [`TimingConfig`] does not hold, with the numbers.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum InvalidTiming {
    /// A value that must be positive is zero.
    #[error("{field} must be greater than 0: remove it for the default")]
    Zero {
        /// Which one.
        field: &'static str,
    },
    /// A request may take longer than an interval.
    #[error(
        "op_timeout ≤ interval does not hold: {op_timeout:?} > {interval:?}; set op_timeout = {interval:?}"
    )]
    OpTimeout {
        /// The timeout given.
        op_timeout: Duration,
        /// The interval given.
        interval: Duration,
    },
    /// The window exceeds [`Timing::MAX_WINDOW`], or overflows.
    #[error(
        "interval × stall_polls ≤ {max:?} does not hold: {interval:?} × {stall_polls}; {}",
        shorter(.interval), max = Timing::MAX_WINDOW
    )]
    WindowTooLong {
        /// The interval given.
        interval: Duration,
        /// The number of polls given.
        stall_polls: u32,
    },
    /// `interval + op_timeout + stop_grace + margin < window` does not hold.
    #[error(
        "interval + op_timeout + stop_grace + margin < interval × stall_polls does not hold: {interval:?} + \
         {op_timeout:?} + {stop_grace:?} + {margin:?} ≥ {window:?}; {}",
        longer(.stall_polls)
    )]
    WindowTooShort {
        /// The interval given.
        interval: Duration,
        /// The timeout in force.
        op_timeout: Duration,
        /// The grace given.
        stop_grace: Duration,
        /// The resulting margin.
        margin: Duration,
        /// The resulting window.
        window: Duration,
        /// The smallest number of polls with which it holds.
        stall_polls: Option<u32>,
    },
    /// No timing with the other choices replaces a dead host that soon.
    #[error(
        "failover = {failover:?} is too short; failover = {smallest:?} is the smallest that works"
    )]
    Failover {
        /// The failover time given.
        failover: Duration,
        /// The smallest that works.
        smallest: Duration,
    },
    /// The probation is shorter than the window, or longer than [`Timing::MAX_WINDOW`].
    #[error(
        "window ≤ probation ≤ {max:?} does not hold: the window is {window:?} and the probation {probation:?}; set \
         probation = {window:?}, or the largest window of all candidates",
        max = Timing::MAX_WINDOW
    )]
    Probation {
        /// The probation given.
        probation: Duration,
        /// The window in force.
        window: Duration,
    },
}

/// What would satisfy the limit on the window.
fn shorter(interval: &Duration) -> String {
    match u32::try_from(Timing::MAX_WINDOW.as_nanos() / interval.as_nanos()) {
        Ok(polls) if polls > 0 => format!("stall_polls = {polls} is the most"),
        Ok(_) | Err(_) => "set a shorter interval".to_owned(),
    }
}

/// What would satisfy the inequality.
fn longer(stall_polls: &Option<u32>) -> String {
    match stall_polls {
        Some(polls) => format!("stall_polls = {polls} would work"),
        None => "set a longer interval or a shorter stop_grace".to_owned(),
    }
}

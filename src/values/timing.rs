//! The timing that people choose, and why one is refused.

use std::time::Duration;

/// The longest window: a day.
pub(crate) const MAX_WINDOW: Duration = Duration::from_secs(24 * 60 * 60);

/// What a user may choose about the timing. Every field left `None` follows from the others.
/// [`Timing`](crate::protocol::Timing) says what has to hold.
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

/// Which inequality of a [`Timing`](crate::protocol::Timing) does not hold, with the numbers.
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
    /// The window exceeds [`MAX_WINDOW`](crate::protocol::Timing::MAX_WINDOW), or overflows.
    #[error(
        "interval × stall_polls ≤ {max:?} does not hold: {interval:?} × {stall_polls}; {}",
        shorter(.interval), max = MAX_WINDOW
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
    /// The probation is shorter than the window, or longer than [`MAX_WINDOW`](crate::protocol::Timing::MAX_WINDOW).
    #[error(
        "window ≤ probation ≤ {max:?} does not hold: the window is {window:?} and the probation {probation:?}; set \
         probation = {window:?}, or the largest window of all candidates",
        max = MAX_WINDOW
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
    match u32::try_from(MAX_WINDOW.as_nanos() / interval.as_nanos()) {
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

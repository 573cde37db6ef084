//! One setting for the timing: how soon a dead host is replaced, and what follows from that.

use std::time::Duration;

use crate::protocol::{InvalidTiming, Timing, TimingConfig};

/// What the user chose of a timing; a `None` follows from `failover`, or is the default without it.
///
/// ```text
/// interval    = failover / (stall_polls + 2), in whole milliseconds
/// stall_polls = 5; with a chosen interval, as many as fit
/// stop_grace  = interval
/// ```
///
/// # Examples
///
/// ```
/// use std::time::Duration;
/// use incumbent::election::TimingChoices;
/// use incumbent::protocol::Timing;
///
/// let choices = TimingChoices {
///     failover: Some(Duration::from_millis(700)),
///     ..TimingChoices::default()
/// };
/// let timing = Timing::new(&choices.config()?)?;
/// assert_eq!(timing.interval(), Duration::from_millis(100));
/// assert_eq!(timing.worst_failover(), Duration::from_millis(700));
/// # Ok::<(), incumbent::protocol::InvalidTiming>(())
/// ```
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct TimingChoices {
    /// The time within which a dead host is replaced, while the stores answer.
    pub failover: Option<Duration>,
    /// [`TimingConfig::interval`].
    pub interval: Option<Duration>,
    /// [`TimingConfig::stall_polls`].
    pub stall_polls: Option<u32>,
    /// [`TimingConfig::stop_grace`].
    pub stop_grace: Option<Duration>,
    /// [`TimingConfig::op_timeout`].
    pub op_timeout: Option<Duration>,
    /// [`TimingConfig::probation`].
    pub probation: Option<Duration>,
}

impl TimingChoices {
    /// The polls that a takeover waits for unless chosen: those of the default timing.
    const STALL_POLLS: u32 = 5;

    /// The configuration that results. Without `failover` it may be one that [`Timing::new`] refuses.
    ///
    /// # Errors
    ///
    /// [`InvalidTiming::Failover`] when no timing with these choices is that quick, with the smallest failover
    /// time that works.
    pub fn config(&self) -> Result<TimingConfig, InvalidTiming> {
        let Some(failover) = self.failover else {
            return Ok(self.by_default());
        };
        if failover.is_zero() {
            return Err(InvalidTiming::Zero { field: "failover" });
        }
        self.within(failover)
            .map_err(|error| match self.smallest_above(failover) {
                Some(smallest) => InvalidTiming::Failover { failover, smallest },
                None => error,
            })
    }

    fn by_default(&self) -> TimingConfig {
        let default = TimingConfig::default();
        TimingConfig {
            interval: self.interval.unwrap_or(default.interval),
            stall_polls: self.stall_polls.unwrap_or(default.stall_polls),
            stop_grace: self.stop_grace.unwrap_or(default.stop_grace),
            op_timeout: self.op_timeout,
            probation: self.probation,
        }
    }

    /// The configuration whose worst failover is at most this, if there is a valid one.
    fn within(&self, failover: Duration) -> Result<TimingConfig, InvalidTiming> {
        let polls = self.stall_polls.unwrap_or(Self::STALL_POLLS);
        let interval = self.interval.unwrap_or_else(|| {
            let millis = failover.as_millis() / (u128::from(polls) + 2);
            Duration::from_millis(u64::try_from(millis).unwrap_or(u64::MAX))
        });
        let fitting = || {
            let fit = failover.as_nanos().checked_div(interval.as_nanos());
            u32::try_from(fit.unwrap_or(0).saturating_sub(2)).unwrap_or(u32::MAX)
        };
        let config = TimingConfig {
            interval,
            stall_polls: match (self.stall_polls, self.interval) {
                (None, Some(_)) => fitting(),
                _ => polls,
            },
            stop_grace: self.stop_grace.unwrap_or(interval),
            op_timeout: self.op_timeout,
            probation: self.probation,
        };
        let timing = Timing::new(&config)?;
        if timing.worst_failover() > failover {
            return Err(InvalidTiming::Failover {
                failover,
                smallest: timing.worst_failover(),
            });
        }
        Ok(config)
    }

    /// The smallest failover time above this one, in whole milliseconds, that a timing can keep.
    fn smallest_above(&self, failover: Duration) -> Option<Duration> {
        let works = |millis: u64| self.within(Duration::from_millis(millis)).is_ok();
        let refused = u64::try_from(failover.as_millis()).ok()?;
        // A timing that keeps a failover time keeps every longer one, up to the longest window.
        let (mut low, mut step) = (refused, 1);
        while !works(low.checked_add(step)?) {
            low += step;
            step = step.checked_mul(2)?;
            if Duration::from_millis(low) > Timing::MAX_WINDOW * 2 {
                return None;
            }
        }
        let mut high = low + step;
        while high - low > 1 {
            let middle = low + (high - low) / 2;
            if works(middle) {
                high = middle;
            } else {
                low = middle;
            }
        }
        Some(Duration::from_millis(high))
    }
}

impl From<TimingConfig> for TimingChoices {
    fn from(config: TimingConfig) -> Self {
        Self {
            failover: None,
            interval: Some(config.interval),
            stall_polls: Some(config.stall_polls),
            stop_grace: Some(config.stop_grace),
            op_timeout: config.op_timeout,
            probation: config.probation,
        }
    }
}

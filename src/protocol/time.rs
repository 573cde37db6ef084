//! Instants of the two clocks: the one that decides, and wall time, which is for people.

use std::fmt;
use std::time::Duration;

/// An instant of the clock that decides leadership: nanoseconds since the machine booted, including
/// suspended time and without NTP adjustments (`CLOCK_MONOTONIC_RAW` in `clock_gettime(2)`).
///
/// The protocol only receives instants; it never reads a clock. Arithmetic saturates, so no
/// configuration and no peer can make it wrap.
///
/// # Examples
///
/// ```
/// use std::time::Duration;
/// use incumbent::protocol::Timestamp;
///
/// let sent = Timestamp::from_nanos(5_000_000_000);
/// assert_eq!(sent + Duration::from_secs(1), Timestamp::from_nanos(6_000_000_000));
/// assert_eq!(sent.since(sent + Duration::from_secs(1)), Duration::ZERO);
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Timestamp(u64);

impl Timestamp {
    /// The moment of boot.
    pub const ZERO: Self = Self(0);
    /// Further away than any deadline: a wake-up that never happens.
    pub const NEVER: Self = Self(u64::MAX);

    /// The instant `nanos` nanoseconds after boot.
    #[must_use]
    pub const fn from_nanos(nanos: u64) -> Self {
        Self(nanos)
    }

    /// Nanoseconds since boot.
    #[must_use]
    pub const fn as_nanos(self) -> u64 {
        self.0
    }

    /// The time from `earlier` to this instant; zero when `earlier` is later.
    #[must_use]
    pub const fn since(self, earlier: Self) -> Duration {
        Duration::from_nanos(self.0.saturating_sub(earlier.0))
    }

    /// This instant moved back by `duration`, not before boot.
    #[must_use]
    pub fn before(self, duration: Duration) -> Self {
        Self(self.0.saturating_sub(nanos(duration)))
    }
}

impl std::ops::Add<Duration> for Timestamp {
    type Output = Self;

    fn add(self, duration: Duration) -> Self {
        Self(self.0.saturating_add(nanos(duration)))
    }
}

fn nanos(duration: Duration) -> u64 {
    u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX)
}

/// Milliseconds since the Unix epoch on a store's own clock.
///
/// It numbers terms and is shown to people. It never decides who leads, because wall clocks jump.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct WallMillis(u64);

impl WallMillis {
    /// The epoch.
    pub const ZERO: Self = Self(0);
    /// The largest value accepted from a store: in the year 2109, whose terms are half of the largest [`Term`].
    ///
    /// [`Term`]: super::Term
    pub const MAX: Self = Self(1 << 42);

    /// These milliseconds since the epoch, or `None` above [`WallMillis::MAX`].
    #[must_use]
    pub const fn new(millis: u64) -> Option<Self> {
        if millis <= Self::MAX.0 {
            Some(Self(millis))
        } else {
            None
        }
    }

    /// Milliseconds since the epoch.
    #[must_use]
    pub const fn get(self) -> u64 {
        self.0
    }

    /// This moment moved on by `duration`, at most to the last one.
    pub(super) fn after(self, duration: Duration) -> Self {
        let millis = u64::try_from(duration.as_millis()).unwrap_or(u64::MAX);
        Self::new(self.0.saturating_add(millis)).unwrap_or(Self::MAX)
    }
}

impl fmt::Display for WallMillis {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

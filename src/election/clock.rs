//! The clock that decides: boot time, which goes on while the machine is suspended.

use std::time::{SystemTime, UNIX_EPOCH};

use rustix::time::{ClockId, clock_gettime};

use crate::protocol::{Timestamp, WallMillis};

/// This moment on `CLOCK_BOOTTIME` (`clock_gettime(2)`).
///
/// `std::time::Instant` is `CLOCK_MONOTONIC`, which stops while the machine sleeps: a leader that wakes
/// up would believe that its tenure has only begun.
#[must_use]
pub fn now() -> Timestamp {
    let time = clock_gettime(ClockId::Boottime);
    let seconds = u64::try_from(time.tv_sec).unwrap_or(0);
    let nanos = u64::try_from(time.tv_nsec).unwrap_or(0);
    Timestamp::from_nanos(seconds.saturating_mul(1_000_000_000).saturating_add(nanos))
}

/// This host's wall clock, for people. It decides nothing.
#[must_use]
#[expect(
    clippy::disallowed_methods,
    reason = "this is the one place that reads the wall clock"
)]
pub fn wall() -> WallMillis {
    let since = SystemTime::now().duration_since(UNIX_EPOCH);
    let millis = since.map_or(0, |since| since.as_millis());
    let millis = u64::try_from(millis).unwrap_or(u64::MAX);
    WallMillis::new(millis).unwrap_or(WallMillis::MAX)
}

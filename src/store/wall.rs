//! The wall clock of this host, and milliseconds.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use crate::protocol::WallMillis;

/// This host's wall clock. It numbers terms and is shown to people; it decides nothing.
#[expect(
    clippy::disallowed_methods,
    reason = "this is the one place that reads the wall clock"
)]
pub(crate) fn wall_clock() -> WallMillis {
    let since_epoch = SystemTime::now().duration_since(UNIX_EPOCH);
    WallMillis::new(millis(since_epoch.unwrap_or_default())).unwrap_or(WallMillis::MAX)
}

/// Whole milliseconds.
pub(crate) fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}

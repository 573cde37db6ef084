//! How long the thread of a store may wait for other processes: SQLite's busy handler, and its clock.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use rustix::time::{ClockId, clock_gettime};

use crate::protocol::Timestamp;

/// The moment at which to stop waiting, shared with the busy handler of the connection.
///
/// SQLite's own handler backs off so far that a process can starve for seconds among others that take
/// turns; this one asks again every 0.5 to 1 ms until the moment has come.
#[derive(Clone, Debug, Default)]
pub(super) struct Patience(Arc<AtomicU64>);

impl Patience {
    pub(super) fn until(&self, moment: Timestamp) {
        self.0.store(moment.as_nanos(), Ordering::Relaxed);
    }

    /// Sleeps a little and returns true, or returns false when there is no time left.
    pub(super) fn wait(&self) -> bool {
        if boot_time().as_nanos() >= self.0.load(Ordering::Relaxed) {
            return false;
        }
        std::thread::sleep(Duration::from_micros(fastrand::u64(500..1000)));
        true
    }
}

/// The clock that decides, as `election::clock` reads it; layers above are not in reach from here.
pub(super) fn boot_time() -> Timestamp {
    let now = clock_gettime(ClockId::Boottime);
    let nanos = u64::try_from(now.tv_nsec).unwrap_or_default();
    let seconds = u64::try_from(now.tv_sec).unwrap_or_default();
    Timestamp::from_nanos(seconds.saturating_mul(1_000_000_000).saturating_add(nanos))
}

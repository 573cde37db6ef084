//! How long the thread of a store may wait for other processes: SQLite's busy handler, and its clock.

use std::cell::Cell;
use std::time::Duration;

use rustix::time::{ClockId, clock_gettime};

use crate::protocol::Timestamp;

thread_local! {
    /// The moment at which this thread stops waiting: each store has one thread.
    static UNTIL: Cell<Timestamp> = const { Cell::new(Timestamp::ZERO) };
}

/// Has this thread wait until a moment.
pub(super) fn until(moment: Timestamp) {
    UNTIL.set(moment);
}

/// The busy handler of a connection: sleeps a little and returns true, or returns false when there is no time
/// left.
///
/// SQLite's own handler backs off so far that a process can starve for seconds among others that take
/// turns; this one asks again every 0.5 to 1 ms until the moment has come.
pub(super) fn wait(_asked_before: i32) -> bool {
    if boot_time() >= UNTIL.get() {
        return false;
    }
    std::thread::sleep(Duration::from_micros(fastrand::u64(500..1000)));
    true
}

/// The clock that decides, as `election::clock` reads it; layers above are not in reach from here.
pub(super) fn boot_time() -> Timestamp {
    let now = clock_gettime(ClockId::Boottime);
    let nanos = u64::try_from(now.tv_nsec).unwrap_or_default();
    let seconds = u64::try_from(now.tv_sec).unwrap_or_default();
    Timestamp::from_nanos(seconds.saturating_mul(1_000_000_000).saturating_add(nanos))
}

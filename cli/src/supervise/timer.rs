//! The timer of the keeper, which runs on boot time: a machine that was suspended past a deadline acts as it wakes.

use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::time::Duration;

use incumbent::election::clock;
use incumbent::protocol::Timestamp;
use rustix::time::{
    ClockId, Itimerspec, TimerfdClockId, TimerfdFlags, TimerfdTimerFlags, Timespec, clock_gettime,
    timerfd_create, timerfd_settime,
};

/// A timer that can be polled, and is not set at first.
pub(super) struct Timer(OwnedFd);

impl Timer {
    pub(super) fn new() -> io::Result<Self> {
        let flags = TimerfdFlags::CLOEXEC | TimerfdFlags::NONBLOCK;
        Ok(Self(timerfd_create(TimerfdClockId::Boottime, flags)?))
    }

    /// Sets it to a moment, or to none when that is [`Timestamp::NEVER`]. It fires late if boot time is slowed
    /// down, so check a deadline again after [`patience`].
    pub(super) fn set(&self, at: Timestamp) -> io::Result<()> {
        let zero = Timespec::default();
        // Boot time first: an interruption between the two brings the moment forward.
        let boot = clock_gettime(ClockId::Boottime);
        let left = at.since(clock::now());
        let value = match Timespec::try_from(left.min(Duration::from_secs(u32::MAX.into()))) {
            Ok(left) if at != Timestamp::NEVER => boot + left,
            _ => zero,
        };
        let spec = Itimerspec {
            it_interval: zero,
            it_value: value,
        };
        timerfd_settime(&self.0, TimerfdTimerFlags::ABSTIME, &spec)?;
        Ok(())
    }
}

impl AsFd for Timer {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.0.as_fd()
    }
}

/// How long a wait for a deadline may last on any clock of the kernel without being late, for the kernel slows them
/// down by a tenth at most: then it is looked at again. What is close is waited for as it is. `None` when there is
/// no deadline.
pub(super) fn patience(deadline: Timestamp) -> Option<Duration> {
    let left = (deadline != Timestamp::NEVER).then(|| deadline.since(clock::now()))?;
    let close = left <= Duration::from_millis(1);
    Some(if close { left } else { left - left / 8 })
}

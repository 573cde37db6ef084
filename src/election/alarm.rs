//! Alarms: each wakes one task once, at the moment it is set to.
//!
//! ```text
//!   Alarm, Alarm, … ──set──▶ Table, by moment ──the earliest──▶ one timer of the kernel
//!        ▲                                                          │ rings
//!        └──────────────wake───────── the election thread ◀─────────┘
//! ```
//!
//! The kernel's timers run on boot time, which NTP adjusts; alarms are set on the clock that decides. A timer
//! therefore fires a little early or late. The election thread then compares with the clock, and sets it again.
//!
//! The timers of tokio stop while the machine sleeps, and wake their thread twice for each moment that is
//! more than 64 ms away: once to sort them finer, and once at the moment.

use std::collections::BTreeMap;
use std::future::poll_fn;
use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use rustix::io::{Errno, read};
use rustix::time::{
    Itimerspec, TimerfdClockId, TimerfdFlags, TimerfdTimerFlags, Timespec, timerfd_create,
    timerfd_settime,
};
use tokio::io::Interest;
use tokio::io::unix::AsyncFd;

use super::{clock, runtime};
use crate::once::Once;
use crate::protocol::Timestamp;

/// Wakes a task at one moment, on any runtime. It decides nothing: the woken task compares with the
/// clock.
#[derive(Debug)]
pub(super) struct Alarm {
    bell: &'static Bell,
    key: u64,
    at: Timestamp,
    /// Whom the bell wakes at that moment, once it knows.
    wakes: Option<Waker>,
}

impl Alarm {
    /// An alarm that is not set.
    ///
    /// # Errors
    ///
    /// The first one, when the system has no room for a timer or for the election thread.
    pub(super) fn new() -> io::Result<Self> {
        let bell = ringing()?;
        let mut table = bell.lock();
        table.keys += 1;
        Ok(Self {
            bell,
            key: table.keys,
            at: Timestamp::NEVER,
            wakes: None,
        })
    }

    /// Sets it to another moment, or to none with [`Timestamp::NEVER`].
    pub(super) fn set(&mut self, at: Timestamp) {
        if at == self.at {
            return;
        }
        if self.wakes.take().is_some() {
            let mut table = self.bell.lock();
            table.waiting.remove(&(self.at, self.key));
            // Waiting for another moment sets the timer: once is enough.
            if at == Timestamp::NEVER {
                self.bell.arm(&mut table);
            }
        }
        self.at = at;
    }

    /// Waits for the moment, after which it is no longer set. It may be dropped and called again.
    pub(super) async fn ring(&mut self) {
        poll_fn(|context| self.poll(context)).await;
    }

    fn poll(&mut self, context: &Context<'_>) -> Poll<()> {
        if self.at == Timestamp::NEVER {
            return Poll::Pending;
        }
        if self.at.as_nanos() <= self.bell.rang.load(Ordering::Acquire) {
            self.set(Timestamp::NEVER);
            return Poll::Ready(());
        }
        let waker = context.waker();
        if !self.wakes.as_ref().is_some_and(|it| it.will_wake(waker)) {
            let mut table = self.bell.lock();
            table.waiting.insert((self.at, self.key), waker.clone());
            // If that moment has passed, the timer rings at once.
            self.bell.arm(&mut table);
            drop(table);
            self.wakes = Some(waker.clone());
        }
        Poll::Pending
    }
}

impl Drop for Alarm {
    fn drop(&mut self) {
        self.set(Timestamp::NEVER);
    }
}

/// The one timer, and the tasks that wait for it.
#[derive(Debug)]
struct Bell {
    timer: AsyncFd<OwnedFd>,
    /// When it last rang, in nanoseconds. A task that something else has woken need not read the clock.
    rang: AtomicU64,
    table: Mutex<Table>,
}

#[derive(Debug)]
struct Table {
    waiting: BTreeMap<(Timestamp, u64), Waker>,
    armed: Timestamp,
    pace: Pace,
    keys: u64,
}

/// The rate of boot time: a task that beats once per interval must not wake twice for it, or late.
#[derive(Debug, Default)]
struct Pace {
    /// When it was last measured, on both clocks.
    at: Option<(Timestamp, Timestamp)>,
    /// By how many parts in 65,536 boot time has run faster since.
    faster: i64,
}

impl Pace {
    /// Over a shorter time the readings themselves blur it.
    const LEAST: Duration = Duration::from_millis(20);
    /// The kernel adjusts a clock by at most a tenth.
    const MOST: i64 = 65_536 / 8;

    fn measure(&mut self, boot: Timestamp, now: Timestamp) {
        let Some((boot_then, then)) = self.at else {
            self.at = Some((boot, now));
            return;
        };
        let nanos = |time: Duration| i128::try_from(time.as_nanos()).unwrap_or(i128::MAX >> 32);
        let (booted, passed) = (nanos(boot.since(boot_then)), nanos(now.since(then)));
        if passed >= nanos(Self::LEAST) {
            let faster = (booted - passed) * 65_536 / passed;
            let most = i128::from(Self::MOST);
            self.faster = i64::try_from(faster.clamp(-most, most)).unwrap_or(0);
            self.at = Some((boot, now));
        }
    }

    /// This duration in boot time, and a thousandth more, so that it does not wake early.
    fn in_boot_time(&self, left: Duration) -> Duration {
        let part = left / 65_536 * u32::try_from(self.faster.abs()).unwrap_or(0);
        let left_in_boot = if self.faster >= 0 {
            left + part
        } else {
            left.saturating_sub(part)
        };
        left_in_boot.saturating_add(left / 1024)
    }
}

static BELL: Once<Bell> = Once::new();

/// Creates the one timer.
///
/// # Errors
///
/// When the system has no room for it.
pub(super) fn start() -> io::Result<()> {
    ringing().map(|_| ())
}

fn ringing() -> io::Result<&'static Bell> {
    let mut first = false;
    let bell = BELL.get_or_make(|| {
        first = true;
        let timer = create(TimerfdFlags::CLOEXEC | TimerfdFlags::NONBLOCK)?;
        // The election thread watches it, and so needs room in its event loop.
        let _entered = runtime::started()?.enter();
        Ok(Bell {
            timer: watched(timer)?,
            rang: AtomicU64::new(0),
            table: Mutex::new(Table {
                waiting: BTreeMap::new(),
                armed: Timestamp::NEVER,
                pace: Pace::default(),
                keys: 0,
            }),
        })
    })?;
    if first {
        runtime::handle().spawn(bell.keep_ringing());
    }
    Ok(bell)
}

#[allow(
    deprecated,
    reason = "what replaces it is unsafe and newer; the timer is never closed, so this is sound"
)]
fn watched(timer: OwnedFd) -> io::Result<AsyncFd<OwnedFd>> {
    AsyncFd::with_interest(timer, Interest::READABLE)
}

impl Bell {
    fn lock(&self) -> MutexGuard<'_, Table> {
        self.table.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Sets the timer to the earliest alarm.
    fn arm(&self, table: &mut Table) {
        let next = table.waiting.first_key_value();
        let next = next.map_or(Timestamp::NEVER, |((at, _), _)| *at);
        if next != table.armed {
            let (boot, now) = (clock::boot(), clock::now());
            table.pace.measure(boot, now);
            let at = match next {
                Timestamp::NEVER => next,
                _ => boot + table.pace.in_boot_time(next.since(now)),
            };
            set(self.timer.get_ref(), at).expect("a valid moment can be set on our timer");
            table.armed = next;
        }
    }

    async fn keep_ringing(&'static self) {
        loop {
            let ready = self.timer.readable().await;
            let mut ready = ready.expect("the runtime of the elections never ends");
            // One that was reset meanwhile has nothing to read: the table shows what is due.
            let rung = ready.try_io(|timer| Ok(read(timer.get_ref(), &mut [0; 8])?));
            if rung.is_ok() {
                self.wake_due();
            }
        }
    }

    fn wake_due(&self) {
        let mut table = self.lock();
        let now = clock::now();
        self.rang.store(now.as_nanos(), Ordering::Release);
        let later = table.waiting.split_off(&(now, u64::MAX));
        let due = std::mem::replace(&mut table.waiting, later);
        table.armed = Timestamp::NEVER;
        self.arm(&mut table);
        drop(table);
        due.into_values().for_each(Waker::wake);
    }
}

/// Makes a timer on the boot-time clock.
pub(super) fn create(flags: TimerfdFlags) -> rustix::io::Result<OwnedFd> {
    timerfd_create(TimerfdClockId::Boottime, flags)
}

/// Waits until a timer rings, or something else wakes this thread.
pub(super) fn wait(timer: &OwnedFd) -> io::Result<()> {
    match read(timer, &mut [0; 8]) {
        Ok(_) | Err(Errno::INTR) => Ok(()),
        Err(error) => Err(error.into()),
    }
}

/// Sets a timer so that it is not late for a deadline: it fires when seven eighths of the time have passed, and
/// must then be set again.
pub(super) fn arm_early(timer: impl AsFd, deadline: Timestamp) -> rustix::io::Result<()> {
    if deadline == Timestamp::NEVER {
        return set(timer, deadline);
    }
    // Boot time first: an interruption between the two makes the moment earlier.
    let boot = clock::boot();
    let left = deadline.since(clock::now());
    set(timer, boot + by_deadline(left))
}

/// A close moment is set unchanged: over a millisecond, a clock that is slowed down is late by only a tenth.
fn by_deadline(left: Duration) -> Duration {
    if left > Duration::from_millis(1) {
        clock::early(left)
    } else {
        left
    }
}

/// Sets a timer to a moment of boot time, or to none when that is [`Timestamp::NEVER`].
fn set(timer: impl AsFd, at: Timestamp) -> rustix::io::Result<()> {
    let zero = Timespec {
        tv_sec: 0,
        tv_nsec: 0,
    };
    let since_boot = match at {
        Timestamp::NEVER => Duration::ZERO,
        // The value zero would disarm the timer; boot was never a deadline.
        at => at.since(Timestamp::ZERO).clamp(
            Duration::from_nanos(1),
            Duration::from_secs(u32::MAX.into()),
        ),
    };
    let spec = Itimerspec {
        it_interval: zero,
        it_value: Timespec {
            tv_sec: i64::try_from(since_boot.as_secs()).unwrap_or(i64::MAX),
            tv_nsec: since_boot.subsec_nanos().into(),
        },
    };
    timerfd_settime(timer, TimerfdTimerFlags::ABSTIME, &spec).map(|_| ())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Boot time that runs slower or faster by this many parts in a thousand.
    const SLEWS: [i64; 7] = [-100, -80, -1, 0, 1, 80, 100];

    fn slewed(time: Duration, slew: i64) -> Duration {
        let nanos = i64::try_from(time.as_nanos()).unwrap();
        Duration::from_nanos(u64::try_from(nanos + nanos * slew / 1000).unwrap())
    }

    #[test]
    fn a_timer_for_a_deadline_is_not_late_however_slow_boot_time_runs() {
        for left in [2, 40, 4900, 86_400_000].map(Duration::from_millis) {
            for slew in SLEWS {
                // In as much real time boot time has come at least this far.
                assert!(by_deadline(left) <= slewed(left, slew), "{left:?} {slew}");
            }
        }
    }

    #[test]
    fn a_timer_for_an_alarm_follows_the_pace_of_boot_time() {
        for slew in SLEWS {
            let mut pace = Pace::default();
            let mut moment = Timestamp::from_nanos(1);
            let mut boot = Timestamp::from_nanos(1 << 40);
            for _ in 0..3 {
                pace.measure(boot, moment);
                moment = moment + Duration::from_secs(1);
                boot = boot + slewed(Duration::from_secs(1), slew);
            }
            let left = Duration::from_secs(1);
            let (set, due) = (pace.in_boot_time(left), slewed(left, slew));
            assert!(
                set >= due && set <= due + left / 500,
                "{slew}: {set:?} {due:?}"
            );
        }
    }

    #[tokio::test]
    async fn it_rings_once_at_the_moment_it_was_last_set_to() {
        let mut alarm = Alarm::new().unwrap();
        let begun = clock::now();
        alarm.set(begun + Duration::from_millis(1));
        std::thread::sleep(Duration::from_millis(5));
        // An alarm that rang unheard and is set again rings only at the new moment.
        let at = clock::now() + Duration::from_millis(40);
        alarm.set(at);
        alarm.ring().await;
        assert!(clock::now() >= at);
        let silence = tokio::time::timeout(Duration::from_millis(20), alarm.ring()).await;
        assert!(silence.is_err());
        alarm.set(begun);
        alarm.ring().await;
    }

    #[tokio::test]
    async fn many_ring_each_at_its_moment_and_a_dropped_one_holds_up_none() {
        let begun = clock::now();
        let mut alarms: Vec<Alarm> = (0..50).map(|_| Alarm::new().unwrap()).collect();
        for (index, alarm) in (1..).zip(&mut alarms) {
            alarm.set(begun + Duration::from_millis(60 - index));
        }
        drop(alarms.pop());
        let rings = alarms.iter_mut().map(|alarm| async move {
            let at = alarm.at;
            alarm.ring().await;
            assert!(clock::now() >= at);
        });
        futures_util::future::join_all(rings).await;
    }
}

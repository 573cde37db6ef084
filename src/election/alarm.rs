//! Alarms on the boot-time clock: each wakes one task once, at the moment it is set to.
//!
//! ```text
//!   Alarm, Alarm, … ──set──▶ Table, by moment ──the earliest──▶ one timer of the kernel
//!        ▲                                                          │ rings
//!        └──────────────wake───────── the thread of the elections ◀─┘
//! ```
//!
//! The timers of tokio stop while the machine sleeps, and wake their thread twice for each moment that is
//! more than 64 ms away: once to sort them finer, and once when it has come.

use std::collections::BTreeMap;
use std::future::poll_fn;
use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::sync::{Mutex, MutexGuard, OnceLock, PoisonError};
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use rustix::io::read;
use rustix::time::{
    Itimerspec, TimerfdClockId, TimerfdFlags, TimerfdTimerFlags, Timespec, timerfd_create,
    timerfd_settime,
};
use tokio::io::Interest;
use tokio::io::unix::AsyncFd;

use super::{clock, runtime};
use crate::protocol::Timestamp;

/// Wakes a task at one moment, on whatever runtime it runs. It decides nothing: whoever is woken compares
/// with the clock.
///
/// # Examples
///
/// ```
/// use std::time::Duration;
/// use incumbent::election::{Alarm, clock};
///
/// # tokio::runtime::Runtime::new()?.block_on(async {
/// let mut alarm = Alarm::new();
/// let at = clock::now() + Duration::from_millis(5);
/// alarm.set(at);
/// alarm.ring().await;
/// assert!(clock::now() >= at);
/// # });
/// # Ok::<(), std::io::Error>(())
/// ```
#[derive(Debug)]
pub struct Alarm {
    key: u64,
    at: Timestamp,
}

impl Alarm {
    /// An alarm that is not set.
    ///
    /// # Panics
    ///
    /// The first one, when the system has no room for a timer, and [`start`](super::start) was not called
    /// before.
    #[must_use]
    pub fn new() -> Self {
        let mut table = bell().lock();
        table.keys += 1;
        Self {
            key: table.keys,
            at: Timestamp::NEVER,
        }
    }

    /// Sets it to another moment, of which [`Timestamp::NEVER`] is one.
    pub fn set(&mut self, at: Timestamp) {
        if at == self.at {
            return;
        }
        let bell = bell();
        let mut table = bell.lock();
        table.waiting.remove(&(self.at, self.key));
        if at != Timestamp::NEVER {
            table.waiting.insert((at, self.key), None);
        }
        self.at = at;
        bell.arm(&mut table);
    }

    /// Waits for the moment, after which it is not set any more. It may be dropped and called again.
    pub async fn ring(&mut self) {
        poll_fn(|context| self.poll(context)).await;
    }

    fn poll(&mut self, context: &Context<'_>) -> Poll<()> {
        if self.at == Timestamp::NEVER {
            return Poll::Pending;
        }
        if clock::now() < self.at {
            let waker = Some(context.waker().clone());
            bell().lock().waiting.insert((self.at, self.key), waker);
            // It may have rung between the look at the clock and the lock.
            if clock::now() < self.at {
                return Poll::Pending;
            }
        }
        self.set(Timestamp::NEVER);
        Poll::Ready(())
    }
}

impl Default for Alarm {
    fn default() -> Self {
        Self::new()
    }
}

impl Drop for Alarm {
    fn drop(&mut self) {
        self.set(Timestamp::NEVER);
    }
}

/// The one timer, and who waits for it.
struct Bell {
    timer: AsyncFd<OwnedFd>,
    table: Mutex<Table>,
}

struct Table {
    waiting: BTreeMap<(Timestamp, u64), Option<Waker>>,
    armed: Timestamp,
    keys: u64,
}

static BELL: OnceLock<Bell> = OnceLock::new();

/// Makes the one timer.
///
/// # Errors
///
/// When the system has no room for it.
pub(super) fn start() -> io::Result<()> {
    ringing().map(|_| ())
}

fn ringing() -> io::Result<&'static Bell> {
    static STARTING: Mutex<()> = Mutex::new(());
    if let Some(bell) = BELL.get() {
        return Ok(bell);
    }
    let _alone = STARTING.lock().unwrap_or_else(PoisonError::into_inner);
    if let Some(bell) = BELL.get() {
        return Ok(bell);
    }
    let timer = create(TimerfdFlags::CLOEXEC | TimerfdFlags::NONBLOCK)?;
    // The thread of the elections watches it, and so needs room in its event loop.
    let runtime = runtime::handle();
    let _entered = runtime.enter();
    let watched = watched(timer)?;
    let bell = BELL.get_or_init(|| Bell {
        timer: watched,
        table: Mutex::new(Table {
            waiting: BTreeMap::new(),
            armed: Timestamp::NEVER,
            keys: 0,
        }),
    });
    runtime.spawn(bell.keep_ringing());
    Ok(bell)
}

#[allow(
    deprecated,
    reason = "what replaces it is unsafe and newer; the timer is never closed, so this is sound"
)]
fn watched(timer: OwnedFd) -> io::Result<AsyncFd<OwnedFd>> {
    AsyncFd::with_interest(timer, Interest::READABLE)
}

fn bell() -> &'static Bell {
    ringing().expect("the system has room for the timer of the heartbeats")
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
            arm(self.timer.get_ref(), next)
                .expect("a valid moment can be set on a timer of our own");
            table.armed = next;
        }
    }

    async fn keep_ringing(&'static self) {
        loop {
            let ready = self.timer.readable().await;
            let mut ready = ready.expect("the runtime of the elections never ends");
            // One that was set anew meanwhile has nothing to read: the table tells what is due.
            let rung = ready.try_io(|timer| Ok(read(timer.get_ref(), &mut [0; 8])?));
            if rung.is_ok() {
                self.wake_due();
            }
        }
    }

    fn wake_due(&self) {
        let mut table = self.lock();
        let now = clock::now();
        let later = table.waiting.split_off(&(now, u64::MAX));
        let due = std::mem::replace(&mut table.waiting, later);
        table.armed = Timestamp::NEVER;
        self.arm(&mut table);
        drop(table);
        due.into_values().flatten().for_each(Waker::wake);
    }
}

/// Makes a timer on the boot-time clock.
pub(crate) fn create(flags: TimerfdFlags) -> rustix::io::Result<OwnedFd> {
    timerfd_create(TimerfdClockId::Boottime, flags)
}

/// Sets a timer to a moment, or to none when that is [`Timestamp::NEVER`].
pub(crate) fn arm(timer: impl AsFd, at: Timestamp) -> rustix::io::Result<()> {
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

    #[tokio::test]
    async fn it_rings_once_at_the_moment_it_was_last_set_to() {
        let mut alarm = Alarm::new();
        let begun = clock::now();
        alarm.set(begun + Duration::from_millis(1));
        std::thread::sleep(Duration::from_millis(5));
        // What has rung unheard and is set anew rings at the new moment only.
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
        let mut alarms: Vec<Alarm> = (0..50).map(|_| Alarm::new()).collect();
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

//! The clock that decides: it runs at the rate of the machine's oscillator, and keeps running while the machine
//! is suspended.
//!
//! ```text
//!   CLOCK_MONOTONIC_RAW                  which is never adjusted
//!   + CLOCK_BOOTTIME − CLOCK_MONOTONIC   the time suspended: both are adjusted alike, so this is not
//! ```
//!
//! `CLOCK_BOOTTIME` by itself will not do. NTP adjusts it, and chrony may slew it by 8 %, several times the
//! margin. `std::time::Instant` is `CLOCK_MONOTONIC`, which is adjusted too and stops while the machine sleeps: a
//! leader that wakes up would believe that its tenure has only begun.

use std::future::poll_fn;
use std::pin::pin;
use std::sync::atomic::{AtomicI64, Ordering};
use std::task::Poll;
use std::time::Duration;

use rustix::time::{ClockId, clock_gettime};

use super::Alarm;
use crate::protocol::{Timestamp, WallMillis};
use crate::store::wall_clock;

/// This moment on the clock that decides. It never runs backwards, and all processes of a machine agree on it
/// to within 20 µs.
#[must_use]
pub fn now() -> Timestamp {
    static CLOCK: Clock = Clock::new();
    CLOCK.now(read)
}

/// How long a wait without a timer may occupy its thread before it yields.
const TURN: Duration = Duration::from_millis(1);

/// Waits until a moment of this clock, on any runtime. [`Timestamp::NEVER`] never arrives.
///
/// The timers of a runtime are unsuitable: they stop while the machine is suspended, and NTP adjusts them.
///
/// Where the system has no room for another timer, it reads the clock once per millisecond.
///
/// # Examples
///
/// ```
/// use std::time::Duration;
/// use incumbent::election::clock;
///
/// # tokio::runtime::Runtime::new()?.block_on(async {
/// let at = clock::now() + Duration::from_millis(5);
/// clock::sleep_until(at).await;
/// assert!(clock::now() >= at);
/// # });
/// # Ok::<(), std::io::Error>(())
/// ```
pub async fn sleep_until(at: Timestamp) {
    match Alarm::new() {
        Ok(mut alarm) => {
            alarm.set(at);
            let mut rings = pin!(alarm.ring());
            // A task that something else wakes after that moment need not wait for the election thread.
            poll_fn(|context| match now() >= at {
                true => Poll::Ready(()),
                false => rings.as_mut().poll(context),
            })
            .await;
        }
        Err(_) => {
            while now() < at {
                std::thread::sleep(TURN);
                tokio::task::yield_now().await;
            }
        }
    }
}

/// This moment on the clock of the kernel's timers, which only wake us.
pub(super) fn boot() -> Timestamp {
    timestamp(read(ClockId::Boottime))
}

/// A boot time at which a moment has certainly not arrived, however slowly boot time runs: the kernel slows it
/// down by at most a tenth. It is read first, so that an interruption makes it earlier.
pub(super) fn boot_before(at: Timestamp) -> Timestamp {
    let boot = boot();
    boot + early(at.since(now()))
}

pub(super) fn early(left: Duration) -> Duration {
    left - left / 8
}

/// How far the time suspended may be underestimated.
const PRECISION_NANOS: i64 = 20_000;
/// How often it is sampled before an imprecise sample is accepted: each of them was interrupted.
const TRIES: u32 = 16;

/// The time that the machine was suspended, as measured.
struct Clock {
    suspended: AtomicI64,
}

impl Clock {
    const fn new() -> Self {
        Self {
            suspended: AtomicI64::new(i64::MIN),
        }
    }

    /// Reads boot time between two readings of monotonic time. The second reading follows the one of boot time,
    /// so the difference to it never exceeds the time suspended, and falls short by at most the distance between
    /// the two. The largest difference ever seen counts: it can only grow, so the clock never runs backwards.
    fn now(&self, mut read: impl FnMut(ClockId) -> i64) -> Timestamp {
        for _ in 0..TRIES {
            let before = read(ClockId::Monotonic);
            let boot = read(ClockId::Boottime);
            let after = read(ClockId::Monotonic);
            let suspended = boot - after;
            if suspended > self.suspended.load(Ordering::Relaxed) {
                self.suspended.fetch_max(suspended, Ordering::Relaxed);
            }
            if after - before <= PRECISION_NANOS {
                break;
            }
        }
        timestamp(read(ClockId::MonotonicRaw) + self.suspended.load(Ordering::Relaxed))
    }
}

fn read(clock: ClockId) -> i64 {
    let time = clock_gettime(clock);
    time.tv_sec * 1_000_000_000 + time.tv_nsec
}

fn timestamp(nanos: i64) -> Timestamp {
    Timestamp::from_nanos(u64::try_from(nanos).unwrap_or(0))
}

/// This host's wall clock, for people. It decides nothing.
#[must_use]
pub fn wall() -> WallMillis {
    wall_clock()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// A machine whose adjusted clocks run at a rate of their own.
    struct Machine {
        /// What its oscillator has counted, and how long it was suspended: what must be read.
        raw: i64,
        suspended: i64,
        monotonic: i64,
        /// By how many parts in a thousand the adjusted clocks run faster.
        slew: i64,
    }

    impl Machine {
        fn runs_for(&mut self, nanos: i64) {
            self.raw += nanos;
            self.monotonic += nanos + nanos * self.slew / 1000;
        }

        fn truth(&self) -> Timestamp {
            timestamp(self.raw + self.suspended)
        }

        fn read(&self, clock: ClockId) -> i64 {
            match clock {
                ClockId::Monotonic => self.monotonic,
                ClockId::Boottime => self.monotonic + self.suspended,
                ClockId::MonotonicRaw => self.raw,
                other => panic!("{other:?} decides nothing"),
            }
        }
    }

    proptest! {
        /// Whatever the slew, and whatever happens between two readings: the machine may be suspended there,
        /// or run something else for long.
        #[test]
        fn a_slewed_boot_clock_changes_nothing(
            slews in prop::collection::vec(-80_i64..=80, 1..20),
            delays in prop::collection::vec((0..8_u8, 1..5_000_000_000_i64), 8..200),
        ) {
            let mut machine = Machine { raw: 10, suspended: 0, monotonic: 7_000_000, slew: 0 };
            let clock = Clock::new();
            let mut last = Timestamp::ZERO;
            let mut delays = delays.iter().cycle();
            for slew in slews {
                machine.slew = slew;
                machine.runs_for(60_000_000_000);
                let begun = machine.truth();
                let mut interruptions = 6;
                let now = clock.now(|which| {
                    let (kind, delay) = *delays.next().unwrap();
                    match kind {
                        0 if interruptions > 0 => {
                            interruptions -= 1;
                            machine.suspended += delay;
                        }
                        1 if interruptions > 0 => {
                            interruptions -= 1;
                            machine.runs_for(delay);
                        }
                        _ => machine.runs_for(30),
                    }
                    machine.read(which)
                });
                let precision = Duration::from_nanos(PRECISION_NANOS.unsigned_abs());
                prop_assert!(now + precision >= begun, "{now:?} was before {begun:?}");
                prop_assert!(now <= machine.truth(), "{now:?} is after {:?}", machine.truth());
                prop_assert!(now >= last, "{now:?} after {last:?}");
                last = now;
            }
        }
    }

    #[test]
    fn it_goes_on_while_the_machine_is_suspended() {
        let mut machine = Machine {
            raw: 10,
            suspended: 0,
            monotonic: 10,
            slew: 80,
        };
        let clock = Clock::new();
        let before = clock.now(|which| machine.read(which));
        machine.suspended += 3_600_000_000_000;
        let after = clock.now(|which| machine.read(which));
        assert_eq!(after.since(before), Duration::from_secs(3600));
    }

    #[test]
    fn the_real_one_keeps_up_with_boot_time() {
        let (begun, booted) = (now(), boot());
        std::thread::sleep(Duration::from_millis(50));
        let (decided, passed) = (now().since(begun), boot().since(booted));
        // Two calls differ by what happens between them, and a slew.
        assert!(
            decided >= Duration::from_millis(44),
            "{decided:?} {passed:?}"
        );
    }
}

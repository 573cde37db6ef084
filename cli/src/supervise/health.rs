//! Whether a program is healthy, as a pure count of the checks that it passed and failed.

use std::num::NonZeroU32;

use incumbent::protocol::Timestamp;

/// Counts the checks of one run of a program: it is unhealthy once it has failed `fall` of them without
/// passing `rise` in a row in between. So a program that passes every other check is not healthy, and
/// one that fails now and then is not unhealthy.
///
/// # Examples
///
/// ```
/// use std::num::NonZeroU32;
/// use incumbent::protocol::Timestamp;
/// use incumbent_cli::supervise::{Condition, Health};
///
/// let (rise, fall) = (NonZeroU32::new(1).unwrap(), NonZeroU32::new(2).unwrap());
/// let now = Timestamp::ZERO;
/// let mut health = Health::new(rise, fall, now);
/// assert_eq!(health.checked(now, true), Condition::Healthy);
/// assert_eq!(health.checked(now, false), Condition::Healthy);
/// assert_eq!(health.checked(now, false), Condition::Unhealthy);
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Health {
    rise: NonZeroU32,
    fall: NonZeroU32,
    /// Until when a program that has never been healthy may fail.
    starts_until: Timestamp,
    condition: Condition,
    /// Passed in a row.
    passed: u32,
    /// Failed since the program last rose.
    failed: u32,
}

/// The health of a program.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Condition {
    /// It has neither risen nor fallen yet.
    Unknown,
    /// It has passed enough checks in a row.
    Healthy,
    /// It has failed too many. That is final until the program is restarted.
    Unhealthy,
}

impl Health {
    /// A program that has just been started. Checks that it fails before `starts_until` do not count,
    /// until it is healthy for the first time.
    #[must_use]
    pub const fn new(rise: NonZeroU32, fall: NonZeroU32, starts_until: Timestamp) -> Self {
        Self {
            rise,
            fall,
            starts_until,
            condition: Condition::Unknown,
            passed: 0,
            failed: 0,
        }
    }

    /// Counts a check.
    pub fn checked(&mut self, now: Timestamp, passed: bool) -> Condition {
        if self.condition == Condition::Unhealthy {
            return self.condition;
        }
        if passed {
            self.passed = self.passed.saturating_add(1);
            if self.passed >= self.rise.get() {
                self.failed = 0;
                self.condition = Condition::Healthy;
            }
        } else {
            self.passed = 0;
            if self.condition == Condition::Healthy || now >= self.starts_until {
                self.failed = self.failed.saturating_add(1);
            }
            if self.failed >= self.fall.get() {
                self.condition = Condition::Unhealthy;
            }
        }
        self.condition
    }

    /// The health of the program.
    #[must_use]
    pub const fn condition(&self) -> Condition {
        self.condition
    }

    /// How many failed checks count against it. At `fall` it is unhealthy.
    #[must_use]
    pub const fn failed(&self) -> u32 {
        self.failed
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn at(seconds: u64) -> Timestamp {
        Timestamp::from_nanos(seconds * 1_000_000_000)
    }

    /// A program that is checked once a second, `+` passed and `-` failed, and how it did after each:
    /// `?` unknown, `h` healthy, `U` unhealthy.
    fn check(rise: u32, fall: u32, starts: u64, checks: &str, expected: &str) {
        let count = |number| NonZeroU32::new(number).unwrap();
        let mut health = Health::new(count(rise), count(fall), at(starts));
        let found: String = (1..)
            .zip(checks.chars())
            .map(
                |(second, result)| match health.checked(at(second), result == '+') {
                    Condition::Unknown => '?',
                    Condition::Healthy => 'h',
                    Condition::Unhealthy => 'U',
                },
            )
            .collect();
        assert_eq!(found, expected, "{rise} {fall} {starts} {checks}");
    }

    #[test]
    fn it_rises_after_as_many_in_a_row_and_falls_after_as_many() {
        check(1, 1, 0, "+-", "hU");
        check(1, 3, 0, "+--+--+---", "hhhhhhhhhU");
        check(2, 3, 0, "+-+-+-", "?????U");
        check(2, 3, 0, "++-+-++-+-", "?hhhhhhhhh");
        check(2, 3, 0, "++-+-+-", "?hhhhhU");
        check(3, 2, 0, "---", "?UU");
    }

    #[test]
    fn unhealthy_is_final() {
        check(1, 1, 0, "-++++", "UUUUU");
    }

    #[test]
    fn a_program_that_starts_may_fail_until_it_was_healthy_or_its_time_is_over() {
        check(1, 2, 5, "----", "????");
        check(1, 2, 5, "------", "?????U");
        check(1, 2, 5, "--+--", "??hhU");
    }

    proptest! {
        #[test]
        fn whoever_always_passes_is_never_unhealthy_and_whoever_always_fails_soon_is(
            rise in 1_u32..9, fall in 1_u32..9, checks in 0_u32..40,
        ) {
            let (rise, fall) = (NonZeroU32::new(rise).unwrap(), NonZeroU32::new(fall).unwrap());
            let mut good = Health::new(rise, fall, at(0));
            let mut bad = good.clone();
            for _ in 0..checks {
                good.checked(at(1), true);
                bad.checked(at(1), false);
            }
            prop_assert_eq!(good.condition() == Condition::Healthy, checks >= rise.get());
            prop_assert_eq!(bad.condition() == Condition::Unhealthy, checks >= fall.get());
            prop_assert!(good.condition() != Condition::Unhealthy);
        }
    }
}

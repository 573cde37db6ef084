//! When a program that keeps exiting is restarted, and when it is not any more.

use std::collections::VecDeque;
use std::time::Duration;

use incumbent::protocol::Timestamp;

/// Counts recent exits of a program: it is restarted a few times, each time after a longer pause; after that
/// another host should try.
///
/// # Examples
///
/// ```
/// use std::time::Duration;
/// use incumbent::protocol::Timestamp;
/// use incumbent_cli::supervise::Restarts;
///
/// let mut restarts = Restarts::new();
/// let now = Timestamp::ZERO;
/// assert_eq!(restarts.ended(now), Some(Duration::from_millis(250)));
/// assert_eq!(restarts.ended(now), Some(Duration::from_millis(500)));
/// assert_eq!(restarts.ended(now), Some(Duration::from_secs(1)));
/// assert_eq!(restarts.ended(now), None);
/// ```
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Restarts {
    ended: VecDeque<Timestamp>,
}

impl Restarts {
    /// How many restarts there may be within [`Restarts::WITHIN`].
    pub const MOST: usize = 3;
    /// The time in which exits are counted together.
    pub const WITHIN: Duration = Duration::from_secs(60);
    /// The pause before the first restart. It doubles with each further one.
    const FIRST_PAUSE: Duration = Duration::from_millis(250);

    /// No end yet.
    #[must_use]
    pub const fn new() -> Self {
        Self {
            ended: VecDeque::new(),
        }
    }

    /// Counts an exit of the program. Returns how long to wait before it is started again, or
    /// `None` when it has ended too often; then the count starts anew.
    pub fn ended(&mut self, now: Timestamp) -> Option<Duration> {
        self.ended.retain(|ended| now.since(*ended) < Self::WITHIN);
        if self.ended.len() == Self::MOST {
            self.ended.clear();
            return None;
        }
        let pause = Self::FIRST_PAUSE * (1 << self.ended.len());
        self.ended.push_back(now);
        Some(pause)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(seconds: u64) -> Timestamp {
        Timestamp::from_nanos(seconds * 1_000_000_000)
    }

    #[test]
    fn an_end_now_and_then_is_no_reason_to_give_up() {
        let mut restarts = Restarts::new();
        for second in (0..600).step_by(20) {
            assert!(restarts.ended(at(second)).is_some(), "{second}");
        }
    }

    #[test]
    fn the_fourth_end_within_a_minute_is_one_too_many_and_the_count_starts_anew() {
        let mut restarts = Restarts::new();
        for second in [0, 19, 38] {
            assert!(restarts.ended(at(second)).is_some());
        }
        assert_eq!(restarts.ended(at(59)), None);
        assert_eq!(restarts.ended(at(60)), Some(Restarts::FIRST_PAUSE));
    }
}

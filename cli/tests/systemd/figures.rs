//! The gaps, measured and printed as a table. They are figures, not assertions: machines are shared.

use std::fmt::Write as _;
use std::io::Write as _;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use rustix::time::{ClockId, clock_gettime};

/// Gaps by what caused them, in the order in which they were first measured.
pub(crate) struct Figures {
    gaps: Vec<(String, Vec<Duration>)>,
}

impl Figures {
    pub(crate) const fn new() -> Self {
        Self { gaps: Vec::new() }
    }

    pub(crate) fn add(&mut self, what: &str, gap: Duration) {
        match self.gaps.iter_mut().find(|(known, _)| known == what) {
            Some((_, gaps)) => gaps.push(gap),
            None => self.gaps.push((what.to_owned(), vec![gap])),
        }
    }

    /// Prints past the test harness, which keeps what a passing test prints to itself.
    pub(crate) fn print(&self) {
        let mut table = String::from(
            "\n| from the event to the next program running, in ms | runs | median | worst |\n\
             | --- | --- | --- | --- |\n",
        );
        for (what, gaps) in &self.gaps {
            let mut sorted = gaps.clone();
            sorted.sort_unstable();
            let ms = |gap: Duration| gap.as_secs_f64() * 1000.0;
            let (median, worst) = (sorted[sorted.len() / 2], sorted[sorted.len() - 1]);
            let (runs, median, worst) = (sorted.len(), ms(median), ms(worst));
            writeln!(table, "| {what} | {runs} | {median:.1} | {worst:.1} |").unwrap();
        }
        std::io::stderr().write_all(table.as_bytes()).unwrap();
    }
}

/// The wall clock that all hosts of a bed share, in microseconds.
pub(crate) fn now_micros() -> u64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap();
    u64::try_from(since.as_micros()).unwrap()
}

/// The clock of this machine that systemd dates its jobs by, in microseconds.
pub(crate) fn monotonic_micros() -> u64 {
    let time = clock_gettime(ClockId::Monotonic);
    u64::try_from(time.tv_sec * 1_000_000 + time.tv_nsec / 1000).unwrap()
}

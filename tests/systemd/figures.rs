//! The gaps, measured and printed as a table. They are figures, not assertions: machines are shared.

use std::collections::BTreeMap;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

/// Gaps by what caused them.
pub(crate) struct Figures {
    gaps: BTreeMap<String, Vec<Duration>>,
}

impl Figures {
    pub(crate) fn new() -> Self {
        Self {
            gaps: BTreeMap::new(),
        }
    }

    pub(crate) fn add(&mut self, what: &str, gap: Duration) {
        self.gaps.entry(what.to_owned()).or_default().push(gap);
    }

    pub(crate) fn print(&self) {
        println!("from the event to the next program running, default timing, in ms");
        println!(
            "{:<28} {:>5} {:>9} {:>9}",
            "event", "runs", "median", "worst"
        );
        for (what, gaps) in &self.gaps {
            let mut sorted = gaps.clone();
            sorted.sort_unstable();
            let ms = |gap: Duration| gap.as_secs_f64() * 1000.0;
            println!(
                "{what:<28} {:>5} {:>9.1} {:>9.1}",
                sorted.len(),
                ms(sorted[sorted.len() / 2]),
                ms(sorted[sorted.len() - 1]),
            );
        }
    }
}

/// The wall clock that all hosts of a bed share, in microseconds.
pub(crate) fn now_micros() -> u64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap();
    u64::try_from(since.as_micros()).unwrap()
}

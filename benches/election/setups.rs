//! Many fresh setups, each a separate process with its own server, threads and connections.
//!
//! Where the scheduler puts the threads of a round trip, on one core or on two, sticks for as long as they
//! live, and makes more of a difference than anything else. What is measured and its floor are therefore
//! compared within a setup, and a result is the median over the setups, with its quartiles.

use std::collections::BTreeMap;
use std::process::{Command, Stdio};
use std::time::Duration;

use crate::report::{self, Spread, figure, shown};

/// The part that one of the processes measures in its turn.
const PART: &str = "ELECTION_BENCH_SETUP";

/// What one setup has measured: medians, by name.
pub(crate) type Medians = BTreeMap<String, Duration>;

/// The part that this process was started for, if it was for one.
pub(crate) fn part() -> Option<String> {
    std::env::var(PART).ok()
}

/// Hands what was measured to the process that has started this one.
pub(crate) fn hand_back(measured: &[(&str, Duration)]) {
    for (name, median) in measured {
        println!("{}\t{name}", median.as_nanos());
    }
}

/// What this many setups have measured.
pub(crate) struct Setups(Vec<Medians>);

impl Setups {
    /// Measures `part` this many times.
    pub(crate) fn run(part: &str, times: usize) -> Self {
        Self((0..times).map(|_| measure(part)).collect())
    }

    /// Prints the median of what is called `name`.
    pub(crate) fn time(&self, name: &str) {
        figure(name, &shown(self.median(name)));
    }

    /// Prints the same, and how many times as long it took as `floor` did in the same setup.
    pub(crate) fn ratio(&self, name: &str, floor: &str, aim: f64) {
        let ratio = |setup: &Medians| setup[name].as_secs_f64() / setup[floor].as_secs_f64();
        let spread = Spread::of(self.0.iter().map(ratio).collect());
        report::ratio(name, self.median(name), &spread, aim);
    }

    fn median(&self, name: &str) -> Duration {
        report::median(self.0.iter().map(|setup| setup[name]).collect())
    }
}

fn measure(part: &str) -> Medians {
    let output = Command::new(std::env::current_exe().expect("this program"))
        .env(PART, part)
        .stdin(Stdio::null())
        .stderr(Stdio::inherit())
        .output()
        .expect("it starts");
    assert!(output.status.success(), "{part}: {}", output.status);
    let text = String::from_utf8(output.stdout).expect("lines of text");
    let medians = text.lines().map(|line| {
        let (nanos, name) = line.split_once('\t').expect("a figure and its name");
        let nanos = nanos.parse().expect("nanoseconds");
        (name.to_owned(), Duration::from_nanos(nanos))
    });
    medians.collect()
}

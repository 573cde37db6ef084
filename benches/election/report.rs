//! How results are printed: one line each, the figure, its floor, and what is aimed at.

use std::time::Duration;

/// The middle one of many measurements.
pub(crate) fn median(mut all: Vec<Duration>) -> Duration {
    assert!(!all.is_empty(), "nothing was measured");
    all.sort_unstable();
    all[all.len() / 2]
}

/// The middle of many ratios, and between which two the middle half of them is.
pub(crate) struct Spread {
    median: f64,
    quartiles: (f64, f64),
}

impl Spread {
    pub(crate) fn of(mut all: Vec<f64>) -> Self {
        assert!(!all.is_empty(), "nothing was measured");
        all.sort_unstable_by(f64::total_cmp);
        let last = all.len() - 1;
        Self {
            median: all[all.len() / 2],
            quartiles: (all[last / 4], all[last - last / 4]),
        }
    }
}

pub(crate) fn heading(text: &str) {
    println!("\n{text}");
}

pub(crate) fn figure(name: &str, value: &str) {
    println!("  {name:<58} {value:>12}");
}

/// The least, the middle and the most of many sizes.
pub(crate) fn spread(name: &str, mut all: Vec<u64>) {
    all.sort_unstable();
    let (Some(least), Some(most)) = (all.first(), all.last()) else {
        panic!("nothing was measured");
    };
    let middle = all[all.len() / 2];
    println!("  {name:<58} {middle:>12}   {least} to {most}");
}

pub(crate) fn time(name: &str, value: Duration) {
    figure(name, &shown(value));
}

/// A duration, and as which multiples of its floor it was measured.
pub(crate) fn ratio(name: &str, value: Duration, times: &Spread, aim: f64) {
    let Spread { median, quartiles } = times;
    println!(
        "  {name:<58} {:>12}   {median:.2} × the floor ({:.2} to {:.2}), aim ≤ {aim:.1}",
        shown(value),
        quartiles.0,
        quartiles.1,
    );
}

pub(crate) fn shown(value: Duration) -> String {
    if value < Duration::from_micros(1) {
        format!("{:.1} ns", value.as_secs_f64() * 1e9)
    } else if value < Duration::from_millis(1) {
        format!("{:.1} µs", value.as_secs_f64() * 1e6)
    } else {
        format!("{:.2} ms", value.as_secs_f64() * 1e3)
    }
}

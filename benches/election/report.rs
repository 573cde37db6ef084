//! How results are printed: one line each, the figure, its floor, and what is aimed at.

use std::time::Duration;

/// The middle one of many measurements.
pub(crate) fn median(mut all: Vec<Duration>) -> Duration {
    assert!(!all.is_empty(), "nothing was measured");
    all.sort_unstable();
    all[all.len() / 2]
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

/// A duration as a multiple of its floor.
pub(crate) fn ratio(name: &str, value: Duration, floor: Duration, aim: f64) {
    let times = value.as_secs_f64() / floor.as_secs_f64();
    println!(
        "  {name:<58} {:>12}   {times:.2} × the floor, aim ≤ {aim:.1}",
        shown(value)
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

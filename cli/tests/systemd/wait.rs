//! Waiting for a condition, with a bound and a name.

use std::time::{Duration, Instant};

/// Asks until there is an answer.
#[track_caller]
pub(crate) fn wait_for<T>(what: &str, at_most: Duration, mut ask: impl FnMut() -> Option<T>) -> T {
    let begun = Instant::now();
    loop {
        if let Some(answer) = ask() {
            return answer;
        }
        assert!(
            begun.elapsed() < at_most,
            "timed out after {at_most:?} waiting for {what}"
        );
        std::thread::sleep(Duration::from_millis(10));
    }
}

//! The pauses between attempts to reach a server that does not answer.

use std::time::Duration;

use tokio::time::Instant;

/// The pause after the first failure; it doubles with each.
const FIRST: Duration = Duration::from_millis(10);
/// The longest pause between two attempts.
const LONGEST: Duration = Duration::from_secs(1);

/// Counts failures in a row. A connection that ends before it has lasted longer than the longest pause
/// counts as one, so a server that drops every connection is not retried without a pause.
pub(super) struct Pauses {
    failures: u32,
    begun: Instant,
}

impl Pauses {
    pub(super) fn new() -> Self {
        Self {
            failures: 0,
            begun: Instant::now(),
        }
    }

    /// Waits after an attempt has ended, and notes that the next one begins.
    pub(super) async fn wait(&mut self) {
        if self.begun.elapsed() > LONGEST * 2 {
            self.failures = 0;
        }
        let pause = FIRST
            .saturating_mul(1 << self.failures.min(10))
            .min(LONGEST);
        self.failures = self.failures.saturating_add(1);
        // A jitter, so that many processes do not reconnect at once.
        tokio::time::sleep(pause.mul_f64(fastrand::f64().mul_add(0.5, 0.5))).await;
        self.begun = Instant::now();
    }
}

//! What was done, and what came of it.

use std::collections::BTreeMap;
use std::fmt;
use std::time::Duration;

use super::plan::Fault;

#[derive(Debug, Default)]
pub(crate) struct Report {
    pub(crate) seed: u64,
    /// How many servers; none when it is a file.
    pub(crate) servers: usize,
    pub(crate) lasted: Duration,
    pub(crate) faults: BTreeMap<Fault, usize>,
    pub(crate) elections: usize,
    pub(crate) gaps: Vec<Duration>,
    pub(crate) violations: usize,
    /// Acts that were decided on in time and took effect late: what the token is for.
    pub(crate) late: usize,
}

impl Report {
    pub(crate) fn faults(&self) -> usize {
        self.faults.values().sum()
    }

    /// The gap that `share` of the gaps do not exceed.
    fn gap(&self, share: f64) -> Duration {
        let mut gaps = self.gaps.clone();
        gaps.sort_unstable();
        let last = gaps.len().saturating_sub(1);
        let index = (last as f64 * share).ceil() as usize;
        gaps.get(index).copied().unwrap_or_default()
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(
            f,
            "{} server(s), seed {}: {} faults in {} s, {} elections, {} overlaps or tokens that went back",
            self.servers,
            self.seed,
            self.faults(),
            self.lasted.as_secs(),
            self.elections,
            self.violations,
        )?;
        writeln!(
            f,
            "  no one acted, from one to the next: p50 {:?}, p99 {:?}, max {:?}",
            self.gap(0.5),
            self.gap(0.99),
            self.gap(1.0),
        )?;
        writeln!(
            f,
            "  acts that took effect late, for the token to refuse: {}",
            self.late
        )?;
        for (fault, count) in &self.faults {
            writeln!(f, "  {count:6} {fault:?}")?;
        }
        Ok(())
    }
}

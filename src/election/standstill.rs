//! Whether the holder of an election may be taken for gone: what a command watches before it deposes one.

use crate::protocol::{Electorate, Mark, Record, StoreIndex, Timestamp, Timing, Watch};

/// The evidence that a majority of the stores has stood still for as long as a takeover needs (`R1`,
/// `R2`): what is vacated on it could have been claimed.
///
/// # Examples
///
/// ```
/// use std::time::Duration;
/// use incumbent::election::Standstill;
/// use incumbent::protocol::{Electorate, Occupancy, Record, StoreIndex, Timestamp, Timing};
///
/// let timing = Timing::default();
/// let held = Record {
///     occupancy: Occupancy::Held { holder: "a".parse()?, window: timing.window() },
///     ..Record::ABSENT
/// };
/// let mut standstill = Standstill::new(Electorate::new(1)?, timing);
/// let mut now = Timestamp::from_nanos(1);
/// while standstill.abandoned(now).is_none() {
///     now = now + timing.interval();
///     standstill.observe(StoreIndex(0), &held, now, now);
/// }
/// assert!(now.since(Timestamp::from_nanos(1)) >= timing.window());
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug)]
pub struct Standstill {
    electorate: Electorate,
    timing: Timing,
    watches: Vec<Watch>,
}

impl Standstill {
    /// Nothing has been seen yet. Of the timing, its interval, polls and window count; a holder that
    /// published a longer window is given that.
    #[must_use]
    pub fn new(electorate: Electorate, timing: Timing) -> Self {
        Self {
            electorate,
            timing,
            watches: vec![Watch::NEW; electorate.size()],
        }
    }

    /// Takes in the record of a store that a poll sent at `sent` has brought at `received`.
    pub fn observe(
        &mut self,
        store: StoreIndex,
        record: &Record,
        sent: Timestamp,
        received: Timestamp,
    ) {
        if let Some(watch) = self.watches.get_mut(store.get()) {
            watch.observe(record, sent, received);
        }
    }

    /// The last record seen of a store.
    #[must_use]
    pub fn record(&self, store: StoreIndex) -> Option<&Record> {
        self.watches.get(store.get())?.record()
    }

    /// The stores whose holder has stood still, and what each record must be when it is deposed; `None`
    /// while they are no majority.
    #[must_use]
    pub fn abandoned(&self, now: Timestamp) -> Option<Vec<(StoreIndex, Mark)>> {
        let stores = self.electorate.stores().zip(&self.watches);
        let abandoned: Vec<(StoreIndex, Mark)> = stores
            .filter_map(|(store, watch)| Some((store, watch.abandoned(now, &self.timing)?)))
            .collect();
        (abandoned.len() >= self.electorate.majority()).then_some(abandoned)
    }
}

//! Whether the holder of an election is gone: what a command watches before it deposes one.

use crate::protocol::{Electorate, Mark, Memory, Record, StoreIndex, Timestamp, Timing, Watch};

/// The evidence that a majority of the stores has stalled for as long as a takeover needs (`R1`, `R2`): a
/// standby could have claimed what is vacated on this evidence.
///
/// # Examples
///
/// ```
/// use std::time::Duration;
/// use incumbent::election::StallWatch;
/// use incumbent::protocol::{
///     Electorate, Memory, MemoryId, Occupancy, Record, StoreIndex, Timestamp, Timing, WallMillis,
/// };
///
/// let timing = Timing::default();
/// let held = Record {
///     occupancy: Occupancy::Held { holder: "a".parse()?, window: timing.window() },
///     ..Record::ABSENT
/// };
/// let memory = Memory::young(MemoryId { made: WallMillis::ZERO, nonce: 1 });
/// let mut stalls = StallWatch::new(Electorate::new(1)?, timing);
/// let mut now = Timestamp::from_nanos(1);
/// while stalls.abandoned(now).is_none() {
///     now = now + timing.interval();
///     stalls.observe(StoreIndex(0), (&held, &memory), now, now);
/// }
/// assert!(now.since(Timestamp::from_nanos(1)) >= timing.window());
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug)]
pub struct StallWatch {
    electorate: Electorate,
    timing: Timing,
    watches: Vec<Watch>,
}

impl StallWatch {
    /// Nothing seen yet. It uses the interval, polls and window of the timing; a holder that published a
    /// longer window gets that one.
    #[must_use]
    pub fn new(electorate: Electorate, timing: Timing) -> Self {
        Self {
            electorate,
            timing,
            watches: vec![Watch::NEW; electorate.size()],
        }
    }

    /// Records what a poll sent at `sent` brought from a store at `received`.
    pub fn observe(
        &mut self,
        store: StoreIndex,
        (record, memory): (&Record, &Memory),
        sent: Timestamp,
        received: Timestamp,
    ) {
        if let Some(watch) = self.watches.get_mut(store.get()) {
            watch.observe(record, memory, sent, received);
        }
    }

    /// The last record seen of a store.
    #[must_use]
    pub fn record(&self, store: StoreIndex) -> Option<&Record> {
        self.watches.get(store.get())?.record()
    }

    /// What the last record seen of a store is compared with.
    #[must_use]
    pub fn mark(&self, store: StoreIndex) -> Option<Mark> {
        self.watches.get(store.get())?.mark()
    }

    /// The stores whose holder has stalled, with what each record must be when it is deposed; `None` while
    /// they are no majority.
    #[must_use]
    pub fn abandoned(&self, now: Timestamp) -> Option<Vec<(StoreIndex, Mark)>> {
        let stores = self.electorate.stores().zip(&self.watches);
        let abandoned: Vec<(StoreIndex, Mark)> = stores
            .filter_map(|(store, watch)| Some((store, watch.abandoned(now, &self.timing)?)))
            .collect();
        (abandoned.len() >= self.electorate.majority()).then_some(abandoned)
    }
}

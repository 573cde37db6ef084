//! What a record must be after each thing that can happen to it.

use incumbent::protocol::{
    Beat, Durability, Occupancy, Record, Request, Verdict, WallMillis, apply,
};

/// A record, and its counter, which strangers may have changed.
#[derive(Clone, Debug)]
pub(crate) struct Model {
    /// The record as its own writers left it; never foreign.
    written: Record,
    counter: Option<Beat>,
    durability: Durability,
}

impl Model {
    pub(crate) fn new(durability: Durability) -> Self {
        Self {
            written: Record::ABSENT,
            counter: None,
            durability,
        }
    }

    /// The record as a store must show it, but for pauses that are over.
    pub(crate) fn record(&self) -> Record {
        let expected = match &self.written.occupancy {
            Occupancy::Held { .. } => Some(self.written.beat),
            Occupancy::Absent | Occupancy::Vacant | Occupancy::Foreign { .. } => None,
        };
        if self.counter == expected {
            return self.written.clone();
        }
        Record {
            occupancy: Occupancy::Foreign {
                counter: self.counter,
                window: self.written.window(),
            },
            ..self.written.clone()
        }
    }

    /// Carries out a request that met the store when its clock showed `clock`, and returns what the store
    /// must answer.
    pub(crate) fn execute(&mut self, request: &Request, clock: WallMillis) -> (Verdict, Record) {
        let (after, verdict) = apply(&self.record(), request, self.durability, clock);
        if verdict == Verdict::Granted && *request != Request::Observe {
            if matches!(after.occupancy, Occupancy::Foreign { .. }) {
                // An order leaves the stranger's counter where it is.
                self.written.orders = after.orders.clone();
            } else {
                self.counter = after.holder().map(|_| after.beat);
                self.written = after.clone();
            }
        }
        (verdict, after)
    }

    /// A stranger sets, or deletes, the counter.
    pub(crate) fn touch(&mut self, counter: Option<Beat>) {
        self.counter = counter;
    }

    pub(crate) fn forget(&mut self) {
        *self = Self::new(self.durability);
    }
}

//! What a store must keep of an election, and of itself, after each thing that can happen to it.

use incumbent::protocol::{
    Beat, Mark, Memory, MemoryId, Occupancy, Record, Reply, Request, State, Verdict, WallMillis,
    apply,
};

/// Stands for the id of a memory that the store begins: only the store knows it.
const FRESH: MemoryId = MemoryId {
    made: WallMillis::ZERO,
    nonce: 0,
};

/// An id that no store has.
pub(crate) const NO_MEMORY: MemoryId = MemoryId {
    made: WallMillis::ZERO,
    nonce: 1,
};

/// The state of a store, and the counter, which strangers may have changed.
#[derive(Clone, Debug)]
pub(crate) struct Model {
    /// The state as its own writers left it; the record is never foreign.
    written: State,
    counter: Option<Beat>,
    /// All memories that the store has had.
    ids: Vec<MemoryId>,
}

impl Model {
    /// An election that was never held, on a store with this memory.
    pub(crate) fn new(memory: Memory) -> Self {
        Self {
            written: State {
                memory: Some(memory),
                ..State::EMPTY
            },
            counter: None,
            ids: vec![memory.id],
        }
    }

    /// The record as a store must show it, but for pauses that are over.
    pub(crate) fn record(&self) -> Record {
        let written = &self.written.record;
        let expected = match &written.occupancy {
            Occupancy::Held { .. } => Some(written.beat),
            Occupancy::Absent | Occupancy::Vacant | Occupancy::Foreign { .. } => None,
        };
        if self.counter == expected {
            return written.clone();
        }
        Record {
            occupancy: Occupancy::Foreign {
                counter: self.counter,
                window: written.window(),
            },
            ..written.clone()
        }
    }

    /// The memory as a store must show it to those who only look.
    pub(crate) const fn memory(&self) -> Option<Memory> {
        self.written.memory
    }

    pub(crate) fn mark(&self) -> Mark {
        let memory = self.memory().unwrap_or(Memory::young(NO_MEMORY));
        self.record().mark(&memory)
    }

    /// A memory that the store had before, if it had another.
    pub(crate) fn earlier_memory(&self) -> MemoryId {
        let now = self.memory().map(|memory| memory.id);
        let mut earlier = self.ids.iter().rev().copied();
        earlier.find(|id| Some(*id) != now).unwrap_or(NO_MEMORY)
    }

    /// Carries out a request, and returns what the store must have answered: `reply`, but for what is wrong
    /// with it. The store's clock is its own affair, and so is the id of a memory that it begins, as long as no
    /// other has had it.
    pub(crate) fn execute(&mut self, request: &Request, reply: &Reply) -> Reply {
        let before = State {
            record: self.record(),
            ..self.written.clone()
        };
        let (after, verdict) = apply(&before, request, FRESH, reply.clock);
        let mut memory = after.memory.expect("a request leaves a memory");
        if memory.id == FRESH && !self.ids.contains(&reply.memory.id) {
            memory.id = MemoryId {
                made: reply.clock,
                ..reply.memory.id
            };
            self.ids.push(memory.id);
        }
        self.written.memory = Some(memory);
        self.written.listed = after.listed;
        self.written.restarted = after.restarted;
        if verdict == Verdict::Granted && *request != Request::Observe {
            if matches!(after.record.occupancy, Occupancy::Foreign { .. }) {
                // An order leaves the stranger's counter where it is.
                self.written.record.orders = after.record.orders.clone();
            } else {
                self.counter = after.record.holder().map(|_| after.record.beat);
                self.written.record = after.record.clone();
            }
        }
        Reply {
            verdict,
            record: after.record,
            memory,
            clock: reply.clock,
        }
    }

    /// A stranger sets, or deletes, the counter.
    pub(crate) const fn touch(&mut self, counter: Option<Beat>) {
        self.counter = counter;
    }

    /// The record is lost, and nothing else is.
    pub(crate) fn lose(&mut self) {
        self.written.record = Record::ABSENT;
        self.counter = None;
    }

    /// The server restarts with its data, or changes its role.
    pub(crate) const fn change_role(&mut self) {
        self.written.restarted = true;
    }

    /// All data is lost.
    pub(crate) fn forget(&mut self) {
        self.written = State::EMPTY;
        self.counter = None;
    }
}

//! What a test keeps of a store beside the record: its memory, so that the shipped function can be asked.

use incumbent::protocol::{
    Memory, MemoryId, Record, Reply, Request, State, Term, WallMillis, apply,
};

/// Whether a store may have forgotten someone before the test begins.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Durability {
    Durable,
    Forgetful,
}

#[derive(Clone, Debug)]
pub(crate) struct Kept {
    pub(crate) memory: Option<Memory>,
    listed: Option<Term>,
    /// Whether it was restarted, and has not looked since.
    pub(crate) restarted: bool,
    /// How many memories it has had, at most.
    ids: u64,
}

impl Kept {
    pub(crate) fn new(durability: Durability) -> Self {
        let mut kept = Self {
            memory: None,
            listed: None,
            restarted: false,
            ids: 0,
        };
        if durability == Durability::Durable {
            kept.memory = Some(Memory::mature(kept.fresh()));
        }
        kept
    }

    fn fresh(&mut self) -> MemoryId {
        self.ids += 1;
        MemoryId {
            made: WallMillis::ZERO,
            nonce: self.ids,
        }
    }

    /// The memory that it has; that of another store when it has none yet.
    pub(crate) fn memory(&self) -> Memory {
        self.memory.unwrap_or(Memory::young(MemoryId {
            made: WallMillis::MAX,
            nonce: 0,
        }))
    }

    /// It is restarted: whatever it holds may be old.
    pub(crate) fn begin_again(&mut self) {
        let fresh = self.fresh();
        self.memory = self.memory.map(|memory| memory.begun_again(fresh));
    }

    pub(crate) fn carry_out(
        &mut self,
        record: &mut Record,
        request: &Request,
        clock: WallMillis,
    ) -> Reply {
        let state = State {
            memory: self.memory,
            restarted: self.restarted,
            listed: self.listed,
            record: record.clone(),
        };
        let (after, verdict) = apply(&state, request, self.fresh(), clock);
        (self.memory, self.listed, *record) = (after.memory, after.listed, after.record);
        self.restarted = after.restarted;
        Reply {
            verdict,
            record: record.clone(),
            memory: self.memory.expect("a request makes a memory"),
            clock,
        }
    }
}

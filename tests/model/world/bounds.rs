//! How far an exploration goes: its candidates, its length, and how much may go wrong.

use std::fmt;

use super::sight::Sight;

/// The faults and events that are counted.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Fault {
    /// A message is lost on its way to a store, or a push on its way to a candidate.
    Lose,
    /// A request is carried out, and its reply is lost.
    LoseReply,
    /// A request waits on its way for as long as you like.
    Delay,
    /// A request is carried out, and its reply comes later.
    DelayReply,
    /// A request is carried out, and a second time whenever you like.
    Double,
    /// A candidate is frozen for any length of time.
    Pause,
    /// A candidate dies with its work, and campaigns again under a new id.
    Crash,
    /// A leader is asked to leave.
    Resign,
    /// A store loses all it holds.
    Forget,
    /// A store loses the record, and keeps its memory.
    Evict,
    /// A store is restarted with what it held before.
    RollBack,
    /// A store answers no one for any length of time.
    Cut,
    /// A store and one candidate do not hear each other for as long as you like.
    Part,
}

/// Every fault that needs no past, as often as you like.
pub(crate) const ALL: [(Fault, u8); 12] = [
    (Fault::Lose, u8::MAX),
    (Fault::LoseReply, u8::MAX),
    (Fault::Delay, u8::MAX),
    (Fault::DelayReply, u8::MAX),
    (Fault::Double, u8::MAX),
    (Fault::Pause, u8::MAX),
    (Fault::Crash, u8::MAX),
    (Fault::Resign, u8::MAX),
    (Fault::Forget, u8::MAX),
    (Fault::Evict, u8::MAX),
    (Fault::Cut, u8::MAX),
    (Fault::Part, u8::MAX),
];

/// How many faults may still happen: of each kind, and of all kinds together.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Budget {
    total: u8,
    each: [u8; ALL.len() + 1],
}

impl Budget {
    pub(crate) fn new(total: u8, kinds: &[(Fault, u8)]) -> Self {
        let mut each = [0; ALL.len() + 1];
        for (fault, most) in kinds {
            each[*fault as usize] = (*most).min(total);
        }
        Self { total, each }
    }

    pub(crate) const fn allows(&self, fault: Fault) -> bool {
        self.each[fault as usize] > 0
    }

    /// Takes one fault out. Faults that can no longer be spent look the same.
    pub(crate) fn spend(&mut self, fault: Fault) {
        self.total -= 1;
        self.each[fault as usize] -= 1;
        for left in &mut self.each {
            *left = (*left).min(self.total);
        }
    }
}

/// Where an exploration begins.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Start {
    /// The stores know nothing, and every candidate has just been started.
    Empty,
    /// The first candidate leads, all stores are proven, and the others watch it.
    Led,
}

/// One exploration.
#[derive(Clone, Debug)]
pub(crate) struct Bounds {
    pub(crate) name: &'static str,
    pub(crate) candidates: u8,
    pub(crate) stores: u8,
    pub(crate) start: Start,
    /// Whether the candidates delete the record when they release it.
    pub(crate) ephemeral: bool,
    /// How many intervals it lasts.
    pub(crate) intervals: u8,
    pub(crate) faults: u8,
    pub(crate) kinds: &'static [(Fault, u8)],
    /// One in this many of the states at the end is followed until someone leads.
    pub(crate) calmed: u64,
    /// What it must come across.
    pub(crate) shows: &'static [Sight],
}

const EXPLORATION: Bounds = Bounds {
    name: "",
    candidates: 2,
    stores: 1,
    start: Start::Led,
    ephemeral: false,
    intervals: 5,
    faults: 1,
    kinds: &ALL,
    calmed: 8,
    shows: &[],
};

/// What is explored with every change.
pub(crate) const EXPLORATIONS: [Bounds; 16] = [
    Bounds {
        name: "one store",
        faults: 2,
        shows: &[
            Sight::Takeover,
            Sight::Probation,
            Sight::FailedClaim,
            Sight::Join,
            Sight::Expiry,
        ],
        ..EXPLORATION
    },
    Bounds {
        name: "the first start",
        start: Start::Empty,
        intervals: 8,
        shows: &[
            Sight::Takeover,
            Sight::Probation,
            Sight::FailedClaim,
            Sight::Join,
        ],
        ..EXPLORATION
    },
    Bounds {
        name: "three candidates",
        candidates: 3,
        shows: &[Sight::Takeover, Sight::FailedClaim],
        ..EXPLORATION
    },
    Bounds {
        name: "three stores",
        stores: 3,
        shows: &[Sight::Takeover, Sight::FailedClaim, Sight::Join],
        ..EXPLORATION
    },
    Bounds {
        name: "one of three stores out of reach, one forgetting",
        stores: 3,
        faults: 2,
        kinds: &[(Fault::Part, 1), (Fault::Forget, 1)],
        shows: &[Sight::Join],
        ..EXPLORATION
    },
    // Where its leader cannot come back to a store that forgot it in time, a standby takes it over.
    Bounds {
        name: "a store that forgets a leader that cannot reach it",
        intervals: 7,
        faults: 2,
        kinds: &[(Fault::Part, 1), (Fault::Forget, 1)],
        shows: &[
            Sight::Takeover,
            Sight::Probation,
            Sight::FailedClaim,
            Sight::Join,
        ],
        ..EXPLORATION
    },
    // A newcomer claims it at once, and withdraws when it hears of no grant: what it leaves is a later term.
    Bounds {
        name: "a claim that is given up at a store that forgot its leader",
        intervals: 3,
        faults: 3,
        kinds: &[(Fault::Forget, 1), (Fault::Crash, 1), (Fault::LoseReply, 1)],
        shows: &[Sight::FailedClaim],
        ..EXPLORATION
    },
    Bounds {
        name: "slow messages to a store that forgets",
        intervals: 4,
        faults: 3,
        kinds: &[
            (Fault::Forget, 2),
            (Fault::Delay, 1),
            (Fault::DelayReply, 1),
        ],
        shows: &[Sight::Probation, Sight::Join],
        ..EXPLORATION
    },
    Bounds {
        name: "a slow claim, and a frozen leader",
        intervals: 4,
        faults: 4,
        kinds: &[(Fault::Forget, 2), (Fault::Delay, 1), (Fault::Pause, 1)],
        shows: &[Sight::Probation, Sight::FailedClaim, Sight::Join],
        ..EXPLORATION
    },
    Bounds {
        name: "old copies at a store that forgets",
        faults: 3,
        kinds: &[(Fault::Double, 1), (Fault::Forget, 2)],
        shows: &[Sight::Probation, Sight::Join],
        ..EXPLORATION
    },
    Bounds {
        name: "a store that goes back to any older state",
        intervals: 6,
        faults: 2,
        kinds: &[(Fault::RollBack, 2)],
        shows: &[Sight::Probation, Sight::FailedClaim, Sight::Join],
        ..EXPLORATION
    },
    Bounds {
        name: "a store that goes back under a leader that cannot reach it",
        intervals: 7,
        faults: 2,
        kinds: &[(Fault::RollBack, 1), (Fault::Part, 1)],
        shows: &[Sight::Takeover, Sight::FailedClaim],
        ..EXPLORATION
    },
    // While a leader lives, a store that forgets is left to it.
    Bounds {
        name: "three candidates, and a store that forgets a dead leader",
        candidates: 3,
        intervals: 6,
        faults: 2,
        kinds: &[(Fault::Forget, 1), (Fault::Crash, 1)],
        shows: &[Sight::Probation],
        ..EXPLORATION
    },
    Bounds {
        name: "an election that leaves nothing behind",
        ephemeral: true,
        shows: &[
            Sight::Takeover,
            Sight::FailedClaim,
            Sight::Join,
            Sight::Deletion,
        ],
        ..EXPLORATION
    },
    Bounds {
        name: "three stores of which nothing is left behind",
        stores: 3,
        ephemeral: true,
        shows: &[Sight::Takeover, Sight::Join, Sight::Deletion],
        ..EXPLORATION
    },
    Bounds {
        name: "a slow claim of what is deleted, or lost",
        ephemeral: true,
        intervals: 4,
        faults: 3,
        kinds: &[
            (Fault::Delay, 1),
            (Fault::Resign, 1),
            (Fault::Evict, 1),
            (Fault::RollBack, 1),
        ],
        shows: &[Sight::FailedClaim, Sight::Deletion],
        ..EXPLORATION
    },
];

impl fmt::Display for Bounds {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{}: {} candidates, {} stores, {:?} at first, {} intervals, at most {} faults of",
            self.name, self.candidates, self.stores, self.start, self.intervals, self.faults
        )?;
        if self.kinds.len() == ALL.len() {
            return f.write_str(" any kind");
        }
        for (place, (fault, most)) in self.kinds.iter().enumerate() {
            f.write_str(if place == 0 { " " } else { ", " })?;
            write!(f, "{fault:?}")?;
            if *most < self.faults {
                write!(f, " (at most {most})")?;
            }
        }
        Ok(())
    }
}

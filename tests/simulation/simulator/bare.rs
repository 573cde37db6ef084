//! A control: the bare protocol on one key, as shell scripts speak it.
//!
//! `SETNX` wins a free key, `INCR` beats, `GET` watches, `GETSET` takes over a stalled counter
//! and is won by the party that gets the stalled value back, `DEL` leaves. It has no tokens and no deadlines.

use incumbent::protocol::{Failure, Timestamp};
use std::time::Duration;

use super::party::{Birth, Lease, Notice, Party, Reaction, Server, Stimulus, Turn};

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Ask {
    SetNx,
    Get,
    GetSet,
    Incr,
    Del,
}

/// What the key held before the command.
pub(crate) type Before = Option<i64>;

#[derive(Debug, Default)]
pub(crate) struct Key(Option<i64>);

impl Server for Key {
    type Request = Ask;
    type Reply = Before;

    fn execute(&mut self, _wall_ms: u64, request: &Ask) -> (Before, bool) {
        let before = self.0;
        self.0 = match request {
            Ask::SetNx => Some(before.unwrap_or(1)),
            Ask::Get => before,
            Ask::GetSet => Some(1),
            Ask::Incr => Some(before.unwrap_or(0) + 1),
            Ask::Del => None,
        };
        (before, false)
    }

    fn writes(request: &Ask) -> bool {
        *request != Ask::Get
    }

    fn wipe(&mut self) {
        self.0 = None;
    }

    fn evict(&mut self) {
        self.wipe();
    }

    fn roll_back(&mut self, _writes: usize) {}
}

pub(crate) struct Bare {
    name: String,
    interval: Duration,
    stall_polls: u32,
    phase: Phase,
    due: Timestamp,
    next_id: u64,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Phase {
    Watching { seen: Option<i64>, unchanged: u32 },
    Taking { stalled: i64 },
    Winning,
    Leading,
    Left,
}

impl Bare {
    pub(crate) fn new(birth: &Birth, interval: Duration, stall_polls: u32) -> Self {
        Self {
            name: format!("c{}.{}", birth.slot, birth.incarnation),
            interval,
            stall_polls,
            phase: Phase::Winning,
            due: Timestamp::ZERO,
            next_id: 0,
        }
    }

    fn ask(&mut self, now: Timestamp, ask: Ask, sends: &mut Vec<(usize, u64, Ask)>) {
        self.due = now + self.interval;
        sends.push((0, self.next_id, ask));
        self.next_id += 1;
    }

    fn answered(&mut self, now: Timestamp, before: Before, sends: &mut Vec<(usize, u64, Ask)>) {
        self.phase = match (self.phase, before) {
            (Phase::Winning, None) => Phase::Leading,
            (Phase::Taking { stalled }, Some(value)) if value == stalled => Phase::Leading,
            (Phase::Winning | Phase::Taking { .. }, seen) => Phase::Watching { seen, unchanged: 0 },
            (Phase::Watching { .. }, None) => {
                self.ask(now, Ask::SetNx, sends);
                Phase::Winning
            }
            (Phase::Watching { seen, unchanged }, Some(value)) => {
                let unchanged = if seen == before { unchanged + 1 } else { 0 };
                if unchanged >= self.stall_polls {
                    self.ask(now, Ask::GetSet, sends);
                    Phase::Taking { stalled: value }
                } else {
                    Phase::Watching {
                        seen: before,
                        unchanged,
                    }
                }
            }
            (phase @ (Phase::Leading | Phase::Left), _) => phase,
        };
    }
}

impl Party for Bare {
    type Request = Ask;
    type Reply = Before;
    type Server = Key;

    fn name(&self) -> String {
        self.name.clone()
    }

    fn handle(&mut self, now: Timestamp, stimulus: Stimulus<Before>) -> Reaction<Ask> {
        let led = self.phase == Phase::Leading;
        let mut sends = Vec::new();
        match stimulus {
            Stimulus::Replied {
                result: Ok(before), ..
            } => self.answered(now, before, &mut sends),
            Stimulus::Replied {
                result: Err(Failure::NotExecuted | Failure::Unknown),
                ..
            }
            | Stimulus::Woken { .. } => {}
            Stimulus::Tick if now >= self.due => match self.phase {
                Phase::Winning if self.next_id == 0 => self.ask(now, Ask::SetNx, &mut sends),
                // A script waits for the answer to each of its commands.
                Phase::Winning | Phase::Taking { .. } => self.due = now + self.interval,
                Phase::Watching { .. } => self.ask(now, Ask::Get, &mut sends),
                Phase::Leading => self.ask(now, Ask::Incr, &mut sends),
                Phase::Left => {}
            },
            Stimulus::Tick => {}
            // The exit handler: it deletes the key, whosever it is by now.
            Stimulus::Resign | Stimulus::WorkEnded => {
                if led {
                    self.ask(now, Ask::Del, &mut sends);
                }
                self.phase = Phase::Left;
            }
        }
        Reaction {
            sends,
            wake_at: self.due,
            notices: turned(&self.name, led, self.phase == Phase::Leading),
        }
    }

    fn lease(&self) -> Option<Lease> {
        (self.phase == Phase::Leading).then_some(Lease {
            token: None,
            deadline: Timestamp::NEVER,
        })
    }

    fn is_done(&self) -> bool {
        self.phase == Phase::Left
    }

    fn last_will(&self) -> Vec<(usize, Ask)> {
        Vec::new()
    }
}

/// What is reported about a party that believed, and now believes, that it leads.
pub(crate) fn turned(name: &str, before: bool, now: bool) -> Vec<Notice> {
    let (turn, heading, what) = match (before, now) {
        (false, true) => (Turn::Elected, "elections", "leads"),
        (true, false) => (Turn::Ceased, "ends", "leads no more"),
        (true, true) | (false, false) => return Vec::new(),
    };
    vec![Notice {
        turn,
        heading,
        text: format!("{name} believes that it {what}"),
    }]
}

//! A control: a lock with a time to live, which its holder renews and the server's wall clock ends.

use std::time::Duration;

use incumbent::protocol::Timestamp;

use super::bare::turned;
use super::party::{Birth, Lease, Party, Reaction, Server, Stimulus};

#[derive(Clone, Debug)]
pub(crate) enum Ask {
    /// `SET key name NX PX ttl`, or the same for who holds it already.
    Hold { name: String, ttl_ms: u64 },
    /// Deletes the key if it holds the name.
    Leave { name: String },
}

#[derive(Debug, Default)]
pub(crate) struct Lock(Option<(String, u64)>);

impl Server for Lock {
    type Request = Ask;
    /// Whether the key holds the name of who asked.
    type Reply = bool;

    fn execute(&mut self, wall_ms: u64, request: &Ask) -> (bool, bool) {
        let live = self.0.take().filter(|(_, ends)| wall_ms < *ends);
        let free_for = |name: &String| live.as_ref().is_none_or(|(holder, _)| holder == name);
        match request {
            Ask::Hold { name, ttl_ms } if free_for(name) => {
                self.0 = Some((name.clone(), wall_ms + ttl_ms));
                (true, false)
            }
            Ask::Leave { name } if free_for(name) => (true, false),
            Ask::Hold { .. } | Ask::Leave { .. } => {
                self.0 = live;
                (false, false)
            }
        }
    }

    fn writes(_request: &Ask) -> bool {
        true
    }

    fn wipe(&mut self) {
        self.0 = None;
    }

    fn evict(&mut self) {
        self.wipe();
    }

    fn roll_back(&mut self, _writes: usize) {}
}

pub(crate) struct Renewer {
    name: String,
    ttl: Duration,
    holds: bool,
    left: bool,
    due: Timestamp,
    next_id: u64,
}

impl Renewer {
    pub(crate) fn new(birth: &Birth, ttl: Duration) -> Self {
        Self {
            name: format!("c{}.{}", birth.slot, birth.incarnation),
            ttl,
            holds: false,
            left: false,
            due: Timestamp::ZERO,
            next_id: 0,
        }
    }
}

impl Party for Renewer {
    type Request = Ask;
    type Reply = bool;
    type Server = Lock;

    fn name(&self) -> String {
        self.name.clone()
    }

    fn handle(&mut self, now: Timestamp, stimulus: Stimulus<bool>) -> Reaction<Ask> {
        let held = self.holds;
        let mut sends = Vec::new();
        match stimulus {
            Stimulus::Replied {
                result: Ok(mine), ..
            } => self.holds = mine && !self.left,
            Stimulus::Replied { .. } | Stimulus::Woken { .. } => {}
            Stimulus::Tick if now >= self.due => {
                self.due = now + self.ttl / 3;
                let ttl_ms = u64::try_from(self.ttl.as_millis()).expect("a short time");
                let name = self.name.clone();
                sends.push((0, self.next_id, Ask::Hold { name, ttl_ms }));
                self.next_id += 1;
            }
            Stimulus::Tick => {}
            Stimulus::Resign | Stimulus::WorkEnded => {
                let name = self.name.clone();
                sends.push((0, self.next_id, Ask::Leave { name }));
                self.next_id += 1;
                self.holds = false;
                self.left = true;
            }
        }
        Reaction {
            sends,
            wake_at: self.due,
            notices: turned(&self.name, held, self.holds),
        }
    }

    fn lease(&self) -> Option<Lease> {
        self.holds.then_some(Lease {
            token: None,
            deadline: Timestamp::NEVER,
        })
    }

    fn is_done(&self) -> bool {
        self.left
    }

    fn last_will(&self) -> Vec<(usize, Ask)> {
        Vec::new()
    }
}

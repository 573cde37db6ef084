//! From the claims to the election: counting grants, and the probation while the stores' memories are too young.

use super::{Candidate, Event, Heard, Kind, Phase, Tenure};
use crate::protocol::{LossReason, Term, Timestamp};

impl Candidate {
    pub(super) fn heard_claiming(&mut self, term: Term, heard: Heard<'_>) {
        match heard {
            Heard::Granted(_, granted) => {
                // R3: the only store of an election numbers the term.
                let term = match self.is_sole() {
                    true => term.max(granted),
                    false => term,
                };
                self.phase = Phase::Claiming { term };
                self.judge(term);
            }
            Heard::Refused(..) | Heard::Unknown(_) => self.judge(term),
            Heard::Resign(_) => self.give_up(Some(term), LossReason::Withdrawn),
            Heard::Observed(..)
            | Heard::Woken(..)
            | Heard::Beaten
            | Heard::Parted
            | Heard::Released(..)
            | Heard::WorkEnded(_) => {}
        }
    }

    pub(super) fn heard_in_probation(&mut self, term: Term, heard: Heard<'_>) {
        match heard {
            Heard::Beaten => {
                if let Some(sent) = self.elected_by() {
                    self.elect(term, sent);
                }
                self.obey();
            }
            // R6: any refusal during probation starts over, and so does a new memory.
            Heard::Parted => self.fail(term),
            Heard::Resign(_) => self.give_up(Some(term), LossReason::Withdrawn),
            Heard::Granted(..) => unreachable!("nothing is claimed in this phase"),
            Heard::Observed(..)
            | Heard::Woken(..)
            | Heard::Refused(..)
            | Heard::Unknown(_)
            | Heard::Released(..)
            | Heard::WorkEnded(_) => {}
        }
    }

    /// Decides what the replies so far add up to.
    fn judge(&mut self, term: Term) {
        let majority = self.electorate.majority();
        let granted = self.holds();
        let outstanding = self.count(|view| view.awaits(Kind::Claim));
        if let Some(sent) = self.elected_by() {
            self.elect(term, sent);
        } else if granted + outstanding < majority {
            self.fail(term);
        } else if outstanding == 0 {
            let until = self.proven_from().unwrap_or(self.now).max(self.now);
            self.phase = Phase::Probation { term };
            self.step.events.push(Event::Probation { term, until });
        }
    }

    /// Gives up a probation that no majority has answered for a window: it would hold up those who have one.
    pub(super) fn check_answers(&mut self, term: Term) {
        let answered = self.majority_acknowledged();
        if answered.is_none_or(|sent| self.now.since(sent) > self.timing.window()) {
            self.fail(term);
        }
    }

    /// Heartbeats without acting. One to every store at the moment from which a majority is proven elects it.
    pub(super) fn wait_out(&mut self, term: Term) {
        let proven = self.proven_from().unwrap_or(Timestamp::NEVER);
        for view in &mut self.stores {
            let waits = view.acknowledged.is_some_and(|last| last.sent < proven);
            if waits && !view.failing {
                view.due = view.due.min(proven);
            }
        }
        for store in self.due() {
            if self.stores[store.get()].hold.is_some() {
                self.beat(store, term);
            }
        }
    }

    fn elect(&mut self, term: Term, sent: Timestamp) {
        let deadline = sent + self.timing.tenure();
        if self.now + self.timing.stop_grace() >= deadline {
            return self.fail(term);
        }
        self.split_claims = 0;
        self.phase = Phase::Tenure(Tenure {
            term,
            deadline,
            ending: None,
            expired: false,
        });
        for view in self.stores.iter_mut().filter(|view| view.hold.is_none()) {
            view.due = self.now;
        }
        self.step.events.push(Event::Elected { term, deadline });
    }

    /// Abandons a claim: releases what was or may have been granted, and watches again.
    pub(super) fn fail(&mut self, term: Term) {
        let granted = self.holds();
        let interval = self.timing.interval();
        self.step.events.push(Event::ClaimFailed { term, granted });
        let claimed = self.stores_where(|view| view.claimed);
        // A claimant that blocks others backs off, and so does one that got no answer: a full store
        // answers reads and fails claims at once. A claimant that was only refused has seen something
        // newer, and may claim again.
        let failing = self.stores.iter().any(|view| view.failing);
        if !claimed.is_empty() {
            self.last_claimed = self.last_claimed.max(Some(term));
        }
        let not_before = if claimed.is_empty() && !failing {
            // It stands by from now on: a store lists it, and can call it, once it has polled there.
            for view in &mut self.stores {
                view.due = view.due.min(self.now + interval / 100);
            }
            self.now
        } else {
            self.split_claims = self.split_claims.saturating_add(1);
            let longest = interval * (1 << self.split_claims.min(3)) / 2;
            self.now + self.random(interval / 16, longest)
        };
        self.phase = Phase::Standby { not_before };
        for store in claimed {
            self.release(store, term, LossReason::Withdrawn);
        }
        for view in &mut self.stores {
            view.hold = None;
            view.acknowledged = None;
        }
    }
}

//! From the claims to the election: counting grants, and the probation of those that prove nothing.

use super::{Candidate, Event, Hold, Kind, Pending, Phase, Step};
use crate::protocol::{LossReason, Reply, StoreIndex, Term, Timestamp};

impl Candidate {
    pub(super) fn granted(
        &mut self,
        now: Timestamp,
        store: StoreIndex,
        pending: &Pending,
        reply: &Reply,
        step: &mut Step,
    ) {
        let view = &mut self.stores[store.get()];
        view.hold = Some(Hold {
            granted: now,
            unproven: reply.record.unproven,
        });
        view.acknowledged = view.acknowledged.max(Some(pending.sent));
        match self.phase {
            Phase::Claiming { term } => self.judge(now, term, step),
            Phase::Tenure { .. } => {
                step.events.push(Event::Joined { store });
                self.acknowledged(now, step);
            }
            Phase::Standby { .. }
            | Phase::Probation { .. }
            | Phase::Releasing { .. }
            | Phase::Done => unreachable!("nothing is claimed in this phase"),
        }
    }

    /// A claim was refused. A leader may find that an earlier claim of its own stands in the way.
    pub(super) fn claim_refused(
        &mut self,
        now: Timestamp,
        store: StoreIndex,
        reply: &Reply,
        step: &mut Step,
    ) {
        match self.phase {
            Phase::Tenure { term, .. } if reply.record.is_held_by(&self.id, term) => {
                self.adopt(now, store, reply.record.unproven, step);
            }
            Phase::Standby { .. }
            | Phase::Claiming { .. }
            | Phase::Probation { .. }
            | Phase::Tenure { .. }
            | Phase::Releasing { .. }
            | Phase::Done => self.claim_not_granted(now, store, step),
        }
    }

    /// A claim was refused, or its outcome is not known.
    pub(super) fn claim_not_granted(&mut self, now: Timestamp, store: StoreIndex, step: &mut Step) {
        match self.phase {
            Phase::Claiming { term } => self.judge(now, term, step),
            Phase::Tenure { .. } => {
                self.stores[store.get()].due = now + self.timing.interval();
                self.check_deposed(now, step);
            }
            Phase::Standby { .. }
            | Phase::Probation { .. }
            | Phase::Releasing { .. }
            | Phase::Done => {}
        }
    }

    /// Decides what the replies so far amount to.
    fn judge(&mut self, now: Timestamp, term: Term, step: &mut Step) {
        let majority = self.electorate.majority();
        let granted = self.holds();
        let is_proven = |hold: &Hold| !hold.unproven;
        let holds = self.stores.iter().filter_map(|view| view.hold.as_ref());
        let proven = holds.filter(|hold| is_proven(hold)).count();
        let outstanding = self
            .stores
            .iter()
            .filter(|view| view.awaits(Kind::Claim))
            .count();
        if proven >= majority {
            self.elect(now, term, step);
        } else if granted + outstanding < majority {
            self.fail(now, term, step);
        } else if outstanding == 0 {
            // R5: the wait is counted from the arrival of the last grant.
            let until = now + self.timing.probation();
            self.phase = Phase::Probation { term, until };
            step.events.push(Event::Probation { term, until });
        }
    }

    /// Heartbeats without acting, until a majority has granted heartbeats sent after the wait (`R7`).
    pub(super) fn wait_out(
        &mut self,
        now: Timestamp,
        term: Term,
        until: Timestamp,
        step: &mut Step,
    ) {
        for store in self.due(now) {
            if self.stores[store.get()].hold.is_none() {
                continue;
            }
            self.beat(now, store, term, now >= until, step);
            if now < until {
                let view = &mut self.stores[store.get()];
                view.due = view.due.min(until);
            }
        }
    }

    pub(super) fn elect(&mut self, now: Timestamp, term: Term, step: &mut Step) {
        let Some(sent) = self.majority_acknowledged() else {
            return self.fail(now, term, step);
        };
        let deadline = sent + self.timing.tenure();
        if now + self.timing.stop_grace() >= deadline {
            return self.fail(now, term, step);
        }
        self.split_claims = 0;
        self.phase = Phase::Tenure {
            term,
            deadline,
            ending: None,
            expired: false,
        };
        for view in &mut self.stores {
            if view.hold.is_none() {
                view.due = now;
            }
        }
        step.events.push(Event::Elected { term, deadline });
    }

    /// Gives up a claim: releases what was or may have been granted, and watches again.
    pub(super) fn fail(&mut self, now: Timestamp, term: Term, step: &mut Step) {
        let granted = self.holds();
        let interval = self.timing.interval();
        step.events.push(Event::ClaimFailed { term, granted });
        let claimed: Vec<StoreIndex> = self
            .electorate
            .stores()
            .filter(|store| self.stores[store.get()].claimed)
            .collect();
        // Who stands in the way of others waits, and who was not answered: a store that is full answers
        // reads and fails claims at once. Whoever was only refused has seen something newer, and may
        // claim again.
        let failing = self.stores.iter().any(|view| view.failing);
        if !claimed.is_empty() {
            self.last_claimed = self.last_claimed.max(term);
        }
        let not_before = if claimed.is_empty() && !failing {
            now
        } else {
            self.split_claims = self.split_claims.saturating_add(1);
            let longest = interval * (1 << self.split_claims.min(3)) / 2;
            now + self.random(interval / 16, longest)
        };
        self.phase = Phase::Standby { not_before };
        for store in claimed {
            self.release(now, store, term, LossReason::Withdrawn, step);
        }
        for view in &mut self.stores {
            view.hold = None;
            view.acknowledged = None;
        }
    }
}

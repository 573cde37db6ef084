//! From the claims to the election: counting grants, and the probation when the grants prove nothing.

use super::{Candidate, Event, Heard, Hold, Kind, Phase, Step, StoreView};
use crate::protocol::{LossReason, StoreIndex, Term, Timestamp};

impl Candidate {
    pub(super) fn heard_claiming(
        &mut self,
        now: Timestamp,
        term: Term,
        heard: Heard<'_>,
        step: &mut Step,
    ) {
        match heard {
            Heard::Granted(_) | Heard::Refused(..) | Heard::Unknown(_) => {
                self.judge(now, term, step);
            }
            Heard::Resign(_) => self.give_up(now, Some(term), LossReason::Withdrawn, step),
            Heard::Observed(..)
            | Heard::Woken(..)
            | Heard::Beaten
            | Heard::Parted
            | Heard::Released(_)
            | Heard::WorkEnded(_) => {}
        }
    }

    pub(super) fn heard_in_probation(
        &mut self,
        now: Timestamp,
        term: Term,
        until: Timestamp,
        heard: Heard<'_>,
        step: &mut Step,
    ) {
        match heard {
            Heard::Beaten => {
                // R7: only heartbeats sent after the wait end it.
                let outwaited = |view: &&StoreView| {
                    view.hold.is_some() && view.acknowledged.is_some_and(|sent| sent >= until)
                };
                if self.stores.iter().filter(outwaited).count() >= self.electorate.majority() {
                    self.elect(now, term, step);
                }
                self.obey(now, step);
            }
            // R6: any refusal during probation starts over.
            Heard::Parted => self.fail(now, term, step),
            Heard::Resign(_) => self.give_up(now, Some(term), LossReason::Withdrawn, step),
            Heard::Granted(_) => unreachable!("nothing is claimed in this phase"),
            Heard::Observed(..)
            | Heard::Woken(..)
            | Heard::Refused(..)
            | Heard::Unknown(_)
            | Heard::Released(_)
            | Heard::WorkEnded(_) => {}
        }
    }

    /// Decides what the replies so far add up to.
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

    /// Abandons a claim: releases what was or may have been granted, and watches again.
    pub(super) fn fail(&mut self, now: Timestamp, term: Term, step: &mut Step) {
        let granted = self.holds();
        let interval = self.timing.interval();
        step.events.push(Event::ClaimFailed { term, granted });
        let claimed: Vec<StoreIndex> = self
            .electorate
            .stores()
            .filter(|store| self.stores[store.get()].claimed)
            .collect();
        // A claimant that blocks others backs off, and so does one that got no answer: a full store
        // answers reads and fails claims at once. A claimant that was only refused has seen something
        // newer, and may claim again.
        let failing = self.stores.iter().any(|view| view.failing);
        if !claimed.is_empty() {
            self.last_claimed = self.last_claimed.max(Some(term));
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

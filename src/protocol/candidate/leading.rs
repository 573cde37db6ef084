//! Leading, stopping the work, and releasing the records.

use super::{Candidate, Ending, Event, Heard, Kind, Phase, Release, Tenure};
use crate::protocol::{
    ClaimKind, LossReason, Mark, MemoryId, Occupancy, Record, StoreIndex, Term, Verdict,
};

impl Candidate {
    pub(super) fn heard_leading(&mut self, tenure: Tenure, heard: Heard<'_>) {
        let term = tenure.term;
        match heard {
            // An earlier claim whose outcome we never learnt was granted after all.
            Heard::Observed(store, reply) | Heard::Refused(store, reply)
                if reply.record.is_held_by(&self.id, term) =>
            {
                self.adopt(store, reply.memory.id);
            }
            Heard::Observed(store, _) => {
                if self.joinable(store, tenure).is_some() {
                    self.stores[store.get()].due = self.now;
                }
                self.check_deposed(term);
            }
            Heard::Granted(store, _) => {
                self.step.events.push(Event::Joined { store });
                self.renew();
            }
            Heard::Refused(store, _) | Heard::Unknown(store) => {
                self.stores[store.get()].due = self.now + self.timing.interval();
                self.check_deposed(term);
            }
            Heard::Beaten => {
                self.renew();
                self.obey();
            }
            Heard::Parted => self.check_deposed(term),
            Heard::Resign(reason) => self.stop(Ending::asked_for(reason), reason),
            Heard::WorkEnded(reason) => {
                self.stop(Ending::Stopped, reason);
                let reason = tenure.ending.map_or(reason, |(_, earlier)| earlier);
                self.give_up(Some(term), reason);
            }
            Heard::Woken(..) | Heard::Released(..) => {}
        }
    }

    /// Sends what is due: heartbeats to the stores held, polls to the others, claims where it can join.
    pub(super) fn lead(&mut self, tenure: Tenure) {
        let term = tenure.term;
        for store in self.due() {
            if self.stores[store.get()].hold.is_some() {
                self.beat(store, term);
            } else if let Some(expected) = self.joinable(store, tenure) {
                self.claim(store, term, expected, ClaimKind::Join);
            } else {
                self.observe(store);
            }
        }
    }

    /// What a claim that adds `store` to those that hold our term may expect of it, if it can be added.
    fn joinable(&self, store: StoreIndex, tenure: Tenure) -> Option<Mark> {
        let view = &self.stores[store.get()];
        let released = self.was_released(store, tenure.term);
        let barred = tenure.is_over() || view.hold.is_some() || released;
        (!barred).then(|| view.watch.claimable(self.now, &self.timing))?
    }

    fn renew(&mut self) {
        let renewed = self.majority_acknowledged();
        let Phase::Tenure(tenure) = &mut self.phase else {
            return;
        };
        let is_final = |(how, _)| matches!(how, Ending::Deposed | Ending::Forgotten);
        let final_loss = tenure.ending.is_some_and(is_final);
        if let Some(sent) = renewed
            && !tenure.expired
            && !final_loss
            && self.now < tenure.deadline
        {
            tenure.deadline = tenure.deadline.max(sent + self.timing.tenure());
        }
    }

    /// Ends the leadership when other candidates hold too many stores for a majority.
    fn check_deposed(&mut self, term: Term) {
        let mut lost: Vec<StoreIndex> = self.electorate.stores().collect();
        lost.retain(|store| self.is_taken(*store, term));
        if self.electorate.size() - lost.len() >= self.electorate.majority() {
            return;
        }
        // The holder of a store that has forgotten us cannot act before its memory is as old as a probation, so
        // our tenure stands; any other holder may be acting now.
        let forgotten = |store: &StoreIndex| self.stores[store.get()].has_forgotten_us();
        let (ending, reason) = if lost.iter().all(forgotten) {
            (Ending::Forgotten, LossReason::StoreForgot)
        } else {
            (Ending::Deposed, LossReason::Deposed)
        };
        self.stop(ending, reason);
    }

    /// Whether the last record seen of a store shows that our term there is over.
    fn is_taken(&self, store: StoreIndex, term: Term) -> bool {
        let view = &self.stores[store.get()];
        let Some(record) = view.watch.record() else {
            return false;
        };
        // Another candidate was granted a later term there. On one store that may be a failed claim's, which
        // proves nothing; on a majority of them there may have been a leader, whatever holds them now.
        if record.floor > term {
            return true;
        }
        if view.hold.is_some() || record.is_held_by(&self.id, term) {
            return false;
        }
        !record.is_free() || self.was_released(store, term)
    }

    /// Whether our own term was released on a store: that happens only once our work is known to be dead. A record
    /// that is absent under the memory that acknowledged us was released too.
    ///
    /// Where the store never acknowledged us, the release belongs to another candidate whose claim of a term
    /// with the same number failed: failed terms need not be unique across stores.
    fn was_released(&self, store: StoreIndex, term: Term) -> bool {
        let view = &self.stores[store.get()];
        let released = |record: &Record| match record.occupancy {
            Occupancy::Vacant => record.term == term,
            Occupancy::Absent => !view.has_forgotten_us(),
            Occupancy::Held { .. } | Occupancy::Foreign { .. } => false,
        };
        view.acknowledged.is_some() && view.watch.record().is_some_and(released)
    }

    /// Asks the work to stop before the tenure ends, and reports the end of the tenure.
    pub(super) fn check_tenure(&mut self, tenure: Tenure) {
        let Tenure { term, deadline, .. } = tenure;
        if tenure.ending.is_none() && self.now + self.timing.stop_grace() >= deadline {
            let overslept = self.now.since(self.planned) >= self.timing.interval();
            let reason = if overslept {
                LossReason::Suspended
            } else {
                LossReason::TenureEnded
            };
            self.stop(Ending::Stopped, reason);
        }
        if !tenure.expired && self.now >= deadline {
            if let Phase::Tenure(tenure) = &mut self.phase {
                tenure.expired = true;
            }
            self.step.events.push(Event::Expired { term });
        }
    }

    /// Asks the work to stop. It asks again only when the deadline moves closer.
    pub(super) fn stop(&mut self, how: Ending, reason: LossReason) {
        let Phase::Tenure(tenure) = &mut self.phase else {
            return;
        };
        let deposed = how == Ending::Deposed;
        if let Some((earlier, _)) = tenure.ending
            && (earlier == Ending::Deposed || !deposed)
        {
            return;
        }
        tenure.ending = Some((how, reason));
        if deposed && !tenure.expired {
            let hurry = self.now + self.timing.margin();
            tenure.deadline = tenure.deadline.min(hurry);
        }
        self.step.events.push(Event::Stopping {
            term: tenure.term,
            reason,
            deadline: tenure.deadline,
        });
    }

    /// Starts to release. Only here, after the work has ended, does a leader release its records.
    pub(super) fn give_up(&mut self, term: Option<Term>, reason: LossReason) {
        let timeout = self.timing.op_timeout();
        let releasing_already = matches!(self.phase, Phase::Standby { .. });
        for view in &mut self.stores {
            let keeps = releasing_already && view.awaits(Kind::Release);
            if !keeps {
                view.pending = None;
            }
            view.claimed &= !releasing_already || keeps;
            view.hold = None;
            view.due = self.now;
        }
        self.phase = Phase::Releasing(Release {
            term,
            reason,
            until: self.now + timeout + timeout,
            confirmed: 0,
        });
        if !self.may_hold() {
            self.finish_release();
        }
    }

    pub(super) fn release_rest(&mut self, release: Release) {
        // A standby that leaves during the release of a failed claim sends that release again.
        let Some(term) = release.term.or(self.last_claimed) else {
            return;
        };
        for store in self.due() {
            if self.stores[store.get()].claimed {
                self.release(store, term, release.reason);
            }
        }
    }

    pub(super) fn heard_releasing(&mut self, heard: Heard<'_>) {
        if let Heard::Released(store, reply) = heard
            && let Phase::Releasing(release) = &mut self.phase
        {
            // The store had numbered the term of a claim whose outcome was unknown.
            if reply.record.holder() == Some(&self.id) {
                release.term = Some(reply.record.term);
                let view = &mut self.stores[store.get()];
                (view.claimed, view.due) = (true, self.now);
            }
            release.confirmed += usize::from(reply.verdict == Verdict::Granted);
            if !self.may_hold() {
                self.finish_release();
            }
        }
    }

    pub(super) fn finish_release(&mut self) {
        if let Phase::Releasing(release) = self.phase {
            for view in &mut self.stores {
                view.pending = None;
            }
            self.phase = Phase::Done;
            if let Some(term) = release.term {
                let stores = release.confirmed;
                self.step.events.push(Event::Released { term, stores });
            }
        }
    }

    /// A store shows that a claim whose outcome was unknown had been granted: it holds our term.
    pub(super) fn adopt(&mut self, store: StoreIndex, memory: MemoryId) {
        let view = &mut self.stores[store.get()];
        view.claimed = true;
        if view.hold.is_none() {
            view.hold = Some(memory);
            view.due = self.now;
            self.step.events.push(Event::Joined { store });
        }
    }
}

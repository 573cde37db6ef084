//! Leading, stopping the work, and releasing the records.

use super::{Candidate, Ending, Event, Heard, Kind, Phase};
use crate::protocol::{
    ClaimKind, LossReason, Mark, MemoryId, Occupancy, Record, Reply, StoreIndex, Term, Verdict,
};

impl Candidate {
    pub(super) fn heard_leading(
        &mut self,
        term: Term,
        ending: Option<(Ending, LossReason)>,
        heard: Heard<'_>,
    ) {
        match heard {
            // An earlier claim whose outcome we never learnt was granted after all.
            Heard::Observed(store, reply) | Heard::Refused(store, reply)
                if reply.record.is_held_by(&self.id, term) =>
            {
                self.adopt(store, reply.memory.id);
            }
            Heard::Observed(store, _) => {
                if self.joinable(store).is_some() {
                    self.stores[store.get()].due = self.now;
                }
                self.check_deposed();
            }
            Heard::Granted(store, _) => {
                self.step.events.push(Event::Joined { store });
                self.renew();
            }
            Heard::Refused(store, _) | Heard::Unknown(store) => {
                self.stores[store.get()].due = self.now + self.timing.interval();
                self.check_deposed();
            }
            Heard::Beaten => {
                self.renew();
                self.obey();
            }
            Heard::Parted => self.check_deposed(),
            Heard::Resign(reason) => self.stop(Ending::asked_for(reason), reason),
            Heard::WorkEnded(reason) => {
                self.stop(Ending::Stopped, reason);
                let reason = ending.map_or(reason, |(_, earlier)| earlier);
                self.give_up(Some(term), reason);
            }
            Heard::Woken(..) | Heard::Released(..) => {}
        }
    }

    /// Sends what is due: heartbeats to the stores held, polls to the others, claims where it can join.
    pub(super) fn lead(&mut self) {
        let Phase::Tenure { term, .. } = self.phase else {
            return;
        };
        for store in self.due() {
            let joinable = self.joinable(store);
            match (self.stores[store.get()].hold, joinable) {
                (Some(_), _) => self.beat(store, term),
                (None, Some(expected)) => self.claim(store, term, expected, ClaimKind::Join),
                (None, None) => self.observe(store),
            }
        }
    }

    /// What a claim that adds `store` to those that hold our term may expect of it, if it can be added.
    pub(super) fn joinable(&self, store: StoreIndex) -> Option<Mark> {
        let Phase::Tenure {
            term,
            ending,
            expired,
            ..
        } = self.phase
        else {
            return None;
        };
        let over = expired || matches!(ending, Some((Ending::Deposed, _)));
        let view = &self.stores[store.get()];
        let barred = over || view.hold.is_some() || self.was_released(store, term);
        (!barred).then(|| view.watch.claimable(self.now, &self.timing))?
    }

    fn renew(&mut self) {
        let renewed = self.majority_acknowledged();
        let tenure = self.timing.tenure();
        let Phase::Tenure {
            deadline,
            ending,
            expired,
            ..
        } = &mut self.phase
        else {
            return;
        };
        let final_loss = matches!(ending, Some((Ending::Deposed | Ending::Forgotten, _)));
        if let Some(sent) = renewed
            && !*expired
            && !final_loss
            && self.now < *deadline
        {
            *deadline = (*deadline).max(sent + tenure);
        }
    }

    /// Ends the leadership when other candidates hold too many stores for a majority.
    pub(super) fn check_deposed(&mut self) {
        let Phase::Tenure { term, .. } = self.phase else {
            return;
        };
        let lost: Vec<StoreIndex> = self
            .electorate
            .stores()
            .filter(|store| self.is_taken(*store, term))
            .collect();
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
    pub(super) fn check_tenure(&mut self) {
        let Phase::Tenure {
            term,
            deadline,
            ending,
            expired,
        } = self.phase
        else {
            return;
        };
        if ending.is_none() && self.now + self.timing.stop_grace() >= deadline {
            let overslept = self.now.since(self.planned) >= self.timing.interval();
            let reason = if overslept {
                LossReason::Suspended
            } else {
                LossReason::TenureEnded
            };
            self.stop(Ending::Stopped, reason);
        }
        if !expired && self.now >= deadline {
            if let Phase::Tenure { expired, .. } = &mut self.phase {
                *expired = true;
            }
            self.step.events.push(Event::Expired { term });
        }
    }

    /// Asks the work to stop. It asks again only when the deadline moves closer.
    pub(super) fn stop(&mut self, how: Ending, why: LossReason) {
        let hurry = self.now + self.timing.margin();
        let Phase::Tenure {
            term,
            deadline,
            ending,
            expired,
        } = &mut self.phase
        else {
            return;
        };
        let deposed = how == Ending::Deposed;
        match ending {
            Some((Ending::Deposed, _)) => return,
            Some((Ending::Stopped | Ending::Forgotten, _)) if !deposed => return,
            Some((Ending::Stopped | Ending::Forgotten, _)) | None => {}
        }
        *ending = Some((how, why));
        if deposed && !*expired {
            *deadline = (*deadline).min(hurry);
        }
        self.step.events.push(Event::Stopping {
            term: *term,
            reason: why,
            deadline: *deadline,
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
        self.phase = Phase::Releasing {
            term,
            reason,
            until: self.now + timeout + timeout,
            confirmed: 0,
        };
        if self.stores.iter().all(|view| !view.claimed) {
            self.finish_release();
        }
    }

    pub(super) fn release_rest(&mut self, term: Option<Term>, reason: LossReason) {
        // A standby that leaves during the release of a failed claim sends that release again.
        let Some(term) = term.or(self.last_claimed) else {
            return;
        };
        for store in self.due() {
            if self.stores[store.get()].claimed {
                self.release(store, term, reason);
            }
        }
    }

    pub(super) fn released(&mut self, store: StoreIndex, reply: &Reply) {
        if let Phase::Releasing {
            confirmed, term, ..
        } = &mut self.phase
        {
            // The store had numbered the term of a claim whose outcome was unknown.
            if reply.record.holder() == Some(&self.id) {
                *term = Some(reply.record.term);
                let view = &mut self.stores[store.get()];
                (view.claimed, view.due) = (true, self.now);
            }
            *confirmed += usize::from(reply.verdict == Verdict::Granted);
            if self.stores.iter().all(|view| !view.claimed) {
                self.finish_release();
            }
        }
    }

    pub(super) fn finish_release(&mut self) {
        if let Phase::Releasing {
            term, confirmed, ..
        } = self.phase
        {
            for view in &mut self.stores {
                view.pending = None;
            }
            self.phase = Phase::Done;
            if let Some(term) = term {
                self.step.events.push(Event::Released {
                    term,
                    stores: confirmed,
                });
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

//! Leading, stopping the work, and releasing the records.

use super::{Candidate, Ending, Event, Heard, Hold, Kind, Phase, Step};
use crate::protocol::{
    ClaimKind, LossReason, Mark, MemoryId, Occupancy, Record, Reply, StoreIndex, Term, Timestamp,
    Verdict,
};

impl Candidate {
    pub(super) fn heard_leading(
        &mut self,
        now: Timestamp,
        term: Term,
        ending: Option<(Ending, LossReason)>,
        heard: Heard<'_>,
        step: &mut Step,
    ) {
        match heard {
            // An earlier claim whose outcome we never learnt was granted after all.
            Heard::Observed(store, reply) | Heard::Refused(store, reply)
                if reply.record.is_held_by(&self.id, term) =>
            {
                self.adopt(now, store, reply.memory.id, step);
            }
            Heard::Observed(store, _) => {
                if self.joinable(now, store).is_some() {
                    self.stores[store.get()].due = now;
                }
                self.check_deposed(now, step);
            }
            Heard::Granted(store, _) => {
                step.events.push(Event::Joined { store });
                self.renew(now);
            }
            Heard::Refused(store, _) | Heard::Unknown(store) => {
                self.stores[store.get()].due = now + self.timing.interval();
                self.check_deposed(now, step);
            }
            Heard::Beaten => {
                self.renew(now);
                self.obey(now, step);
            }
            Heard::Parted => self.check_deposed(now, step),
            Heard::Resign(reason) => self.stop(now, Ending::asked_for(reason), reason, step),
            Heard::WorkEnded(reason) => {
                self.stop(now, Ending::Stopped, reason, step);
                let reason = ending.map_or(reason, |(_, earlier)| earlier);
                self.give_up(now, Some(term), reason, step);
            }
            Heard::Woken(..) | Heard::Released(..) => {}
        }
    }

    /// Sends what is due: heartbeats to the stores held, polls to the others, claims where it can join.
    pub(super) fn lead(&mut self, now: Timestamp, step: &mut Step) {
        let Phase::Tenure { term, .. } = self.phase else {
            return;
        };
        for store in self.due(now) {
            let joinable = self.joinable(now, store);
            match (self.stores[store.get()].hold, joinable) {
                (Some(_), _) => self.beat(now, store, term, step),
                (None, Some(expected)) => {
                    self.claim(now, store, term, expected, ClaimKind::Join, step)
                }
                (None, None) => self.observe(now, store, step),
            }
        }
    }

    /// What a claim that adds `store` to those that hold our term may expect of it, if it can be added.
    pub(super) fn joinable(&self, now: Timestamp, store: StoreIndex) -> Option<Mark> {
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
        (!barred).then(|| view.watch.claimable(now, &self.timing))?
    }

    fn renew(&mut self, now: Timestamp) {
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
            && now < *deadline
        {
            *deadline = (*deadline).max(sent + tenure);
        }
    }

    /// Ends the leadership when other candidates hold too many stores for a majority.
    pub(super) fn check_deposed(&mut self, now: Timestamp, step: &mut Step) {
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
        self.stop(now, ending, reason, step);
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
    pub(super) fn check_tenure(&mut self, now: Timestamp, step: &mut Step) {
        let Phase::Tenure {
            term,
            deadline,
            ending,
            expired,
        } = self.phase
        else {
            return;
        };
        if ending.is_none() && now + self.timing.stop_grace() >= deadline {
            let overslept = now.since(self.planned) >= self.timing.interval();
            let reason = if overslept {
                LossReason::Suspended
            } else {
                LossReason::TenureEnded
            };
            self.stop(now, Ending::Stopped, reason, step);
        }
        if !expired && now >= deadline {
            if let Phase::Tenure { expired, .. } = &mut self.phase {
                *expired = true;
            }
            step.events.push(Event::Expired { term });
        }
    }

    /// Asks the work to stop. It asks again only when the deadline moves closer.
    pub(super) fn stop(&mut self, now: Timestamp, how: Ending, why: LossReason, step: &mut Step) {
        let hurry = now + self.timing.margin();
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
        step.events.push(Event::Stopping {
            term: *term,
            reason: why,
            deadline: *deadline,
        });
    }

    /// Starts to release. Only here, after the work has ended, does a leader release its records.
    pub(super) fn give_up(
        &mut self,
        now: Timestamp,
        term: Option<Term>,
        reason: LossReason,
        step: &mut Step,
    ) {
        let timeout = self.timing.op_timeout();
        let releasing_already = matches!(self.phase, Phase::Standby { .. });
        for view in &mut self.stores {
            let keeps = releasing_already && view.awaits(Kind::Release);
            if !keeps {
                view.pending = None;
            }
            view.claimed &= !releasing_already || keeps;
            view.hold = None;
            view.due = now;
        }
        self.phase = Phase::Releasing {
            term,
            reason,
            until: now + timeout + timeout,
            confirmed: 0,
        };
        if self.stores.iter().all(|view| !view.claimed) {
            self.finish_release(step);
        }
    }

    pub(super) fn release_rest(
        &mut self,
        now: Timestamp,
        term: Option<Term>,
        reason: LossReason,
        step: &mut Step,
    ) {
        // A standby that leaves during the release of a failed claim sends that release again.
        let Some(term) = term.or(self.last_claimed) else {
            return;
        };
        for store in self.due(now) {
            if self.stores[store.get()].claimed {
                self.release(now, store, term, reason, step);
            }
        }
    }

    pub(super) fn released(
        &mut self,
        now: Timestamp,
        store: StoreIndex,
        reply: &Reply,
        step: &mut Step,
    ) {
        if let Phase::Releasing {
            confirmed, term, ..
        } = &mut self.phase
        {
            // The store had numbered the term of a claim whose outcome was unknown.
            if reply.record.holder() == Some(&self.id) {
                *term = Some(reply.record.term);
                let view = &mut self.stores[store.get()];
                (view.claimed, view.due) = (true, now);
            }
            *confirmed += usize::from(reply.verdict == Verdict::Granted);
            if self.stores.iter().all(|view| !view.claimed) {
                self.finish_release(step);
            }
        }
    }

    pub(super) fn finish_release(&mut self, step: &mut Step) {
        if let Phase::Releasing {
            term, confirmed, ..
        } = self.phase
        {
            for view in &mut self.stores {
                view.pending = None;
            }
            self.phase = Phase::Done;
            if let Some(term) = term {
                step.events.push(Event::Released {
                    term,
                    stores: confirmed,
                });
            }
        }
    }

    /// A store shows that a claim whose outcome was unknown had been granted: it holds our term.
    pub(super) fn adopt(
        &mut self,
        now: Timestamp,
        store: StoreIndex,
        memory: MemoryId,
        step: &mut Step,
    ) {
        let view = &mut self.stores[store.get()];
        view.claimed = true;
        if view.hold.is_none() {
            view.hold = Some(Hold { memory });
            view.due = now;
            step.events.push(Event::Joined { store });
        }
    }
}

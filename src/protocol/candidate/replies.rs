//! What the stores reply: recorded here first, whatever it answers, and then handed to the phase.

use super::{Acknowledged, Candidate, Event, Failure, Heard, Kind, Pending, Phase, RequestId};
use crate::protocol::{Knowledge, Record, Reply, StoreIndex, Verdict};

impl Candidate {
    pub(super) fn replied(
        &mut self,
        store: StoreIndex,
        id: RequestId,
        result: Result<Reply, Failure>,
    ) {
        let view = self.stores.get_mut(store.get());
        let Some(pending) = view.and_then(|view| view.pending.take_if(|sent| sent.id == id)) else {
            self.stale_replies += 1;
            return;
        };
        match result {
            Ok(reply) => {
                self.take_in(store, &pending, &reply);
                self.answered(store, &pending, &reply);
            }
            Err(failure) => self.failed(store, &pending, failure),
        }
    }

    /// Records what any reply shows, whatever it answers.
    fn take_in(&mut self, store: StoreIndex, pending: &Pending, reply: &Reply) {
        let view = &mut self.stores[store.get()];
        view.failing = false;
        view.hint.take_if(|hint| hint.heard <= pending.sent);
        view.read_clock(reply.clock, self.now);
        let shown = (reply.memory, reply.clock);
        view.known = Some(Knowledge::learnt(view.known, shown, pending.sent, self.now));
        let seen = view.watch.record();
        let changed = seen.is_none_or(|before| differ(before, &reply.record));
        view.watch
            .observe(&reply.record, &reply.memory, pending.sent, self.now);
        if reply.record.holder() == Some(&self.id) {
            view.written = view.written.max(reply.record.beat);
        }
        if changed {
            self.step.events.push(Event::Saw {
                store,
                record: reply.record.clone(),
            });
        }
    }

    fn answered(&mut self, store: StoreIndex, pending: &Pending, reply: &Reply) {
        let acts = matches!(self.phase, Phase::Tenure(_));
        let view = &mut self.stores[store.get()];
        let memory = reply.memory.id;
        let acknowledged = Acknowledged {
            sent: pending.sent,
            memory,
        };
        let heard = match (pending.kind, reply.verdict) {
            (Kind::Observe, _) => Heard::Observed(store, reply),
            (Kind::Claim, Verdict::Granted) => {
                view.hold = Some(memory);
                view.acknowledged = Some(acknowledged);
                Heard::Granted(store, reply.record.term)
            }
            (Kind::Claim, Verdict::Refused) => {
                view.claimed = false;
                Heard::Refused(store, reply)
            }
            // R6: the store may have forgotten someone since it granted the claim.
            (Kind::Beat, Verdict::Granted)
                if !acts && view.hold.is_some_and(|hold| hold != memory) =>
            {
                Heard::Parted
            }
            (Kind::Beat, Verdict::Granted) => {
                if view.hold.is_some() {
                    view.acknowledged = Some(acknowledged);
                }
                Heard::Beaten
            }
            (Kind::Beat, Verdict::Refused) => {
                view.claimed = false;
                view.due = self.now;
                if view.hold.take().is_some() {
                    self.step.events.push(Event::Parted { store });
                }
                Heard::Parted
            }
            (Kind::Release, _) => {
                view.claimed = false;
                Heard::Released(store, reply)
            }
        };
        self.hear(heard);
    }

    pub(super) fn failed(&mut self, store: StoreIndex, pending: &Pending, failure: Failure) {
        let retry = self.timing.interval() / 8;
        let standby = matches!(self.phase, Phase::Standby { .. });
        let view = &mut self.stores[store.get()];
        view.failing = true;
        // A leader retries quickly, because its tenure is running out; a standby is in no hurry.
        if !standby && pending.kind != Kind::Observe {
            view.due = self.now + retry;
        }
        if pending.kind == Kind::Claim {
            view.claimed &= failure == Failure::Unknown;
            self.hear(Heard::Unknown(store));
        }
    }
}

/// Whether two records look different to people: by anything but the beat.
fn differ(one: &Record, other: &Record) -> bool {
    let occupancy = |record: &Record| std::mem::discriminant(&record.occupancy);
    one.term != other.term
        || one.holder() != other.holder()
        || occupancy(one) != occupancy(other)
        || one.orders != other.orders
}

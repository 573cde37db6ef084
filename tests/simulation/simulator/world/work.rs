//! The work that is done in a world under a lease.

use super::*;

impl<P: Party> World<P> {
    /// Notes who acts, from what the party says that its work may do.
    pub(super) fn follow_lease(&mut self, slot: usize) {
        let lease = self.slots[slot].party.as_ref().and_then(P::lease);
        let place = &mut self.slots[slot];
        match (&mut place.acting, lease) {
            (Some(acting), Some(lease)) if acting.lease.token == lease.token => {
                // A party that prolongs a deadline that has passed counts as having acted all along.
                acting.lease = lease;
            }
            // Work does not end because its party has lost interest: it ends at its deadline, or when it
            // has ended.
            (Some(_), _) | (None, _) => {}
        }
    }

    pub(super) fn begin_work(&mut self, slot: usize) {
        self.outlive(slot);
        let place = &mut self.slots[slot];
        let Some(party) = &place.party else { return };
        let Some(lease) = party.lease() else { return };
        place.work += 1;
        place.acting = Some(Acting {
            who: party.name(),
            lease,
            from: Some(self.now),
        });
        if self.random.chance(self.work.finishes) {
            let after = self.random.within(0..self.work.longest);
            let incarnation = self.slots[slot].incarnation;
            self.schedule(self.now + after, Event::Leaves { slot, incarnation });
        }
    }

    pub(super) fn stop_work(&mut self, slot: usize, deadline: Timestamp) {
        let end = self.slots[slot].clock.when(deadline).max(self.now);
        let at = if self.random.chance(self.work.dawdles) {
            end
        } else {
            self.random
                .within(self.now..end.min(self.now + 1000 * MILLI))
        };
        let work = self.slots[slot].work;
        self.schedule(at, Event::WorkOver { slot, work });
    }

    /// The work has ended, and its process learns of it once it can hear.
    pub(super) fn work_over(&mut self, slot: usize, work: u64) {
        if self.slots[slot].work != work || self.slots[slot].party.is_none() {
            return;
        }
        if self.slots[slot].paused_until.is_some() {
            if self.slots[slot].kept {
                self.cease(slot);
            }
            self.slots[slot].inbox.push(Inbound::WorkOver { work });
            return;
        }
        self.cease(slot);
        self.slots[slot].work += 1;
        self.stimulate(slot, Stimulus::WorkEnded);
    }

    /// Work that was never asked to stop, or did not obey, acts until its deadline.
    fn outlive(&mut self, slot: usize) {
        let place = &mut self.slots[slot];
        if let Some(Acting {
            who,
            lease,
            from: Some(from),
        }) = place.acting.take()
        {
            let to = place.clock.when(lease.deadline).max(from);
            let token = lease.token;
            self.history.spans.push(Span {
                who,
                token,
                from,
                to,
            });
        }
    }

    /// The work of a slot acts no more from now on, or since its deadline.
    pub(super) fn cease(&mut self, slot: usize) {
        let place = &mut self.slots[slot];
        let Some(acting) = place.acting.take() else {
            return;
        };
        let to = self.now.min(place.clock.when(acting.lease.deadline));
        if let Some(from) = acting.from {
            self.history.spans.push(Span {
                who: acting.who,
                token: acting.lease.token,
                from,
                to: to.max(from),
            });
        }
    }
}

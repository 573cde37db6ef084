//! The faults that strike a world.

use super::*;

impl<P: Party> World<P> {
    pub(super) fn struck(&mut self, fault: Fault) {
        let fault = fault.aimed_at(self.acting_slot());
        self.note(|| format!("fault: {fault:?}"));
        *self.tally.entry("faults").or_default() += 1;
        match fault {
            Fault::Pause { slot, lasts } => self.pause(slot, lasts),
            Fault::Crash { slot, how, back } => self.crash(slot, how, back),
            Fault::Resign { slot } => self.stimulate(slot, Stimulus::Resign),
            Fault::Down { store, lasts } => self.shelves[store].down_until = self.now + lasts,
            Fault::Hang { store, lasts } => {
                self.shelves[store].hung_until = self.now + lasts;
                self.schedule(self.now + lasts, Event::Thaws { store });
            }
            Fault::Full { store, lasts } => self.shelves[store].full_until = self.now + lasts,
            Fault::Wipe { store } => self.lose(store, P::Server::wipe),
            Fault::Evict { store } => self.lose(store, P::Server::evict),
            Fault::RollBack { store, writes } => {
                // Older data come from a restart or a failover, and both end every connection.
                let shelf = &mut self.shelves[store];
                shelf.held_back.clear();
                shelf.epoch += 1;
                self.lose(store, |server| server.roll_back(writes));
            }
            Fault::JumpAhead { store, by_ms } => self.shelves[store].ahead_ms += by_ms,
            Fault::SetBack { store, by_ms } => {
                let back_ms = &mut self.shelves[store].back_ms;
                *back_ms = (*back_ms + by_ms).min(EPOCH_MS / 2);
            }
            Fault::Cut { slot, store, lasts } => self.cut_until[slot][store] = self.now + lasts,
            Fault::Lag { slot, by, lasts } => self.slots[slot].lag = (self.now + lasts, by),
            Fault::Weather { network, lasts } => {
                self.weather = Some(network);
                self.schedule(self.now + lasts, Event::Clears);
            }
        }
    }

    fn lose(&mut self, store: usize, loss: impl FnOnce(&mut P::Server)) {
        let wall_ms = self.wall_ms(store);
        let server = &mut self.shelves[store].server;
        loss(server);
        if let Some(witness) = &mut self.witness {
            witness.struck(self.now, store, wall_ms, server);
        }
    }

    fn wall_ms(&self, store: usize) -> u64 {
        let shelf = &self.shelves[store];
        EPOCH_MS + self.now / MILLI + shelf.ahead_ms - shelf.back_ms
    }

    fn pause(&mut self, slot: usize, lasts: Nanos) {
        let place = &mut self.slots[slot];
        let until = self.now + lasts;
        if place.paused_until.is_some() || place.party.is_none() {
            return;
        }
        place.paused_until = Some(until);
        if !place.kept {
            // Work inside of the process freezes with it.
            if let Some(acting) = place.acting.take() {
                let stopped = Acting {
                    who: acting.who.clone(),
                    lease: acting.lease,
                    from: None,
                };
                place.acting = Some(acting);
                self.cease(slot);
                self.slots[slot].acting = Some(stopped);
            }
        }
        self.schedule(until, Event::Resumes { slot });
    }

    pub(super) fn resume(&mut self, slot: usize) {
        let now = self.now;
        let place = &mut self.slots[slot];
        if place.paused_until != Some(now) {
            return;
        }
        place.paused_until = None;
        // Without orders yet, the work goes on until its deadline.
        if let Some(acting) = &mut place.acting {
            acting.from.get_or_insert(now);
        }
        self.note(|| format!("slot {slot} runs again"));
        let mut inbox = std::mem::take(&mut self.slots[slot].inbox);
        // Timers and messages are ready at once: no one says which is served first.
        if self.random.chance(500) {
            self.stimulate(slot, Stimulus::Tick);
        }
        if self.random.chance(200) {
            inbox.reverse();
        }
        for inbound in inbox {
            match inbound {
                Inbound::Stimulus(stimulus) => self.stimulate(slot, stimulus),
                Inbound::WorkOver { work } => self.work_over(slot, work),
            }
        }
        self.stimulate(slot, Stimulus::Tick);
    }

    fn crash(&mut self, slot: usize, how: Crash, back: Nanos) {
        let place = &mut self.slots[slot];
        let Some(party) = place.party.take() else {
            return;
        };
        place.paused_until = None;
        place.inbox.clear();
        place.last = None;
        place.incarnation += 1;
        place.work += 1;
        let kept = place.kept && how == Crash::Process;
        if kept && place.acting.is_some() {
            let kill_ms = self.random.within(0..20);
            // The keeper kills within moments, and at the deadline at the latest.
            let acting = self.slots[slot].acting.take();
            if let Some(Acting {
                who,
                lease,
                from: Some(from),
            }) = acting
            {
                let dead = self.now + kill_ms * MILLI;
                let deadline = self.slots[slot].clock.when(lease.deadline);
                self.history.spans.push(Span {
                    who,
                    token: lease.token,
                    from,
                    to: dead.min(deadline).max(from),
                });
            }
            if let Some(witness) = &mut self.witness {
                witness.died(self.now + kill_ms * MILLI, &party);
            }
            for (store, request) in party.last_will() {
                let letter = Letter {
                    slot,
                    incarnation: self.slots[slot].incarnation,
                    store,
                    id: u64::MAX,
                    epoch: self.shelves[store].epoch,
                    request,
                };
                let network = self.weather.as_ref().unwrap_or(&self.network);
                let copies = network.copies(&mut self.random);
                for delay in copies.into_iter().flatten() {
                    let at = self.now + kill_ms * MILLI + delay;
                    self.schedule(at, Event::Arrives(letter.clone()));
                }
            }
        } else {
            self.cease(slot);
        }
        self.schedule(self.now + back, Event::Born { slot });
    }
}

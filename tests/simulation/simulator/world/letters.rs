//! The letters of a world: requests on their way to the stores, and what comes back.

use super::*;

impl<P: Party> World<P> {
    pub(super) fn post(&mut self, slot: usize, store: usize, id: u64, request: P::Request) {
        *self.tally.entry("requests").or_default() += 1;
        self.slots[slot].rate.count(self.now);
        self.note(|| format!("slot {slot} → store {store} #{id}: {request:?}"));
        let letter = Letter {
            slot,
            incarnation: self.slots[slot].incarnation,
            store,
            id,
            epoch: self.shelves[store].epoch,
            request,
        };
        if let Some(witness) = &mut self.witness {
            witness.sent(self.now, &letter.sender(), store, &letter.request);
        }
        if self.now < self.cut_until[slot][store] {
            return;
        }
        self.carry(&letter);
    }

    fn carry(&mut self, letter: &Letter<P>) {
        let (until, by) = self.slots[letter.slot].lag;
        let lag = if self.now < until { by } else { 0 };
        let network = self.weather.as_ref().unwrap_or(&self.network);
        for delay in network.copies(&mut self.random).into_iter().flatten() {
            self.schedule(self.now + lag + delay, Event::Arrives(letter.clone()));
        }
    }

    pub(super) fn arrive(&mut self, letter: Letter<P>) {
        let shelf = &mut self.shelves[letter.store];
        if letter.epoch != shelf.epoch {
            return;
        }
        if self.now < shelf.down_until {
            // Sometimes the refusal of the connection is heard of, sometimes nothing is.
            if self.random.chance(500) {
                self.answer(&letter, Err(Failure::NotExecuted));
            }
        } else if self.now < shelf.hung_until {
            shelf.held_back.push(letter);
        } else if self.now < shelf.full_until && P::Server::writes(&letter.request) {
            self.answer(&letter, Err(Failure::NotExecuted));
        } else {
            self.execute(&letter);
        }
    }

    pub(super) fn execute(&mut self, letter: &Letter<P>) {
        let store = letter.store;
        let shelf = &mut self.shelves[store];
        let wall_ms = EPOCH_MS + self.now / MILLI + shelf.ahead_ms - shelf.back_ms;
        let (reply, push) = shelf.server.execute(wall_ms, &letter.request);
        if let Some(witness) = &mut self.witness {
            let asked = (&letter.sender(), store);
            witness.executed(self.now, asked, &letter.request, &reply, &shelf.server);
        }
        self.note(|| format!("store {store} ← slot {}: {reply:?}", letter.slot));
        self.answer(letter, Ok(reply.clone()));
        if push {
            let called = self.someone();
            for slot in 0..self.slots.len() {
                let incarnation = self.slots[slot].incarnation;
                let reply = reply.clone();
                let called = called.clone();
                let woken = Stimulus::Woken {
                    store,
                    reply,
                    called,
                };
                self.deliver(slot, incarnation, store, woken);
            }
        }
    }

    /// Whom a store calls: any candidate that it has seen, even one that has left, or no one.
    fn someone(&mut self) -> Option<String> {
        let slot = self.random.below(self.slots.len() + 1);
        let slot = self.slots.get(slot)?;
        let party = if self.random.chance(800) {
            slot.party.as_ref()
        } else {
            slot.last.as_ref()
        };
        party.map(Party::name)
    }

    fn answer(&mut self, letter: &Letter<P>, result: Result<P::Reply, Failure>) {
        let stimulus = Stimulus::Replied {
            store: letter.store,
            id: letter.id,
            result,
        };
        self.deliver(letter.slot, letter.incarnation, letter.store, stimulus);
    }

    fn deliver(
        &mut self,
        slot: usize,
        incarnation: u32,
        store: usize,
        stimulus: Stimulus<P::Reply>,
    ) {
        if self.now < self.cut_until[slot][store] {
            return;
        }
        let network = self.weather.as_ref().unwrap_or(&self.network);
        let copies = network.copies(&mut self.random);
        if copies == [None, None]
            && self.random.chance(300)
            && let Stimulus::Replied { store, id, .. } = stimulus
        {
            // The connection broke, and its end is noticed: what became of the request is not known.
            let stimulus = Stimulus::Replied {
                store,
                id,
                result: Err(Failure::Unknown),
            };
            let at = self.now + MILLI;
            return self.schedule(
                at,
                Event::Answered {
                    slot,
                    incarnation,
                    stimulus,
                },
            );
        }
        for delay in copies.into_iter().flatten() {
            let stimulus = stimulus.clone();
            self.schedule(
                self.now + delay,
                Event::Answered {
                    slot,
                    incarnation,
                    stimulus,
                },
            );
        }
    }

    pub(super) fn thaw(&mut self, store: usize) {
        if self.now < self.shelves[store].hung_until {
            return;
        }
        for letter in std::mem::take(&mut self.shelves[store].held_back) {
            self.arrive(letter);
        }
    }
}

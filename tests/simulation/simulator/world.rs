//! The event loop: machines, stores and the network between them, in virtual time.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BinaryHeap};

use incumbent::protocol::{Failure, Timestamp};

use super::checker::seconds;
use super::clock::LocalClock;
use super::fault::{Crash, Fault};
use super::history::{History, Span};
use super::network::Network;
use super::party::{Birth, Lease, Party, Reaction, Server, Stimulus, Turn, Witness};
use super::random::Random;
use super::recorder::Sender;
use super::{MILLI, Nanos};

/// What a world is made of.
pub(crate) struct Setting<P: Party> {
    pub(crate) seed: u64,
    pub(crate) clocks: Vec<LocalClock>,
    /// When the first party of each slot begins.
    pub(crate) starts: Vec<Nanos>,
    /// Whether a keeper kills the work of this slot at its deadline even while the process stands
    /// still. Otherwise the work is part of the process, and compares the deadline with the clock.
    pub(crate) kept: Vec<bool>,
    /// Over what time the requests of each slot are counted.
    pub(crate) intervals: Vec<Nanos>,
    pub(crate) servers: Vec<P::Server>,
    /// How far ahead the wall clock of each store is, in milliseconds.
    pub(crate) ahead_ms: Vec<u64>,
    pub(crate) network: Network,
    pub(crate) work: Work,
    pub(crate) transcript: bool,
}

/// How the work behaves.
#[derive(Clone, Debug)]
pub(crate) struct Work {
    /// Per mille of leaderships that end because the work has finished.
    pub(crate) finishes: u64,
    /// The longest it takes until it has.
    pub(crate) longest: Nanos,
    /// Per mille of stops that use all the time there is.
    pub(crate) dawdles: u64,
    /// At most how long after the end of a candidacy the next one begins.
    pub(crate) rest: Nanos,
}

struct Slot<P: Party> {
    clock: LocalClock,
    kept: bool,
    party: Option<P>,
    /// The party before, for what it may hand on to the next.
    last: Option<P>,
    incarnation: u32,
    timer: u64,
    paused_until: Option<Nanos>,
    inbox: Vec<Inbound<P>>,
    acting: Option<Acting>,
    /// Counts the leaderships, so that a late end of work is not taken for the next one's.
    work: u64,
    rate: Rate,
    /// Until when what it sends takes longer, and by how much.
    lag: (Nanos, Nanos),
}

/// At most how many requests a slot sends to a store in one of its intervals.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Rate {
    interval: Nanos,
    bucket: u64,
    count: u64,
    pub(crate) most: u64,
}

impl Rate {
    pub(crate) const fn per(interval: Nanos) -> Self {
        Self {
            interval,
            bucket: 0,
            count: 0,
            most: 0,
        }
    }

    fn count(&mut self, now: Nanos) {
        let bucket = now / self.interval;
        if bucket != self.bucket {
            self.bucket = bucket;
            self.count = 0;
        }
        self.count += 1;
        self.most = self.most.max(self.count);
    }
}

enum Inbound<P: Party> {
    Stimulus(Stimulus<P::Reply>),
    WorkOver { work: u64 },
}

struct Acting {
    who: String,
    lease: Lease,
    /// Since when without a break; `None` while the process and its work are frozen.
    from: Option<Nanos>,
}

struct Shelf<P: Party> {
    server: P::Server,
    ahead_ms: u64,
    back_ms: u64,
    down_until: Nanos,
    hung_until: Nanos,
    full_until: Nanos,
    held_back: Vec<Letter<P>>,
    /// Counts the restarts: what was sent to the server before does not reach the one after.
    epoch: u64,
}

struct Letter<P: Party> {
    slot: usize,
    incarnation: u32,
    store: usize,
    id: u64,
    epoch: u64,
    request: P::Request,
}

impl<P: Party> Letter<P> {
    const fn sender(&self) -> Sender {
        Sender {
            slot: self.slot,
            incarnation: self.incarnation,
            id: self.id,
        }
    }
}

impl<P: Party> Clone for Letter<P> {
    fn clone(&self) -> Self {
        Self {
            request: self.request.clone(),
            ..*self
        }
    }
}

enum Event<P: Party> {
    Timer {
        slot: usize,
        timer: u64,
    },
    Arrives(Letter<P>),
    Answered {
        slot: usize,
        incarnation: u32,
        stimulus: Stimulus<P::Reply>,
    },
    Leaves {
        slot: usize,
        incarnation: u32,
    },
    WorkOver {
        slot: usize,
        work: u64,
    },
    Born {
        slot: usize,
    },
    Resumes {
        slot: usize,
    },
    Thaws {
        store: usize,
    },
    Strikes(Fault),
    Clears,
}

pub(crate) type Spawn<P> = Box<dyn FnMut(&Birth, Option<&P>) -> P>;

pub(crate) struct World<P: Party> {
    now: Nanos,
    random: Random,
    queue: BinaryHeap<Reverse<(Nanos, u64)>>,
    events: BTreeMap<u64, Event<P>>,
    next_event: u64,
    slots: Vec<Slot<P>>,
    shelves: Vec<Shelf<P>>,
    cut_until: Vec<Vec<Nanos>>,
    network: Network,
    weather: Option<Network>,
    work: Work,
    spawn: Spawn<P>,
    pub(crate) history: History,
    pub(crate) tally: BTreeMap<&'static str, u64>,
    pub(crate) transcript: Option<Vec<String>>,
    /// An observer of the run, if there is one.
    pub(crate) witness: Option<Box<dyn Witness<P>>>,
}

/// What a store's wall clock shows when the world begins.
const EPOCH_MS: u64 = 1_700_000_000_000;

impl<P: Party> World<P> {
    pub(crate) fn new(setting: Setting<P>, spawn: Spawn<P>) -> Self {
        let slots = setting.clocks.len();
        let stores = setting.servers.len();
        let mut world = Self {
            now: 0,
            random: Random::new(setting.seed),
            queue: BinaryHeap::new(),
            events: BTreeMap::new(),
            next_event: 0,
            slots: Vec::with_capacity(slots),
            shelves: Vec::with_capacity(stores),
            cut_until: vec![vec![0; stores]; slots],
            network: setting.network,
            weather: None,
            work: setting.work,
            spawn,
            history: History::default(),
            tally: BTreeMap::new(),
            transcript: setting.transcript.then(Vec::new),
            witness: None,
        };
        let machines = setting.clocks.into_iter().zip(setting.kept);
        for ((clock, kept), interval) in machines.zip(setting.intervals) {
            world.slots.push(Slot {
                clock,
                kept,
                party: None,
                last: None,
                incarnation: 0,
                timer: 0,
                paused_until: None,
                inbox: Vec::new(),
                acting: None,
                work: 0,
                rate: Rate::per(interval),
                lag: (0, 0),
            });
        }
        for (server, ahead_ms) in setting.servers.into_iter().zip(setting.ahead_ms) {
            world.shelves.push(Shelf {
                server,
                ahead_ms,
                back_ms: 0,
                down_until: 0,
                hung_until: 0,
                full_until: 0,
                held_back: Vec::new(),
                epoch: 0,
            });
        }
        for (slot, start) in setting.starts.into_iter().enumerate() {
            world.schedule(start, Event::Born { slot });
        }
        world
    }

    pub(crate) fn strike(&mut self, at: Nanos, fault: Fault) {
        self.schedule(at, Event::Strikes(fault));
    }

    pub(crate) fn set_work(&mut self, work: Work) {
        self.work = work;
    }

    pub(crate) fn set_network(&mut self, network: Network) {
        self.network = network;
    }

    /// Has every store carry out a request at this moment.
    pub(crate) fn ask_all(&mut self, request: &P::Request) {
        for shelf in &mut self.shelves {
            let wall_ms = EPOCH_MS + self.now / MILLI + shelf.ahead_ms - shelf.back_ms;
            shelf.server.execute(wall_ms, request);
        }
    }

    /// Lets time pass until `end`.
    pub(crate) fn run_until(&mut self, end: Nanos) {
        while let Some(Reverse((at, id))) = self.queue.peek().copied() {
            if at > end {
                break;
            }
            self.queue.pop();
            self.now = at;
            let event = self.events.remove(&id).expect("each event happens once");
            self.happen(event);
        }
        self.now = end;
    }

    /// Closes the books: a party that still acts, acted until now or its deadline.
    pub(crate) fn finish(&mut self) {
        for slot in 0..self.slots.len() {
            self.cease(slot);
        }
    }

    /// The most requests that any slot has sent in one of its intervals.
    pub(crate) fn highest_rate(&self) -> u64 {
        let rates = self.slots.iter().map(|slot| slot.rate.most);
        rates.max().unwrap_or(0)
    }

    /// The parties that act at this moment.
    pub(crate) fn actor(&self) -> Option<String> {
        self.slots.iter().find_map(|slot| {
            let acting = slot.acting.as_ref()?;
            let acts = acting.from.is_some() && slot.clock.at(self.now) < acting.lease.deadline;
            acts.then(|| acting.who.clone())
        })
    }

    fn acting_slot(&self) -> Option<usize> {
        self.slots.iter().position(|slot| {
            slot.acting
                .as_ref()
                .is_some_and(|acting| slot.clock.at(self.now) < acting.lease.deadline)
        })
    }

    fn schedule(&mut self, at: Nanos, event: Event<P>) {
        if at == u64::MAX {
            return;
        }
        let id = self.next_event;
        self.next_event += 1;
        self.events.insert(id, event);
        self.queue.push(Reverse((at.max(self.now), id)));
    }

    fn happen(&mut self, event: Event<P>) {
        match event {
            Event::Timer { slot, timer } => {
                if self.slots[slot].timer == timer {
                    self.stimulate(slot, Stimulus::Tick);
                }
            }
            Event::Arrives(letter) => self.arrive(letter),
            Event::Answered {
                slot,
                incarnation,
                stimulus,
            } => {
                if self.slots[slot].incarnation == incarnation {
                    self.stimulate(slot, stimulus);
                }
            }
            Event::Leaves { slot, incarnation } => {
                if self.slots[slot].incarnation == incarnation {
                    self.stimulate(slot, Stimulus::Resign);
                }
            }
            Event::WorkOver { slot, work } => self.work_over(slot, work),
            Event::Born { slot } => self.born(slot),
            Event::Resumes { slot } => self.resume(slot),
            Event::Thaws { store } => self.thaw(store),
            Event::Strikes(fault) => self.struck(fault),
            Event::Clears => self.weather = None,
        }
    }

    fn born(&mut self, slot: usize) {
        let incarnation = self.slots[slot].incarnation + 1;
        let birth = Birth {
            slot,
            incarnation,
            seed: self.random.next(),
        };
        let party = (self.spawn)(&birth, self.slots[slot].last.as_ref());
        let place = &mut self.slots[slot];
        place.incarnation = incarnation;
        place.party = Some(party);
        place.inbox.clear();
        self.note(|| format!("slot {slot} campaigns as incarnation {incarnation}"));
        self.stimulate(slot, Stimulus::Tick);
    }

    fn stimulate(&mut self, slot: usize, stimulus: Stimulus<P::Reply>) {
        if self.slots[slot].paused_until.is_some() {
            self.slots[slot].inbox.push(Inbound::Stimulus(stimulus));
            return;
        }
        let now = self.slots[slot].clock.at(self.now);
        let Some(party) = self.slots[slot].party.as_mut() else {
            return;
        };
        let seen = self.witness.as_ref().map(|_| stimulus.clone());
        let reaction = party.handle(now, stimulus);
        if let (Some(witness), Some(stimulus)) = (&mut self.witness, seen) {
            let place = &self.slots[slot];
            let party = place.party.as_ref().expect("it has just handled this");
            witness.handled(self.now, (slot, &place.clock), &stimulus, party);
        }
        self.react(slot, reaction);
    }

    fn react(&mut self, slot: usize, reaction: Reaction<P::Request>) {
        self.follow_lease(slot);
        for (store, id, request) in reaction.sends {
            self.post(slot, store, id, request);
        }
        for notice in reaction.notices {
            *self.tally.entry(notice.heading).or_default() += 1;
            self.note(|| format!("slot {slot}: {}", notice.text));
            match notice.turn {
                Turn::Elected => self.begin_work(slot),
                Turn::Stopping { deadline } => self.stop_work(slot, deadline),
                Turn::Ceased => self.cease(slot),
                Turn::Expired => {
                    let overruns = self.random.chance(self.work.dawdles);
                    let longest = if overruns {
                        self.work.longest
                    } else {
                        50 * MILLI
                    };
                    let late = self.random.within(0..longest);
                    let work = self.slots[slot].work;
                    self.schedule(self.now + late, Event::WorkOver { slot, work });
                }
                Turn::Other => {}
            }
        }
        let place = &mut self.slots[slot];
        place.timer += 1;
        let timer = place.timer;
        let wake_at = place.clock.when(reaction.wake_at);
        let done = place.party.as_ref().is_some_and(P::is_done);
        if done {
            place.last = place.party.take();
            let rest = self.random.within(0..self.work.rest);
            self.schedule(self.now + rest, Event::Born { slot });
        } else {
            self.schedule(wake_at, Event::Timer { slot, timer });
        }
    }

    /// Notes who acts, from what the party says that its work may do.
    fn follow_lease(&mut self, slot: usize) {
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

    fn begin_work(&mut self, slot: usize) {
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

    fn stop_work(&mut self, slot: usize, deadline: Timestamp) {
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
    fn work_over(&mut self, slot: usize, work: u64) {
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
    fn cease(&mut self, slot: usize) {
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

    fn post(&mut self, slot: usize, store: usize, id: u64, request: P::Request) {
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

    fn arrive(&mut self, letter: Letter<P>) {
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

    fn execute(&mut self, letter: &Letter<P>) {
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

    fn thaw(&mut self, store: usize) {
        if self.now < self.shelves[store].hung_until {
            return;
        }
        for letter in std::mem::take(&mut self.shelves[store].held_back) {
            self.arrive(letter);
        }
    }

    fn struck(&mut self, fault: Fault) {
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

    fn resume(&mut self, slot: usize) {
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

    fn note(&mut self, line: impl FnOnce() -> String) {
        if let Some(transcript) = &mut self.transcript {
            transcript.push(format!("{:>10} {}", seconds(self.now), line()));
        }
    }
}

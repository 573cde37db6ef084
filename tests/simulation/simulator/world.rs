//! The event loop: machines, stores and the network between them, in virtual time.

mod faults;
mod letters;
mod work;

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

    fn note(&mut self, line: impl FnOnce() -> String) {
        if let Some(transcript) = &mut self.transcript {
            transcript.push(format!("{:>10} {}", seconds(self.now), line()));
        }
    }
}

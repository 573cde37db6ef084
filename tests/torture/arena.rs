//! The arena: candidates, stores, and the faults that strike them, one after the other and together.

use std::collections::VecDeque;
use std::time::Duration;

use rustix::process::Signal;

use super::plan::{Fault, Plan, Planned};
use super::report::Report;
use super::stores::Store;
use crate::field::candidate::Kind;
use crate::field::fleet::PATIENCE;
use crate::field::proxy::Weather;
use crate::field::wall_clock::WallClock;
use crate::field::witness::boot_nanos;
use crate::field::{Fleet, Settings};

/// How much torture.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Extent {
    Faults(usize),
    Time(Duration),
}

pub(crate) struct Arena {
    fleet: Fleet,
    slots: Vec<Slot>,
    stores: Vec<Store>,
    clock: WallClock,
    undo: Vec<(u64, Undo)>,
    /// What was done last, for a person who looks into a violation.
    recent: VecDeque<String>,
    report: Report,
    began: u64,
}

/// A candidate that is started again when it has ended.
struct Slot {
    name: String,
    kind: Kind,
    paused: bool,
    /// When it is started again, once it has ended.
    back: Option<u64>,
}

/// What ends a fault.
#[derive(Clone, Debug)]
enum Undo {
    Resume(usize),
    ResumeProgram(usize),
    Start(usize),
    Thaw(usize),
    Memory(usize),
    Write(usize),
    /// It passes by itself.
    Free(usize),
    Clear(usize),
}

impl Arena {
    const TICK: Duration = Duration::from_millis(20);
    /// After so many faults all of them end, and somebody must lead.
    const ROUND: usize = 25;
    const RECENT: usize = 40;

    pub(crate) fn new(stores: usize, seed: u64) -> Self {
        let mut fleet = Fleet::new(Settings::new(&[]));
        let clock = WallClock::new(fleet.dir());
        let stores: Vec<Store> = (0..stores)
            .map(|index| Store::new(&clock, seed + index as u64))
            .collect();
        fleet.settings().stores = stores.iter().map(|store| store.network.url()).collect();
        let kinds = [Kind::Library, Kind::Wrapper, Kind::Library, Kind::Wrapper];
        let slots = kinds.map(|kind| Slot {
            name: fleet.start(kind),
            kind,
            paused: false,
            back: None,
        });
        Self {
            report: Report {
                seed,
                stores: stores.len(),
                ..Report::default()
            },
            fleet,
            slots: slots.into(),
            stores,
            clock,
            undo: Vec::new(),
            recent: VecDeque::new(),
            began: boot_nanos(),
        }
    }

    pub(crate) fn run(mut self, extent: Extent) -> Report {
        let mut plan = Plan::new(self.report.seed);
        let mut told = 0;
        self.calm();
        loop {
            let planned = plan.next();
            self.pass(planned.after);
            while !self.strike(planned) {
                self.pass(Duration::from_millis(100));
            }
            *self.report.faults.entry(planned.fault).or_default() += 1;
            if self.report.faults().is_multiple_of(Self::ROUND) {
                self.calm();
            }
            let done = match extent {
                Extent::Faults(faults) => self.report.faults() >= faults,
                Extent::Time(time) => self.elapsed() >= time,
            };
            if done {
                self.calm();
                self.sum_up();
                return self.report;
            }
            let tens = self.elapsed().as_secs() / 600;
            if tens > told {
                told = tens;
                self.sum_up();
                println!("{}", self.report);
            }
        }
    }

    fn elapsed(&self) -> Duration {
        Duration::from_nanos(boot_nanos() - self.began)
    }

    fn sum_up(&mut self) {
        self.report.lasted = self.elapsed();
        let witness = self.fleet.witness();
        self.report.late = witness.late();
        self.report.violations = witness.violations().len();
        self.report.gaps = witness.gaps();
        self.report.elections = self.report.gaps.len() + 1;
    }

    /// Lets time pass: faults end when they are due, who has ended is started again, and the witness is
    /// heard.
    fn pass(&mut self, time: Duration) {
        let end = boot_nanos() + nanos(time);
        loop {
            let now = boot_nanos();
            self.end_faults(now);
            self.start_again(now);
            if now >= end {
                break;
            }
            std::thread::sleep(Self::TICK);
        }
        self.judge();
    }

    fn judge(&mut self) {
        let violations = self.fleet.witness().violations();
        assert!(
            violations.is_empty(),
            "{violations:#?}\nTORTURE_SEED={} cargo test --test torture\nthe last faults:\n{}\n{}",
            self.report.seed,
            self.recent.make_contiguous().join("\n"),
            self.fleet.story()
        );
    }

    /// Ends all faults, and waits until somebody leads.
    fn calm(&mut self) {
        self.end_faults(u64::MAX);
        for slot in &mut self.slots {
            slot.back = slot.back.map(|_| 0);
        }
        self.note("calm");
        let started = boot_nanos();
        loop {
            self.pass(Duration::from_millis(100));
            if self.leader().is_some_and(|(_, since)| since >= started) {
                return;
            }
            let waited = Duration::from_nanos(boot_nanos() - started);
            assert!(
                waited < PATIENCE,
                "nobody leads {waited:?} after the last fault\nTORTURE_SEED={}\nthe last faults:\n{}\n{}",
                self.report.seed,
                self.recent.make_contiguous().join("\n"),
                self.fleet.story()
            );
        }
    }

    /// Who acted last, and when.
    fn leader(&mut self) -> Option<(usize, u64)> {
        let spans = self.fleet.witness().read();
        let last = spans.iter().max_by_key(|span| span.to)?.clone();
        let slot = self.slots.iter().position(|slot| slot.name == last.who)?;
        Some((slot, last.to))
    }

    fn start_again(&mut self, now: u64) {
        for slot in &mut self.slots {
            if !self.fleet.candidate(&slot.name).has_ended() {
                continue;
            }
            match slot.back {
                None => slot.back = Some(now + nanos(Duration::from_millis(300))),
                Some(back) if back <= now => {
                    self.fleet.start_again(slot.kind, &slot.name);
                    slot.back = None;
                    slot.paused = false;
                }
                Some(_) => {}
            }
        }
    }

    fn end_faults(&mut self, now: u64) {
        let (due, rest) = std::mem::take(&mut self.undo)
            .into_iter()
            .partition(|(at, _)| *at <= now);
        self.undo = rest;
        let due: Vec<(u64, Undo)> = due;
        for (_, undo) in due {
            self.end(undo);
        }
    }

    fn end(&mut self, undo: Undo) {
        self.note(&format!("end: {undo:?}"));
        match undo {
            Undo::Resume(slot) => {
                self.slots[slot].paused = false;
                self.fleet.signal(&self.slots[slot].name, Signal::CONT);
            }
            Undo::ResumeProgram(slot) => {
                let name = self.slots[slot].name.clone();
                self.fleet.candidate(&name).signal_program(Signal::CONT);
            }
            Undo::Clear(store) => self.stores[store].network.set(Weather::Clear),
            Undo::Start(store) => {
                self.stores[store].server.start_again();
                self.stores[store].busy = false;
            }
            Undo::Thaw(store) => {
                self.stores[store].server.thaw();
                self.stores[store].busy = false;
            }
            Undo::Memory(store) => {
                self.stores[store]
                    .server
                    .command(&["CONFIG", "SET", "maxmemory", "0"]);
                self.stores[store].busy = false;
            }
            Undo::Write(store) => {
                self.stores[store]
                    .server
                    .command(&["REPLICAOF", "NO", "ONE"]);
                self.stores[store].busy = false;
            }
            Undo::Free(store) => self.stores[store].busy = false,
        }
    }

    /// Lets a fault happen; `false` when there is nothing just now that it could happen to.
    fn strike(&mut self, planned: Planned) -> bool {
        let struck = match planned.fault {
            Fault::Terminate
            | Fault::Kill
            | Fault::Pause
            | Fault::KillKeeper
            | Fault::KillProgram
            | Fault::PauseProgram => self.strike_candidate(planned),
            Fault::Slow
            | Fault::Cut
            | Fault::HalfOpen
            | Fault::BlackHole
            | Fault::Stall
            | Fault::Truncate => self.strike_network(planned),
            Fault::Busy => {
                keep_busy(planned.lasts);
                true
            }
            Fault::ClockJump => {
                // Ahead only: a store that has lost its data numbers terms by this clock.
                self.clock.jump(1 + (planned.pick & 0xfff) as i64);
                true
            }
            Fault::Restart
            | Fault::RestartEmpty
            | Fault::Wipe
            | Fault::Freeze
            | Fault::DropClients
            | Fault::PauseClients
            | Fault::PauseWrites
            | Fault::Sleep
            | Fault::ForgetScripts
            | Fault::OutOfMemory
            | Fault::ReadOnly => self.strike_server(planned),
        };
        if struck {
            self.note(&format!("{:?} for {:?}", planned.fault, planned.lasts));
        }
        struck
    }

    /// Two times in three it is the leader that is struck.
    fn strike_candidate(&mut self, planned: Planned) -> bool {
        let leader = self.leader().map(|(slot, _)| slot);
        let preferred = leader.filter(|_| !planned.pick.is_multiple_of(3));
        let of_wrapper = matches!(
            planned.fault,
            Fault::KillKeeper | Fault::KillProgram | Fault::PauseProgram
        );
        let count = self.slots.len();
        let turn = (0..count).map(|offset| (planned.pick + offset) % count);
        let chosen = preferred.into_iter().chain(turn).find(|index| {
            let slot = &self.slots[*index];
            slot.back.is_none() && !slot.paused && (!of_wrapper || slot.kind == Kind::Wrapper)
        });
        let Some(index) = chosen else { return false };
        let name = self.slots[index].name.clone();
        let candidate = self.fleet.candidate(&name);
        let until = boot_nanos() + nanos(planned.lasts);
        match planned.fault {
            Fault::Terminate => candidate.signal(Signal::TERM),
            Fault::Kill => candidate.signal(Signal::KILL),
            Fault::KillKeeper => candidate.signal_keeper(Signal::KILL),
            Fault::KillProgram => candidate.signal_program(Signal::KILL),
            Fault::PauseProgram => {
                candidate.signal_program(Signal::STOP);
                self.undo.push((until, Undo::ResumeProgram(index)));
            }
            _ => {
                candidate.signal(Signal::STOP);
                self.slots[index].paused = true;
                self.undo.push((until, Undo::Resume(index)));
            }
        }
        self.note(&format!("{name} is struck"));
        true
    }

    fn strike_network(&mut self, planned: Planned) -> bool {
        let weather = match planned.fault {
            Fault::Slow => Weather::Slow(planned.lasts / 4),
            Fault::Cut => Weather::Cut,
            Fault::HalfOpen => Weather::HalfOpen,
            Fault::BlackHole => Weather::BlackHole,
            Fault::Stall => Weather::Stalled,
            _ => Weather::Truncated,
        };
        let Some(index) = self.choose(planned.pick, Store::is_clear) else {
            return false;
        };
        self.stores[index].network.set(weather);
        let until = boot_nanos() + nanos(planned.lasts);
        self.undo.push((until, Undo::Clear(index)));
        true
    }

    fn strike_server(&mut self, planned: Planned) -> bool {
        let Some(index) = self.choose(planned.pick, |store| !store.busy) else {
            return false;
        };
        let store = &mut self.stores[index];
        let server = &mut store.server;
        let millis = planned.lasts.as_millis().to_string();
        let undo = match planned.fault {
            Fault::Restart => {
                server.kill();
                Some(Undo::Start(index))
            }
            Fault::RestartEmpty => {
                server.restart_empty();
                None
            }
            Fault::Wipe => {
                server.command(&["FLUSHALL"]);
                None
            }
            Fault::Freeze => {
                server.freeze();
                Some(Undo::Thaw(index))
            }
            Fault::DropClients => {
                server.command(&["CLIENT", "KILL", "TYPE", "normal"]);
                server.command(&["CLIENT", "KILL", "TYPE", "pubsub"]);
                None
            }
            Fault::PauseClients => {
                server.command(&["CLIENT", "PAUSE", &millis, "ALL"]);
                Some(Undo::Free(index))
            }
            Fault::PauseWrites => {
                server.command(&["CLIENT", "PAUSE", &millis, "WRITE"]);
                Some(Undo::Free(index))
            }
            Fault::Sleep => {
                store.sleep(planned.lasts);
                Some(Undo::Free(index))
            }
            Fault::ForgetScripts => {
                server.command(&["SCRIPT", "FLUSH"]);
                None
            }
            Fault::OutOfMemory => {
                server.command(&["CONFIG", "SET", "maxmemory", "1"]);
                Some(Undo::Memory(index))
            }
            _ => {
                server.command(&["REPLICAOF", "127.0.0.1", "1"]);
                Some(Undo::Write(index))
            }
        };
        if let Some(undo) = undo {
            self.stores[index].busy = true;
            let until = boot_nanos() + nanos(planned.lasts);
            self.undo.push((until, undo));
        }
        self.note(&format!("store {index} is struck"));
        true
    }

    /// The first store from a place on that will do.
    fn choose(&self, pick: usize, will_do: impl Fn(&Store) -> bool) -> Option<usize> {
        let count = self.stores.len();
        (0..count)
            .map(|offset| (pick + offset) % count)
            .find(|index| will_do(&self.stores[*index]))
    }

    fn note(&mut self, what: &str) {
        let at = boot_nanos();
        if self.recent.len() == Self::RECENT {
            self.recent.pop_front();
        }
        let (seconds, millis) = (at / 1_000_000_000, at / 1_000_000 % 1000);
        self.recent
            .push_back(format!("  {seconds}.{millis:03} {what}"));
    }
}

fn nanos(duration: Duration) -> u64 {
    u64::try_from(duration.as_nanos()).unwrap()
}

fn keep_busy(time: Duration) {
    let end = boot_nanos() + nanos(time);
    for _ in 0..16 {
        std::thread::spawn(move || while boot_nanos() < end {});
    }
}

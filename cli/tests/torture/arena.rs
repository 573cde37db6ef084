//! The arena: candidates, stores, and the faults that strike them, one after the other and together.

use std::collections::VecDeque;
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;
use std::rc::Rc;
use std::time::Duration;

use rustix::process::Signal;

use super::file::StoreFile;
use super::plan::{Plan, Planned};
use super::report::Report;
use super::stores::Store;
use super::strike::Undo;
use crate::field::candidate::Kind;
use crate::field::fleet::PATIENCE;
use crate::field::proxy::Proxy;
use crate::field::slewed_clock::SlewedClock;
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
    pub(super) fleet: Fleet,
    pub(super) slots: Vec<Slot>,
    /// The servers that they are elected on, or the file.
    pub(super) stores: Vec<Store>,
    pub(super) file: Option<StoreFile>,
    pub(super) clock: WallClock,
    /// Of the hosts: each candidate of servers has its own.
    pub(super) hosts: Vec<SlewedClock>,
    pub(super) undo: Vec<(u64, Undo)>,
    /// What each wrapper executes first.
    pub(super) script: PathBuf,
    /// What was done last, for a person who looks into a violation.
    recent: VecDeque<String>,
    report: Report,
    began: u64,
}

/// A candidate that is started again when it has ended.
pub(super) struct Slot {
    pub(super) name: String,
    pub(super) kind: Kind,
    pub(super) paused: bool,
    /// When it is started again, once it has ended.
    pub(super) back: Option<u64>,
}

impl Arena {
    const TICK: Duration = Duration::from_millis(20);
    /// After this many faults all of them end, and someone must lead.
    const ROUND: usize = 25;
    const RECENT: usize = 40;
    /// How often it is tried to let a fault strike before the plan goes on without it.
    const TRIES: usize = 20;
    const KINDS: [Kind; 4] = [Kind::Library, Kind::Wrapper, Kind::Library, Kind::Wrapper];

    /// An arena of this many servers, or of a file if there are none.
    pub(crate) fn new(servers: usize, seed: u64) -> Self {
        let mut settings = Settings::new(&[]);
        // Little, so that programs act almost to the end of a tenure.
        settings.stop_grace = Duration::from_millis(20);
        let mut fleet = Fleet::new(settings);
        let clock = WallClock::new(fleet.dir());
        let script = fleet.dir().join("program");
        fs::write(&script, "#!/bin/sh\nexec \"$@\"\n").unwrap();
        fs::set_permissions(&script, fs::Permissions::from_mode(0o755)).unwrap();
        fleet.settings().program_by = vec![script.display().to_string()];
        let stores: Vec<Store> = (0..servers)
            .map(|index| Store::new(&clock, Self::KINDS.len(), seed + 100 * index as u64))
            .collect();
        let file = (servers == 0).then(|| StoreFile::new(fleet.dir()));
        let hosts = if servers == 0 { 1 } else { Self::KINDS.len() };
        let hosts = (0..hosts).map(|host| SlewedClock::new(fleet.dir(), &host.to_string()));
        let mut arena = Self {
            report: Report {
                seed,
                servers,
                ..Report::default()
            },
            hosts: hosts.collect(),
            fleet,
            slots: Vec::new(),
            stores,
            file,
            clock,
            undo: Vec::new(),
            script,
            recent: VecDeque::new(),
            began: boot_nanos(),
        };
        if servers > 0 {
            arena.prepare(0);
            let first = arena.fleet.start(Kind::Wrapper);
            arena.fleet.leader();
            arena.fleet.signal(&first, Signal::TERM);
            arena.fleet.ended(&first);
            for store in &mut arena.stores {
                store.pasts.push(Rc::new(store.server.snapshot()));
            }
        }
        for (index, kind) in (0..).zip(Self::KINDS) {
            arena.prepare(index);
            arena.slots.push(Slot {
                name: arena.fleet.start(kind),
                kind,
                paused: false,
                back: None,
            });
        }
        arena
    }

    /// What is started next sees the stores and the clock as this candidate does.
    pub(super) fn prepare(&mut self, candidate: usize) {
        let host = candidate % self.hosts.len();
        let ways = self.stores.iter().map(|store| &store.ways[candidate]);
        let file = self.file.as_ref().map(StoreFile::url);
        let settings = self.fleet.settings();
        settings.stores = ways.map(Proxy::url).chain(file).collect();
        settings.variables = self.hosts[host].variables();
    }

    pub(crate) fn run(mut self, extent: Extent) -> Report {
        let mut plan = Plan::new(self.report.seed, self.file.is_some());
        let mut told = 0;
        self.calm();
        loop {
            let planned = plan.next();
            self.pass(planned.after);
            if !self.try_to_strike(planned) {
                continue;
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

    /// Not every fault can strike at any moment: a program is killed only where one runs.
    fn try_to_strike(&mut self, planned: Planned) -> bool {
        for _ in 0..Self::TRIES {
            if self.strike(planned) {
                return true;
            }
            self.pass(Duration::from_millis(100));
        }
        false
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
        assert!(
            self.fleet.witness().violations().is_empty(),
            "TORTURE_SEED={} cargo test --test torture\nthe last faults:\n{}\n{}",
            self.report.seed,
            self.recent.make_contiguous().join("\n"),
            self.fleet.story()
        );
    }

    /// Ends all faults, and waits until someone leads.
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
                "no one leads {waited:?} after the last fault\nTORTURE_SEED={}\nthe last faults:\n{}\n{}",
                self.report.seed,
                self.recent.make_contiguous().join("\n"),
                self.fleet.story()
            );
        }
    }

    /// The last candidate that acted, and when.
    pub(super) fn leader(&mut self) -> Option<(usize, u64)> {
        let spans = self.fleet.witness().read();
        let last = spans.iter().max_by_key(|span| span.to)?.clone();
        let slot = self.slots.iter().position(|slot| slot.name == last.who)?;
        Some((slot, last.to))
    }

    fn start_again(&mut self, now: u64) {
        for index in 0..self.slots.len() {
            let slot = &mut self.slots[index];
            if !self.fleet.candidate(&slot.name).has_ended() {
                continue;
            }
            match slot.back {
                None => slot.back = Some(now + nanos(Duration::from_millis(300))),
                Some(back) if back <= now => {
                    slot.back = None;
                    slot.paused = false;
                    let (kind, name) = (slot.kind, slot.name.clone());
                    self.prepare(index);
                    self.fleet.start_again(kind, &name);
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

    pub(super) fn note(&mut self, what: &str) {
        let at = boot_nanos();
        if self.recent.len() == Self::RECENT {
            self.recent.pop_front();
        }
        let (seconds, millis) = (at / 1_000_000_000, at / 1_000_000 % 1000);
        self.recent
            .push_back(format!("  {seconds}.{millis:03} {what}"));
    }
}

pub(super) fn nanos(duration: Duration) -> u64 {
    u64::try_from(duration.as_nanos()).unwrap()
}

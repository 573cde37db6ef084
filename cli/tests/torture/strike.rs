//! Where and how each kind of fault strikes, and what ends it.

use std::path::PathBuf;
use std::rc::Rc;
use std::time::Duration;

use rustix::process::Signal;
use tempfile::TempDir;

use super::arena::{Arena, nanos};
use super::plan::{Fault, Planned};
use super::stores::Store;
use crate::field::candidate::Kind;
use crate::field::held::Held;
use crate::field::processor::{Group, hog, processor_of};
use crate::field::proxy::{Proxy, Weather};
use crate::field::witness::boot_nanos;

/// What ends a fault.
#[derive(Debug)]
pub(super) enum Undo {
    Resume(usize),
    ResumeKeeper(usize),
    ResumeProgram(usize),
    Start(usize),
    Thaw(usize),
    Memory(usize),
    Write(usize),
    /// It passes without a repair.
    Free(usize),
    /// The ways, each from a candidate to a store.
    Clear(Vec<Way>),
    Quota(Group),
    Exec(Held),
    Slew,
    Restore(usize, Rc<TempDir>),
    SecondName(String, PathBuf),
    Unlock(rusqlite::Connection),
    RestoreFile(PathBuf),
}

/// From which candidate to which store.
#[derive(Clone, Copy, Debug)]
pub(super) struct Way {
    candidate: usize,
    store: usize,
}

impl Arena {
    /// Lets a fault happen; `false` when there is nothing just now that it could happen to.
    pub(super) fn strike(&mut self, planned: Planned) -> bool {
        let struck = match planned.fault {
            Fault::Terminate | Fault::Kill | Fault::Pause | Fault::KillKeeper => {
                self.strike_candidate(planned)
            }
            Fault::PauseKeeper
            | Fault::KillProgram
            | Fault::PauseProgram
            | Fault::Hog
            | Fault::Quota => self.strike_program(planned),
            Fault::SlowExec => match Held::hold(&self.script) {
                Some(held) => {
                    let until = boot_nanos() + nanos(planned.lasts);
                    self.undo.push((until, Undo::Exec(held)));
                    true
                }
                None => false,
            },
            Fault::Slew => self.strike_clocks(planned),
            Fault::Restore => self.strike_past(planned),
            Fault::SecondName | Fault::LockFile | Fault::DeleteFile | Fault::RestoreFile => {
                self.strike_file(planned)
            }
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
        let of_wrapper = planned.fault == Fault::KillKeeper;
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
            _ => {
                candidate.signal(Signal::STOP);
                self.slots[index].paused = true;
                self.undo.push((until, Undo::Resume(index)));
            }
        }
        self.note(&format!("{name} is struck"));
        true
    }

    /// Strikes below an elector that leads: its keeper, or the program.
    fn strike_program(&mut self, planned: Planned) -> bool {
        let leader = self.leader().map(|(slot, _)| slot);
        let wrapper = leader.filter(|index| {
            let slot = &self.slots[*index];
            slot.back.is_none() && !slot.paused && slot.kind == Kind::Wrapper
        });
        let Some(index) = wrapper else { return false };
        let name = self.slots[index].name.clone();
        let candidate = self.fleet.candidate(&name);
        let until = boot_nanos() + nanos(planned.lasts);
        match planned.fault {
            Fault::KillProgram => candidate.signal_program(Signal::KILL),
            Fault::PauseProgram => {
                candidate.signal_program(Signal::STOP);
                self.undo.push((until, Undo::ResumeProgram(index)));
            }
            Fault::Hog => {
                // Others need the machine as well.
                const LONGEST: Duration = Duration::from_millis(250);
                let Some(processor) = candidate.keeper().and_then(processor_of) else {
                    return false;
                };
                hog(processor, planned.lasts.min(LONGEST));
            }
            Fault::Quota => {
                let group = Group::new();
                for pid in candidate.processes() {
                    group.take(pid);
                }
                group.set_quota(10_000);
                self.undo.push((until, Undo::Quota(group)));
            }
            _ => {
                candidate.signal_keeper(Signal::STOP);
                // Elector and keeper watch each other: it takes one of them.
                self.slots[index].paused = true;
                self.undo.push((until, Undo::ResumeKeeper(index)));
            }
        }
        self.note(&format!("{name} is struck"));
        true
    }

    /// Strikes the ways of all candidates to one store, of one candidate to all stores, or of one to
    /// one: two times in three it is the leader.
    fn strike_network(&mut self, planned: Planned) -> bool {
        let weather = match planned.fault {
            Fault::Slow => Weather::Slow(planned.lasts / 4),
            Fault::Cut => Weather::Cut,
            Fault::HalfOpen => Weather::HalfOpen,
            Fault::BlackHole => Weather::BlackHole,
            Fault::Stall => Weather::Stalled,
            _ => Weather::Truncated,
        };
        let pick = planned.pick / 3;
        let leader = self.leader().map(|(slot, _)| slot);
        let one = leader.filter(|_| !pick.is_multiple_of(3));
        let one = one.unwrap_or(pick % self.slots.len());
        let store = pick % self.stores.len();
        let all = (0..self.stores.len())
            .flat_map(|store| (0..self.slots.len()).map(move |candidate| Way { candidate, store }));
        let ways: Vec<Way> = all
            .filter(|way| match planned.pick % 3 {
                0 => way.store == store,
                1 => way.candidate == one,
                _ => way.store == store && way.candidate == one,
            })
            .collect();
        let until = boot_nanos() + nanos(planned.lasts);
        self.cut(ways, weather, until)
    }

    /// Changes the weather on those of the ways that are clear.
    fn cut(&mut self, mut ways: Vec<Way>, weather: Weather, until: u64) -> bool {
        ways.retain(|way| self.network(*way).weather() == Weather::Clear);
        if ways.is_empty() {
            return false;
        }
        for way in &ways {
            self.network(*way).set(weather);
        }
        self.note(&format!("{ways:?}"));
        self.undo.push((until, Undo::Clear(ways)));
        true
    }

    /// By these clocks, the leader has more time left than the standbys give it. Every second time it loses its
    /// stores too, so that it ends by its clock and the next begins by another.
    fn strike_clocks(&mut self, planned: Planned) -> bool {
        let slewed = |(_, undo): &(u64, Undo)| matches!(undo, Undo::Slew);
        let Some((leader, _)) = self.leader().filter(|_| !self.undo.iter().any(slewed)) else {
            return false;
        };
        // chrony slews by up to 83 thousandths.
        let by = 40 + (planned.pick % 44) as i64;
        let slow = leader % self.hosts.len();
        for (host, clock) in self.hosts.iter_mut().enumerate() {
            clock.slew(if host == slow { -by } else { by });
        }
        // For some windows, so that others strike meanwhile.
        let lasts = planned.lasts + 3 * self.fleet.settings().window();
        let until = boot_nanos() + nanos(lasts);
        self.undo.push((until, Undo::Slew));
        if planned.pick.is_multiple_of(2) {
            let stores = 0..self.stores.len();
            let ways = stores.map(|store| Way {
                candidate: leader,
                store,
            });
            self.cut(ways.collect(), Weather::BlackHole, until);
        }
        true
    }

    /// Takes a server back in time, to a moment ago, to long before, or to when no one led, whatever happens meanwhile.
    fn strike_past(&mut self, planned: Planned) -> bool {
        let count = self.stores.len();
        let mut turn = (0..count).map(|offset| (planned.pick + offset) % count);
        let Some(index) = turn.find(|index| !self.stores[*index].busy) else {
            return false;
        };
        let store = &mut self.stores[index];
        store.busy = true;
        let now = boot_nanos();
        let (at, past) = match planned.pick % 3 {
            0 => (now, store.pasts.first().cloned()),
            1 => (now, store.pasts.last().cloned()),
            _ => (now + nanos(planned.lasts), None),
        };
        let past = past.unwrap_or_else(|| Rc::new(store.server.snapshot()));
        let undo = (at, Undo::Restore(index, past));
        self.undo.push(undo);
        self.note(&format!("store {index} is struck"));
        true
    }

    fn network(&self, way: Way) -> &Proxy {
        &self.stores[way.store].ways[way.candidate]
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

    pub(super) fn end(&mut self, undo: Undo) {
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
            Undo::ResumeKeeper(slot) => {
                self.slots[slot].paused = false;
                let name = self.slots[slot].name.clone();
                self.fleet.candidate(&name).signal_keeper(Signal::CONT);
            }
            Undo::Clear(ways) => {
                for way in ways {
                    self.network(way).set(Weather::Clear);
                }
            }
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
            Undo::Quota(group) => drop(group),
            Undo::Exec(held) => drop(held),
            Undo::Slew => {
                for clock in &mut self.hosts {
                    clock.slew(0);
                }
            }
            Undo::SecondName(..) | Undo::Unlock(_) | Undo::RestoreFile(_) => self.end_of_file(undo),
            Undo::Restore(store, snapshot) => {
                self.stores[store].server.restart_from(&snapshot);
                self.stores[store].pasts.truncate(1);
                self.stores[store].pasts.push(snapshot);
                self.stores[store].busy = false;
            }
        }
    }
}

fn keep_busy(time: Duration) {
    let end = boot_nanos() + nanos(time);
    for _ in 0..16 {
        std::thread::spawn(move || while boot_nanos() < end {});
    }
}

//! The controls: protocols that are known to fail, in the same world and before the same judge, so that
//! it is seen to see. The real candidate passes the same stages.

use std::time::Duration;

use incumbent::protocol::{Electorate, Timing, TimingConfig};

use super::simulator::bare::{Bare, Key};
use super::simulator::checker::{Violation, check};
use super::simulator::clock::LocalClock;
use super::simulator::fault::{Crash, Fault};
use super::simulator::incumbent::{Contender, Durability, Keeping};
use super::simulator::network::Network;
use super::simulator::party::Party;
use super::simulator::ttl::{Lock, Renewer};
use super::simulator::world::{Setting, Spawn, Work, World};
use super::simulator::{MILLI, Nanos, SECOND};

const INTERVAL: Duration = Duration::from_secs(1);
const STALL_POLLS: u32 = 3;
const FOREVER: Nanos = 1_000_000 * SECOND;

/// What happens on the stage, for any players.
struct Script {
    /// When each of them begins, in milliseconds.
    starts_ms: &'static [u64],
    faults: Vec<(Nanos, Fault)>,
}

impl Script {
    fn play<P: Party>(&self, server: P::Server, spawn: Spawn<P>) -> Vec<Violation> {
        let clock = LocalClock {
            offset: 0,
            drift_ppm: 0,
        };
        let slots = self.starts_ms.len();
        let mut world = World::new(
            Setting {
                seed: 1,
                clocks: vec![clock; slots],
                starts: self.starts_ms.iter().map(|ms| ms * MILLI).collect(),
                kept: vec![false; slots],
                intervals: vec![SECOND; slots],
                servers: vec![server],
                ahead_ms: vec![0],
                network: Network::QUIET,
                work: Work {
                    finishes: 0,
                    longest: 0,
                    dawdles: 0,
                    rest: FOREVER,
                },
                transcript: false,
            },
            spawn,
        );
        for (at, fault) in &self.faults {
            world.strike(*at, fault.clone());
        }
        world.run_until(30 * SECOND);
        world.finish();
        assert!(world.history.spans.len() > 1, "more than one have led");
        check(&world.history)
    }

    fn play_bare(&self) -> Vec<Violation> {
        let spawn: Spawn<Bare> = Box::new(|birth, _| Bare::new(birth, INTERVAL, STALL_POLLS));
        self.play(Key::default(), spawn)
    }

    fn play_ttl(&self) -> Vec<Violation> {
        let spawn: Spawn<Renewer> = Box::new(|birth, _| Renewer::new(birth, INTERVAL * 3));
        self.play(Lock::default(), spawn)
    }

    fn play_incumbent(&self) -> Vec<Violation> {
        let timing = Timing::new(&TimingConfig {
            interval: INTERVAL,
            stall_polls: STALL_POLLS,
            stop_grace: Duration::from_millis(100),
            op_timeout: Some(Duration::from_millis(500)),
            probation: None,
        })
        .expect("a valid timing");
        let electorate = Electorate::new(1).expect("one store");
        let spawn: Spawn<Contender> = Box::new(move |birth, _| {
            Contender::new(birth, (timing, false), electorate, None, false)
        });
        self.play(Keeping::new(Durability::Durable), spawn)
    }
}

#[track_caller]
fn assert_overlap(violations: &[Violation], one: &str, other: &str) {
    let between = |violation: &Violation| match violation {
        Violation::Overlap { first, second } => first.who == one && second.who == other,
        Violation::TokenOutOfOrder { .. } => false,
    };
    assert!(
        violations.iter().any(between),
        "the checker must see {one} and {other} act at once: {violations:?}"
    );
}

/// The leader dies before its first heartbeat; two watch the counter stand at 1, and `GETSET key 1`
/// gives 1 back to both.
fn stalled_at_one() -> Script {
    Script {
        starts_ms: &[0, 100, 110],
        faults: vec![(SECOND / 2, death_of(0))],
    }
}

#[test]
fn two_bare_contenders_both_win_a_counter_that_stalled_at_one() {
    assert_overlap(&stalled_at_one().play_bare(), "c1.1", "c2.1");
    assert_eq!(stalled_at_one().play_incumbent(), []);
}

/// Three losers are slow to say `GETSET key 1`: each sets back the counter that the winner has moved on,
/// so that another one sees it stalled.
fn late_losers() -> Script {
    let held_up = |slot: usize, by: Nanos| {
        let fault = Fault::Lag {
            slot,
            by,
            lasts: 10 * MILLI,
        };
        // Between the poll that shows the last leader's counter for the fourth time and its answer.
        (10 * SECOND + slot as u64 * 10 * MILLI + MILLI / 2, fault)
    };
    Script {
        starts_ms: &[0, 100, 20, 30, 40, 900],
        faults: vec![
            (7 * SECOND + SECOND / 2, death_of(0)),
            held_up(2, SECOND + SECOND / 3),
            held_up(3, 2 * SECOND + SECOND / 3),
            held_up(4, 3 * SECOND + SECOND / 3),
        ],
    }
}

#[test]
fn a_bare_loser_sets_back_the_winner_and_lets_a_third_win() {
    assert_overlap(&late_losers().play_bare(), "c1.1", "c5.1");
    assert_eq!(late_losers().play_incumbent(), []);
}

/// The leader is frozen until another has taken over, and goes on.
fn zombie() -> Script {
    let lasts = 10 * SECOND;
    Script {
        starts_ms: &[0, 100],
        faults: vec![(5 * SECOND, Fault::Pause { slot: 0, lasts })],
    }
}

#[test]
fn a_bare_leader_that_stood_still_goes_on_beside_its_successor() {
    assert_overlap(&zombie().play_bare(), "c1.1", "c0.1");
    assert_eq!(zombie().play_incumbent(), []);
}

#[test]
fn a_ttl_lock_does_not_stop_a_holder_that_stood_still() {
    assert_overlap(&zombie().play_ttl(), "c1.1", "c0.1");
}

/// The leader is frozen until another has taken over, and then leaves; a third is waiting.
fn exit_handler() -> Script {
    let lasts = 10 * SECOND;
    Script {
        starts_ms: &[0, 100, 200],
        faults: vec![
            (5 * SECOND, Fault::Pause { slot: 0, lasts }),
            // Between two heartbeats of the successor, and before a poll of the third.
            (16 * SECOND + 150 * MILLI, Fault::Resign { slot: 0 }),
        ],
    }
}

#[test]
fn a_bare_exit_handler_deletes_the_lock_of_the_successor() {
    assert_overlap(&exit_handler().play_bare(), "c1.1", "c2.1");
    assert_eq!(exit_handler().play_incumbent(), []);
}

/// The server's wall clock jumps ahead by a minute, right after a heartbeat.
fn clock_jump() -> Script {
    let jump = Fault::JumpAhead {
        store: 0,
        by_ms: 60_000,
    };
    Script {
        starts_ms: &[0, 100],
        faults: vec![
            (5 * SECOND + 50 * MILLI, jump),
            // So that the real candidates change leaders, too.
            (20 * SECOND, death_of(0)),
        ],
    }
}

#[test]
fn a_ttl_lock_ends_under_its_holder_when_the_clock_jumps() {
    assert_overlap(&clock_jump().play_ttl(), "c0.1", "c1.1");
    assert_eq!(clock_jump().play_incumbent(), []);
}

fn death_of(slot: usize) -> Fault {
    Fault::Crash {
        slot,
        how: Crash::Host,
        back: FOREVER,
    }
}

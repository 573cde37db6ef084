//! A run drawn from a seed: which stores, which candidates, and what goes wrong when.

use std::time::Duration;

use incumbent::protocol::{Timing, TimingConfig};

use super::clock::LocalClock;
use super::fault::{Crash, Fault, LEADER};
use super::incumbent::{Durability, longest_window};
use super::network::Network;
use super::random::Random;
use super::world::Work;
use super::{MILLI, Nanos, SECOND};

/// Everything that a run is made of, apart from what its parties do.
#[derive(Clone, Debug)]
pub(crate) struct Plan {
    pub(crate) seed: u64,
    pub(crate) durabilities: Vec<Durability>,
    pub(crate) ahead_ms: Vec<u64>,
    /// Of each slot: first the candidates, and then the operators.
    pub(crate) timings: Vec<Timing>,
    /// How many slots give orders.
    pub(crate) operators: usize,
    pub(crate) clocks: Vec<LocalClock>,
    pub(crate) kept: Vec<bool>,
    /// Whose releases delete the record.
    pub(crate) ephemeral: Vec<bool>,
    pub(crate) starts: Vec<Nanos>,
    pub(crate) network: Network,
    pub(crate) work: Work,
    pub(crate) faults: Vec<(Nanos, Fault)>,
    /// When the last fault strikes and the last order is given, apart from those that are late.
    pub(crate) end: Nanos,
    /// When the last fault is over.
    pub(crate) calm: Nanos,
    /// Whether a store goes back to older data.
    pub(crate) rolls_back: bool,
}

impl Plan {
    pub(crate) fn from_seed(seed: u64) -> Self {
        let mut random = Random::new(seed);
        let stores = *random.pick(&[1, 1, 1, 3, 3, 3, 5]);
        let operators = *random.pick(&[0, 0, 1, 2]);
        let slots = 2 + random.below(6) + operators;
        let timings = timings(&mut random, slots);
        let forgetful = random.within(0..10);
        let durabilities: Vec<Durability> = (0..stores)
            .map(|_| match forgetful {
                0..6 => Durability::Forgetful,
                6..8 => Durability::Durable,
                _ if random.chance(500) => Durability::Forgetful,
                _ => Durability::Durable,
            })
            .collect();
        let window = nanos(longest_window(&timings));
        let shortest = timings.iter().map(Timing::interval).min();
        let interval = nanos(shortest.unwrap_or(Duration::from_secs(1)));
        let work = Work {
            finishes: *random.pick(&[0, 300, 900, 1000]),
            longest: interval * random.within(1..12),
            dawdles: *random.pick(&[0, 300, 1000]),
            rest: interval * random.within(1..4),
        };
        let mut plan = Self {
            seed,
            ahead_ms: (0..stores).map(|_| skew(&mut random)).collect(),
            durabilities,
            clocks: (0..slots).map(|_| clock(&mut random)).collect(),
            kept: (0..slots).map(|_| random.chance(500)).collect(),
            ephemeral: vec![false; slots],
            starts: (0..slots).map(|_| random.within(0..3 * interval)).collect(),
            network: weather(&mut random, interval, window),
            work,
            faults: Vec::new(),
            end: 0,
            calm: 0,
            rolls_back: false,
            operators,
            timings,
        };
        plan.draw_faults(&mut random, interval, window);
        // None of them, all, or some.
        let deletes = *random.pick(&[0, 0, 1000, 1000, 500]);
        plan.ephemeral.fill_with(|| random.chance(deletes));
        plan
    }

    fn draw_faults(&mut self, random: &mut Random, interval: Nanos, window: Nanos) {
        // Each run knows but some of the kinds, so that some go far without the noise of others.
        let kinds: Vec<usize> = (0..12).filter(|_| random.chance(450)).collect();
        let allows_loss = random.chance(300);
        let end = window * random.within(8..30);
        // In some runs faults come in bursts, several within the time of one request.
        let bursts = random.chance(250);
        let pace = interval * random.within(1..8);
        let mut at = self.starts.iter().copied().max().unwrap_or(0);
        while at < end && !kinds.is_empty() {
            let kind = *random.pick(&kinds);
            if let Some(fault) = self.fault(random, kind, interval, window, allows_loss) {
                self.rolls_back |= matches!(fault, Fault::RollBack { .. });
                self.faults.push((at, fault));
            }
            at += if bursts && random.chance(700) {
                random.within(0..interval / 4)
            } else {
                random.within(0..2 * pace)
            };
        }
        self.end = end;
        self.calm = end + 4 * window;
        if self.rolls_back {
            // A store that lost the last term is numbered by its clock, and by those of the others.
            self.ahead_ms.fill(0);
        }
    }

    fn fault(
        &self,
        random: &mut Random,
        kind: usize,
        interval: Nanos,
        window: Nanos,
        rolls_back: bool,
    ) -> Option<Fault> {
        let slot = match random.below(2 * self.timings.len()) {
            slot if slot < self.timings.len() => slot,
            _ => LEADER,
        };
        let store = random.below(self.durabilities.len());
        let forgets = self.durabilities[store] == Durability::Forgetful;
        let short = random.within(0..2 * interval);
        let long = random.within(0..4 * window);
        let lasts = if random.chance(600) { short } else { long };
        Some(match kind {
            0 | 1 => Fault::Pause { slot, lasts },
            2 => Fault::Crash {
                slot,
                how: Crash::Host,
                back: lasts,
            },
            3 => Fault::Crash {
                slot,
                how: Crash::Process,
                back: lasts,
            },
            4 => Fault::Resign { slot },
            5 => Fault::Down { store, lasts },
            6 => Fault::Hang { store, lasts },
            7 => Fault::Full { store, lasts },
            8 if rolls_back => Fault::RollBack {
                store,
                writes: random.below(12),
            },
            8 if forgets => Fault::Wipe { store },
            9 if forgets && random.chance(500) => Fault::Wipe { store },
            9 if forgets => Fault::Evict { store },
            8 | 9 => return None,
            // A clock that was set back numbers nothing rightly once the records are lost, too.
            10 if !rolls_back && self.durabilities.iter().all(|d| *d == Durability::Durable) => {
                Fault::SetBack {
                    store,
                    by_ms: random.within(0..20 * window / MILLI),
                }
            }
            // With several stores, clocks that differ by more than a window are not promised for.
            10 if self.durabilities.len() == 1 => Fault::JumpAhead {
                store,
                by_ms: random.within(0..10 * window / MILLI),
            },
            11 if random.chance(200) => Fault::Lag {
                slot,
                by: random.within(0..2 * interval),
                lasts: short,
            },
            10 | 11 if random.chance(500) => Fault::Cut { slot, store, lasts },
            _ => Fault::Weather {
                network: weather(random, interval, window),
                lasts,
            },
        })
    }
}

pub(crate) fn nanos(duration: Duration) -> Nanos {
    u64::try_from(duration.as_nanos()).expect("a short duration")
}

/// Timings of which some are mixed; probation is the largest window of them all.
fn timings(random: &mut Random, slots: usize) -> Vec<Timing> {
    let mixed = random.chance(500);
    let mut timings = Vec::with_capacity(slots);
    while timings.len() < slots {
        let interval = *random.pick(&[500, 1000, 1000, 2000]);
        let config = TimingConfig {
            interval: Duration::from_millis(interval),
            stall_polls: u32::try_from(random.within(2..7)).expect("a small number"),
            stop_grace: Duration::from_millis(*random.pick(&[20, 100, 500, 1000])),
            op_timeout: Some(Duration::from_millis(interval * random.within(1..11) / 10)),
            probation: None,
        };
        let Ok(timing) = Timing::new(&config) else {
            continue;
        };
        if mixed {
            timings.push(timing);
        } else {
            timings = vec![timing; slots];
        }
    }
    let probation = longest_window(&timings);
    let with_probation = |timing: &Timing| {
        Timing::new(&TimingConfig {
            interval: timing.interval(),
            stall_polls: timing.stall_polls(),
            stop_grace: timing.stop_grace(),
            op_timeout: Some(timing.op_timeout()),
            probation: Some(probation),
        })
        .expect("a timing stays valid with a longer probation")
    };
    timings.iter().map(with_probation).collect()
}

fn clock(random: &mut Random) -> LocalClock {
    LocalClock {
        offset: random.within(0..1_000_000 * SECOND),
        drift_ppm: *random.pick(&[-5000, -5000, -50, 0, 0, 50, 5000, 5000]),
    }
}

/// How far ahead the wall clock of a store is: most are set by the same source.
fn skew(random: &mut Random) -> u64 {
    match random.within(0..4) {
        0 => random.within(0..200),
        _ => random.within(0..5),
    }
}

fn weather(random: &mut Random, interval: Nanos, window: Nanos) -> Network {
    let fair = Network {
        fastest: MILLI / 5,
        slowest: MILLI / 5 + random.within(MILLI..interval / 8),
        ..Network::QUIET
    };
    if random.chance(300) {
        return fair;
    }
    Network {
        slowest: fair.slowest + random.within(0..interval / 2),
        loss: *random.pick(&[0, 10, 100, 400]),
        doubled: *random.pick(&[0, 0, 50, 200]),
        stragglers: *random.pick(&[0, 20, 200]),
        straggle: if random.chance(700) {
            2 * interval
        } else {
            3 * window
        },
        ..fair
    }
}

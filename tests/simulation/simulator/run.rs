//! One run of a plan with the real candidates, and what became of it.

use std::collections::BTreeMap;

use incumbent::protocol::{Electorate, Order, Request, Timestamp, Timing};

use super::checker::{Violation, check, seconds};
use super::history::History;
use super::incumbent::{Contender, Keeping, Player, longest_window};
use super::network::Network;
use super::operator::Operator;
use super::plan::{Plan, nanos};
use super::world::{Setting, Spawn, Work, World};
use super::{MILLI, Nanos};

/// What a run has shown.
pub(crate) struct Outcome {
    pub(crate) history: History,
    /// What must not be.
    pub(crate) violations: Vec<Violation>,
    /// What was promised for the time after the last fault, and did not happen.
    pub(crate) standstill: Option<String>,
    /// How a candidate has sent requests in a loop.
    pub(crate) flood: Option<String>,
    pub(crate) tally: BTreeMap<&'static str, u64>,
    pub(crate) transcript: Option<Vec<String>>,
}

pub(crate) fn world_of(plan: &Plan, transcript: bool) -> World<Player> {
    let electorate = Electorate::new(plan.durabilities.len()).expect("1, 3 or 5 stores");
    let servers = plan.durabilities.iter().copied().map(Keeping::new);
    let setting = Setting {
        seed: plan.seed,
        clocks: plan.clocks.clone(),
        starts: plan.starts.clone(),
        kept: plan.kept.clone(),
        intervals: plan
            .timings
            .iter()
            .map(|timing| nanos(timing.interval()))
            .collect(),
        servers: servers.collect(),
        ahead_ms: plan.ahead_ms.clone(),
        network: plan.network.clone(),
        work: plan.work.clone(),
        transcript,
    };
    let timings: Vec<Timing> = plan.timings.clone();
    let ephemeral = plan.ephemeral.clone();
    let contenders = timings.len() - plan.operators;
    let ends: Vec<Timestamp> = plan.clocks.iter().map(|clock| clock.at(plan.end)).collect();
    let spawn: Spawn<Player> = Box::new(move |birth, before| {
        let timing = timings[birth.slot];
        if birth.slot >= contenders {
            let operator = Operator::new(birth, ends[birth.slot], timing, electorate);
            return Player::Operator(Box::new(operator));
        }
        let before = before.and_then(Player::contender);
        let how = (timing, ephemeral[birth.slot]);
        let contender = Contender::new(birth, how, electorate, before, transcript);
        Player::Contender(Box::new(contender))
    });
    let mut world = World::new(setting, spawn);
    for (at, fault) in &plan.faults {
        world.strike(*at, fault.clone());
    }
    world
}

pub(crate) fn run(plan: &Plan, transcript: bool) -> Outcome {
    let mut world = world_of(plan, transcript);
    world.run_until(plan.calm);
    let standstill = settle(plan, &mut world);
    world.finish();
    let rate = world.highest_rate() / plan.durabilities.len() as u64;
    let mut violations = check(&world.history);
    violations.truncate(10);
    Outcome {
        violations,
        standstill,
        flood: (rate > HIGHEST_RATE).then(|| {
            format!("a candidate sent each store {rate} requests within one of its intervals")
        }),
        history: world.history,
        tally: world.tally,
        transcript: world.transcript,
    }
}

/// The most requests that a candidate may send to each store within an interval, on the average over
/// the stores: retries come eight to an interval.
const HIGHEST_RATE: u64 = 16;

impl Outcome {
    /// Everything that must not be, for people.
    pub(crate) fn complaints(&self) -> Vec<String> {
        let violations = self.violations.iter().map(ToString::to_string);
        violations
            .chain(self.standstill.clone())
            .chain(self.flood.clone())
            .collect()
    }
}

/// The bound within which a leader must act once faults have ended: everything that was promised to
/// anyone has run out, a probation was waited out, and split votes were settled.
pub(crate) fn patience(plan: &Plan) -> Nanos {
    let window = longest_window(&plan.timings);
    let interval = plan.timings.iter().map(Timing::interval).max();
    nanos(window * 3 + interval.unwrap_or_default() * 16)
}

/// After the last fault a leader must act, and stay.
fn settle(plan: &Plan, world: &mut World<Player>) -> Option<String> {
    let calm = plan.calm;
    // No one leads while an operator does not want it.
    world.ask_all(&Request::Order(Order::Resume));
    world.set_network(Network {
        slowest: 20 * MILLI,
        ..Network::QUIET
    });
    world.set_work(Work {
        finishes: 0,
        ..plan.work.clone()
    });
    // An order to stop, or a planned stop, may still end the current leader; all of that has happened
    // by the first look.
    world.run_until(calm + plan.work.longest + patience(plan));
    let Some(leader) = world.actor() else {
        return Some(format!(
            "no one leads long after faults ended at {}",
            seconds(calm)
        ));
    };
    let later = 2 * nanos(longest_window(&plan.timings));
    world.run_until(calm + plan.work.longest + patience(plan) + later);
    match world.actor() {
        Some(still) if still == leader => None,
        other => Some(format!(
            "{leader} led after faults had ended at {}, and later {other:?}",
            seconds(calm)
        )),
    }
}

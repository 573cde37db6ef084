//! The election in virtual time, under every fault a store, a network and a machine can have.
//!
//! `INCUMBENT_SIM_SEED` sets the first seed and `INCUMBENT_SIM_ELECTIONS` how many elections are held.
//! One run is replayed with `cargo run --example simulate -- --seed N`.

mod controls;
mod simulator;

use std::collections::BTreeMap;
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};

use simulator::plan::Plan;
use simulator::run::{recorded, run};

/// What must have happened at least once for the runs to mean anything.
const SOMETIMES: [&str; 15] = [
    "elections",
    "probations",
    "failed claims",
    "joins",
    "partings",
    "losses: deposed",
    "losses: tenure ended",
    "losses: suspended",
    "losses: store forgot",
    "losses: requested",
    "orders: pause",
    "orders: resume",
    "orders: resign",
    "orders: depose",
    "expirations",
];

/// S1 to S5 and L4's return of a leader, over runs that are drawn from seeds.
#[test]
fn no_run_shows_two_leaders_or_a_falling_token_and_each_ends_with_a_leader() {
    let first = number("INCUMBENT_SIM_SEED", 1);
    let wanted = number("INCUMBENT_SIM_ELECTIONS", 20_000);
    let next = AtomicU64::new(first);
    let elections = AtomicU64::new(0);
    let total: Mutex<BTreeMap<&'static str, u64>> = Mutex::default();
    let failures: Mutex<Vec<String>> = Mutex::default();
    let work = || {
        while elections.load(Ordering::Relaxed) < wanted && failures.lock().unwrap().is_empty() {
            let seed = next.fetch_add(1, Ordering::Relaxed);
            let outcome = run(&Plan::from_seed(seed), false);
            let elected = outcome.tally.get("elections").copied().unwrap_or(0);
            elections.fetch_add(elected, Ordering::Relaxed);
            let mut total = total.lock().unwrap();
            for (heading, count) in &outcome.tally {
                *total.entry(heading).or_default() += count;
            }
            *total.entry("runs").or_default() += 1;
            failures.lock().unwrap().extend(
                outcome
                    .complaints()
                    .iter()
                    .map(|wrong| format!("seed {seed}: {wrong}\n    {}", replay(seed))),
            );
        }
    };
    std::thread::scope(|scope| {
        for _ in 0..std::thread::available_parallelism().map_or(2, |n| n.get().min(4)) {
            scope.spawn(work);
        }
    });
    let total = total.into_inner().unwrap();
    println!("seeds from {first}:");
    for (heading, count) in &total {
        println!("{count:>12} {heading}");
    }
    let failures = failures.into_inner().unwrap();
    assert!(failures.is_empty(), "{}", failures.join("\n"));
    for heading in SOMETIMES {
        let shown = total.contains_key(heading);
        assert!(shown || wanted < 10_000, "no run has shown {heading}");
    }
}

/// What the proof looks at must be what the other tests look at.
#[test]
fn a_run_that_is_recorded_is_the_same_run() {
    for seed in 1..20 {
        let plan = Plan::from_seed(seed);
        let (history, lines) = recorded(&plan, usize::MAX);
        let alone = run(&plan, false).history;
        assert!(alone.spans.starts_with(&history.spans), "seed {seed}");
        assert!(lines.len() > 100, "seed {seed}: {} lines", lines.len());
    }
}

/// What replays a run must show that run.
#[test]
fn a_run_is_a_function_of_its_seed() {
    for seed in 1..20 {
        let plan = Plan::from_seed(seed);
        let (once, again) = (run(&plan, true), run(&plan, true));
        assert_eq!(once.history.spans, again.history.spans, "seed {seed}");
        assert_eq!(once.transcript, again.transcript, "seed {seed}");
    }
}

fn replay(seed: u64) -> String {
    format!("replay: cargo run --example simulate -- --seed {seed}")
}

fn number(name: &str, otherwise: u64) -> u64 {
    match std::env::var(name) {
        Ok(text) => text
            .parse()
            .unwrap_or_else(|_| panic!("{name}={text} is not a number")),
        Err(_) => otherwise,
    }
}

//! Replays one run of the simulation and prints its timeline: `--seed N`, and `--quiet` for the
//! leaderships alone. `--lines N` prints the first N lines or so for the proof instead (`tests/proof/traces.py`).

#[path = "../tests/simulation/simulator/mod.rs"]
#[allow(dead_code, reason = "the tests use the rest of it")]
mod simulator;

use std::process::ExitCode;

use simulator::plan::Plan;
use simulator::run::{recorded, run};

fn main() -> ExitCode {
    let mut seed = None;
    let mut quiet = false;
    let mut lines = None;
    let mut words = std::env::args().skip(1);
    while let Some(word) = words.next() {
        match word.as_str() {
            "--seed" => seed = words.next().and_then(|text| text.parse().ok()),
            "--quiet" => quiet = true,
            "--lines" => lines = words.next().and_then(|text| text.parse().ok()),
            _ => seed = None,
        }
    }
    let Some(seed) = seed else {
        eprintln!("usage: simulate --seed NUMBER [--quiet | --lines NUMBER]");
        return ExitCode::from(64);
    };
    let plan = Plan::from_seed(seed);
    if let Some(lines) = lines {
        for line in recorded(&plan, lines).1 {
            println!("{line}");
        }
        return ExitCode::SUCCESS;
    }
    println!("{plan:#?}");
    let outcome = run(&plan, !quiet);
    for line in outcome.transcript.iter().flatten() {
        println!("{line}");
    }
    println!("periods of acting:");
    for span in &outcome.history.spans {
        println!("  {span}");
    }
    for (heading, count) in &outcome.tally {
        println!("{count:>8} {heading}");
    }
    let mut verdict = ExitCode::SUCCESS;
    for wrong in outcome.complaints() {
        println!("{wrong}");
        verdict = ExitCode::FAILURE;
    }
    verdict
}

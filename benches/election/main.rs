//! What an election costs, compared with its floor: the raw operation measured in the same run.
//!
//! `cargo bench` runs all of it, `cargo bench -- handover check` what is named. Medians are printed, and
//! nothing is asserted: how fast a machine is says nothing about the code. It starts redis-servers of
//! its own, and binds no thread to a core, but for the crowd's.

#[path = "../../tests/support/mod.rs"]
mod support;

mod candidate;
mod check;
mod containment;
mod crowd;
mod handover;
mod raw;
mod report;
mod setups;
mod start;
mod win;

use std::time::Duration;

use incumbent::Election;
use incumbent::protocol::{Timing, TimingConfig};
use tokio::runtime::{Builder, Runtime};

fn main() {
    if start::is_program() {
        return start::program();
    }
    if let Some(server) = crowd::is_crowd() {
        return crowd::hold(&server);
    }
    if let Some(role) = candidate::role() {
        return candidate::play(&role);
    }
    match setups::part() {
        Some(part) if part == win::PART => return win::measure(),
        Some(standbys) => return handover::measure(&standbys),
        None => {}
    }
    let wanted: Vec<String> = std::env::args()
        .skip(1)
        .filter(|word| !word.starts_with('-'))
        .collect();
    let parts: [(&str, fn()); 6] = [
        ("check", check::run),
        ("win", win::run),
        ("handover", handover::run),
        ("start", start::run),
        ("crowd", crowd::run),
        ("containment", containment::run),
    ];
    for (name, run) in parts {
        if wanted.is_empty() || wanted.iter().any(|word| word == name) {
            run();
        }
    }
}

/// A runtime as a program would have it, in addition to the elections' thread.
fn runtime() -> Runtime {
    Builder::new_current_thread()
        .enable_all()
        .build()
        .expect("a runtime")
}

/// Has an election won and given up, so that the memory of a new Redis is old enough: the next
/// to win it waits for nothing.
async fn prove(name: &str, server: &str) {
    let timing = TimingConfig {
        interval: Duration::from_millis(50),
        stall_polls: 6,
        stop_grace: Duration::from_millis(50),
        probation: Some(Timing::default().probation()),
        ..TimingConfig::default()
    };
    let election = Election::builder(name).store(server).timing(timing).build();
    let election = election.expect("a configuration");
    let leadership = election.campaign().await.expect("a leadership");
    leadership.resign().await;
}

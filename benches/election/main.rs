//! What an election costs, beside the floor that it stands on: the raw operation measured in the same run.
//!
//! `cargo bench` runs all of it, `cargo bench -- handover check` what is named. Medians are printed, and
//! nothing is asserted: how fast a machine is says nothing about the code. It starts a redis-server of
//! its own.

#[path = "../../tests/support/mod.rs"]
mod support;

mod check;
mod crowd;
mod handover;
mod raw;
mod report;
mod start;
mod win;

use tokio::runtime::{Builder, Runtime};

fn main() {
    if start::is_program() {
        return start::program();
    }
    if let Some(server) = crowd::is_crowd() {
        return crowd::hold(&server);
    }
    let wanted: Vec<String> = std::env::args()
        .skip(1)
        .filter(|word| !word.starts_with('-'))
        .collect();
    let parts: [(&str, fn()); 5] = [
        ("check", check::run),
        ("win", win::run),
        ("handover", handover::run),
        ("start", start::run),
        ("crowd", crowd::run),
    ];
    for (name, run) in parts {
        if wanted.is_empty() || wanted.iter().any(|word| word == name) {
            run();
        }
    }
}

/// A runtime as a program would have it, besides the thread of the elections.
fn runtime() -> Runtime {
    Builder::new_current_thread()
        .enable_all()
        .build()
        .expect("a runtime")
}

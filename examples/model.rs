//! Explores the election exhaustively, further than the tests do.
//!
//! ```text
//! cargo run --release --example model -- [--depth N] [--faults N] [--only TEXT]
//! ```
//!
//! `--depth N` goes N intervals further than the tests, `--faults N` allows N faults more, and `--only
//! TEXT` takes the explorations with TEXT in their name. Every end is followed until somebody leads. Each
//! interval, and each fault, takes about ten times the states.

#[path = "../tests/model/world/mod.rs"]
#[allow(dead_code, reason = "the tests use the rest of it")]
mod world;

use std::process::ExitCode;

use world::bounds::{Bounds, EXPLORATIONS};

fn main() -> ExitCode {
    let (mut depth, mut faults, mut only) = (1, 0, String::new());
    let mut words = std::env::args().skip(1);
    while let Some(word) = words.next() {
        let value = words.next();
        let number = value.as_deref().and_then(|text| text.parse().ok());
        match (word.as_str(), number, value) {
            ("--depth", Some(number), _) => depth = number,
            ("--faults", Some(number), _) => faults = number,
            ("--only", _, Some(text)) => only = text,
            _ => {
                eprintln!("usage: model [--depth NUMBER] [--faults NUMBER] [--only TEXT]");
                return ExitCode::from(64);
            }
        }
    }
    let threads = std::thread::available_parallelism().map_or(2, usize::from);
    let mut verdict = ExitCode::SUCCESS;
    for bounds in EXPLORATIONS.iter().filter(|one| one.name.contains(&only)) {
        let bounds = Bounds {
            intervals: bounds.intervals.saturating_add(depth),
            faults: bounds.faults.saturating_add(faults),
            calmed: 1,
            ..bounds.clone()
        };
        println!("{bounds}");
        let found = world::explore(&bounds, threads);
        println!("{found}");
        for broken in found.broken {
            println!("{broken}");
            verdict = ExitCode::FAILURE;
        }
    }
    verdict
}

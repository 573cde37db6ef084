//! Real candidates, real servers, and everything that can go wrong with them, from a seed.
//!
//! The tests below run for some minutes. For hours, with a report every ten minutes:
//!
//! ```text
//! TORTURE_MINUTES=480 TORTURE_SEED=7 cargo test --release --test torture -- --nocapture
//! ```

#[path = "../field/mod.rs"]
mod field;
#[path = "../../../tests/support/mod.rs"]
mod support;

mod arena;
mod file;
mod plan;
mod report;
mod stores;
mod strike;

use std::time::Duration;

use arena::{Arena, Extent};

/// Faults for each of the three electorates when nothing else is asked for.
const FAULTS: usize = 50;

#[test]
fn candidates_of_one_server_never_act_at_once_whatever_happens() {
    torture(1);
}

#[test]
fn candidates_of_three_servers_never_act_at_once_whatever_happens() {
    torture(3);
}

#[test]
fn candidates_of_one_file_never_act_at_once_whatever_happens() {
    torture(0);
}

/// Tortures the candidates of this many servers, or of a file if there are none.
fn torture(servers: usize) {
    let number = |name: &str| {
        let text = std::env::var(name).ok()?;
        let number: u64 = text
            .parse()
            .unwrap_or_else(|_| panic!("{name} is {text:?}, not a number"));
        Some(number)
    };
    let extent = match number("TORTURE_MINUTES") {
        Some(minutes) => Extent::Time(Duration::from_secs(60 * minutes)),
        None => Extent::Faults(FAULTS),
    };
    let seed = number("TORTURE_SEED").unwrap_or_else(|| fastrand::u64(..1_000_000));
    println!("seed {seed}: TORTURE_SEED={seed} cargo test --test torture");
    let report = Arena::new(servers, seed).run(extent);
    println!("{report}");
    assert!(report.elections > report.faults() / 20, "{report}");
}

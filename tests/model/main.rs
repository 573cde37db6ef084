//! The election, checked exhaustively: everything that may happen, in every order, within bounds.
//!
//! `cargo run --release --example model` explores the same, and further: `--depth`, `--faults`.

mod world;

use world::bounds::{EXPLORATIONS, REPLAYS};

/// S1 to S5, what must be possible, and that somebody leads once faults have ended.
#[test]
fn no_order_of_events_within_the_bounds_breaks_a_promise() {
    let mut broken = Vec::new();
    for bounds in &EXPLORATIONS {
        println!("{bounds}");
        let found = world::explore(bounds, 2);
        println!("{found}");
        let named = found.broken.iter().map(|what| format!("{bounds}: {what}"));
        broken.extend(named);
    }
    assert!(broken.is_empty(), "{}", broken.join("\n"));
}

/// Why it is assumed that no request is carried out again once its store has lost all it held: a counter
/// may return then, and a leader that beats looks stalled.
#[test]
fn an_old_claim_carried_out_again_after_a_loss_of_all_data_would_break_s1() {
    let found = world::explore(&REPLAYS, 1);
    let overlaps = |broken: &String| broken.starts_with("S1");
    assert!(found.broken.iter().any(overlaps), "{found}");
}

//! The election, checked exhaustively: everything that may happen, in every order, within bounds.
//!
//! `cargo run --release --example model` explores the same, and further: `--depth`, `--faults`.

mod world;

use world::bounds::EXPLORATIONS;

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

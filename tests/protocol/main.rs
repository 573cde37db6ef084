//! The pure parts of the protocol, one by one: timing, records, the watch, counters.

#[path = "../support/mod.rs"]
mod support;

mod absent_twice;
mod candidate;
mod counters;
mod depositions;
mod ephemeral;
mod hints;
mod kept;
mod orders;
mod record;
mod rules;
mod timing;
mod watch;

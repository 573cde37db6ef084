//! The store on Redis against real servers, and everything that can be wrong with them.

#[path = "../support/mod.rs"]
mod support;

mod beats;
mod certificates;
mod cluster;
mod election;
mod faults;
mod garbage;
mod harness;
mod hints;
mod memory;
mod names;
mod operations;
mod passwords;
mod people;
mod refusals;
mod sentinel;
mod tls;
mod wake;

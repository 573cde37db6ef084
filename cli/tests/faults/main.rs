//! Real processes, real servers, real faults, and an independent witness of who acted when.
//!
//! In every test the elected programs append to one file, and the verdict is read from it: no two acted
//! at once (`S1`), and no token went back (`S2`).

#[path = "../field/mod.rs"]
mod field;
#[path = "../../../tests/support/mod.rs"]
mod support;

mod clock;
mod file;
mod names;
mod network;
mod process;
mod quorum;
mod server;

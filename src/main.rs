//! The command `incumbent`.

mod cli;

use std::process::ExitCode;

use incumbent::supervise::Entry;

fn main() -> ExitCode {
    // Before anything else: a keeper has one thread, and as little memory as can be.
    match Entry::take() {
        Some(entry) => cli::keep(entry),
        None => cli::main(),
    }
}

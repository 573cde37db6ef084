//! The command `incumbent`.

mod cli;
mod supervise;

use std::process::ExitCode;

fn main() -> ExitCode {
    cli::main()
}

//! The command `incumbent`.

use std::process::ExitCode;

fn main() -> ExitCode {
    incumbent_cli::main()
}

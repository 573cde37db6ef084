//! The environment of what tests start: none of the machine's settings, such as `INCUMBENT_STORE`, `NO_COLOR` or
//! `NOTIFY_SOCKET`, reaches it.

use std::ffi::OsString;
use std::process::Command;

/// Leaves a command nothing of this process's environment but `PATH` and, under `faketime`, the clock.
pub fn clear(command: &mut Command) -> &mut Command {
    command.env_clear().envs(kept())
}

fn kept() -> impl Iterator<Item = (OsString, OsString)> {
    std::env::vars_os().filter(|(name, _)| {
        let name = name.as_encoded_bytes();
        matches!(name, b"PATH" | b"LD_PRELOAD") || name.starts_with(b"FAKETIME")
    })
}

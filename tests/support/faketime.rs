//! A false wall clock for what tests start.

use std::process::Command;

/// What `LD_PRELOAD` must be for a process to see a false clock. The command `faketime` would set it too, but it
/// does not start if a process with its id was killed earlier: the semaphore of that one stays behind.
pub const LIBRARY: &str = "/usr/$LIB/faketime/libfaketime.so.1";

/// A command whose clock is `days` ahead of that of this process, which may be a false one already.
///
/// # Panics
///
/// If the library is not installed.
pub fn command(days: i64, program: &str) -> Command {
    require();
    let ahead = std::env::var("FAKETIME").map_or(0, |seconds| seconds.parse().unwrap());
    let offset = format!("{:+}", ahead + days * 86_400);
    let mut command = Command::new(program);
    command
        .env("LD_PRELOAD", LIBRARY)
        .env("FAKETIME", offset)
        .env("FAKETIME_NO_CACHE", "1");
    command
}

/// The loader only warns of a library that it cannot find.
pub fn require() {
    let loaded = Command::new("grep")
        .args(["-q", "libfaketime", "/proc/self/maps"])
        .env("LD_PRELOAD", LIBRARY)
        .status();
    assert!(
        loaded.unwrap().success(),
        "there is no {LIBRARY}: install faketime"
    );
}

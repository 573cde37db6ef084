//! A wall clock that a test can make to jump, for real servers.

use std::path::{Path, PathBuf};
use std::process::Command;

use crate::support::redis::Settings;

/// A wall clock that all servers of an election see.
pub(crate) struct WallClock {
    preload: String,
    file: PathBuf,
    ahead_seconds: i64,
}

impl WallClock {
    pub(crate) fn new(dir: &Path) -> Self {
        let mut clock = Self {
            preload: preload(),
            file: dir.join("wall-clock"),
            ahead_seconds: 0,
        };
        clock.jump(0);
        clock
    }

    pub(crate) fn jump(&mut self, seconds: i64) {
        self.ahead_seconds += seconds;
        // Replaced at once, so that no server reads half of it.
        let new = self.file.with_extension("new");
        std::fs::write(&new, format!("{:+}\n", self.ahead_seconds)).unwrap();
        std::fs::rename(&new, &self.file).unwrap();
    }

    /// Lets a server see this clock instead of the machine's. Boot time is unchanged.
    pub(crate) fn seen_by(&self, settings: Settings) -> Settings {
        settings
            .variable("LD_PRELOAD", &self.preload)
            .variable("FAKETIME_TIMESTAMP_FILE", &self.file.to_string_lossy())
            .variable("FAKETIME_NO_CACHE", "1")
            .variable("FAKETIME_DONT_FAKE_MONOTONIC", "1")
    }
}

/// What makes a redis-server see a false wall clock. The C library stands before jemalloc, which reads
/// the clock while libfaketime is not ready yet.
fn preload() -> String {
    let asked = Command::new("faketime")
        .args(["-f", "+0", "sh", "-c", "printf %s \"$LD_PRELOAD\""])
        .env_remove("LD_PRELOAD")
        .output()
        .unwrap_or_else(|error| panic!("faketime cannot be started ({error}): install it"));
    let library = String::from_utf8(asked.stdout).unwrap();
    assert!(library.contains("faketime"), "{library:?}");
    format!("{library} libc.so.6")
}

//! A wall clock that a test can make to jump, for real servers.

use std::path::{Path, PathBuf};

use crate::support::faketime;
use crate::support::redis::Settings;

/// A wall clock that all servers of an election see.
pub(crate) struct WallClock {
    file: PathBuf,
    ahead_seconds: i64,
}

impl WallClock {
    pub(crate) fn new(dir: &Path) -> Self {
        faketime::require();
        let mut clock = Self {
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

    /// Lets a server see this clock instead of the machine's. Boot time is unchanged. The C library stands before
    /// jemalloc, which reads the clock while libfaketime is not ready yet.
    pub(crate) fn seen_by(&self, settings: Settings) -> Settings {
        settings
            .variable("LD_PRELOAD", &format!("{} libc.so.6", faketime::LIBRARY))
            .variable("FAKETIME_TIMESTAMP_FILE", &self.file.to_string_lossy())
            .variable("FAKETIME_NO_CACHE", "1")
            .variable("FAKETIME_DONT_FAKE_MONOTONIC", "1")
    }
}

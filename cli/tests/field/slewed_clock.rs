//! The clock of a host that NTP slews, for real candidates: what it adjusts runs faster or slower, and
//! `CLOCK_MONOTONIC_RAW` does not. `slewed_clock.c` does it to a process, and to all that it starts.

use std::fs::File;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::process::Command;

use rustix::time::{ClockId, clock_gettime};

/// The size of a change, and how many the file has room for before they go round.
const CHANGE: u64 = 24;
const CHANGES: u64 = 256;

#[derive(Debug)]
pub(crate) struct SlewedClock {
    path: PathBuf,
    file: File,
    current: u64,
    /// From this raw time on, monotonic time runs from there, faster by this many thousandths.
    change: [i64; 3],
}

impl SlewedClock {
    /// The clock of the host `name`, which is not slewed yet.
    pub(crate) fn new(dir: &Path, name: &str) -> Self {
        let path = dir.join(format!("{name}.clock"));
        let file = File::create_new(&path).unwrap();
        file.set_len(CHANGES * CHANGE + 8).unwrap();
        let mut clock = Self {
            path,
            file,
            current: 0,
            change: [
                ClockId::MonotonicRaw,
                ClockId::Monotonic,
                ClockId::Monotonic,
            ]
            .map(read),
        };
        clock.change[2] = 0;
        clock.slew(0);
        clock
    }

    /// Lets it run faster by this many thousandths from now on. chrony goes up to 83, the kernel to 100.
    pub(crate) fn slew(&mut self, faster: i64) {
        let raw = read(ClockId::MonotonicRaw);
        let [since, monotonic, before] = self.change;
        let passed = raw - since;
        self.change = [raw, monotonic + passed + passed * before / 1000, faster];
        self.current = (self.current + 1) % CHANGES;
        let bytes = self.change.map(i64::to_ne_bytes).concat();
        let at = self.current * CHANGE;
        self.file.write_all_at(&bytes, at).unwrap();
        let current = u8::try_from(self.current).unwrap();
        // A byte is written at once, so that no process reads half of it.
        self.file
            .write_all_at(&[current], CHANGES * CHANGE)
            .unwrap();
    }

    /// The variables of a process that sees it.
    pub(crate) fn variables(&self) -> Vec<(String, String)> {
        let dir = self.path.parent().unwrap();
        let of = |path: &Path| path.to_str().unwrap().to_owned();
        [
            ("LD_PRELOAD", of(&library(dir))),
            ("SLEWED_CLOCK", of(&self.path)),
        ]
        .map(|(name, value)| (name.to_owned(), value))
        .into()
    }
}

fn read(clock: ClockId) -> i64 {
    let time = clock_gettime(clock);
    time.tv_sec * 1_000_000_000 + time.tv_nsec
}

/// What is preloaded, compiled once in each folder.
fn library(dir: &Path) -> PathBuf {
    let library = dir.join("slewed_clock.so");
    if !library.exists() {
        let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/field/slewed_clock.c");
        let mut compiler = Command::new("cc");
        compiler.args(["-O2", "-Wall", "-Werror", "-shared", "-fPIC", "-o"]);
        let made = compiler.arg(&library).arg(source).output();
        let made = made.expect("the C compiler that Rust links with starts");
        assert!(made.status.success(), "{made:?}");
    }
    library
}

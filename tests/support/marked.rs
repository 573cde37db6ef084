//! Processes that are found by a mark in their environment, whatever they have become since.

use std::collections::BTreeSet;
use std::fs;
use std::os::unix::ffi::OsStrExt;

/// The processes whose environment holds the mark. What is dead has no environment.
pub fn marked(mark: &str) -> BTreeSet<u32> {
    let pids = fs::read_dir("/proc").unwrap().filter_map(|entry| {
        let name = entry.ok()?.file_name();
        let pid: u32 = std::str::from_utf8(name.as_bytes()).ok()?.parse().ok()?;
        let environment = fs::read(format!("/proc/{pid}/environ")).ok()?;
        environment
            .windows(mark.len())
            .any(|window| window == mark.as_bytes())
            .then_some(pid)
    });
    pids.collect()
}

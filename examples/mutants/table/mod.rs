//! The mutants: one deliberate break of one rule each.

use std::path::{Path, PathBuf};

mod orders;
pub(crate) mod proof;
mod protocol;
mod scripts;
mod wrapper;

/// A break: in `file`, the text `old`, which occurs there once, becomes `new`.
pub(crate) struct Mutant {
    /// The rule that is broken.
    pub(crate) rule: &'static str,
    /// What the code does then.
    pub(crate) name: &'static str,
    /// Below the `src/` of the library, or that of the command.
    pub(crate) file: &'static str,
    pub(crate) old: &'static str,
    pub(crate) new: &'static str,
}

impl Mutant {
    /// Where the file is, from the root of the project.
    pub(crate) fn path(&self) -> PathBuf {
        let command = self.file.starts_with("supervise/");
        Path::new(if command { "cli/src" } else { "src" }).join(self.file)
    }

    /// What `cargo test` is given to find the witnesses of a mutant outside the protocol.
    pub(crate) fn witnesses(&self) -> &'static [&'static str] {
        if self.file.starts_with("protocol/") || self.file == "election/stall_watch.rs" {
            &[]
        } else if self.file.starts_with("election/") {
            &["--package incumbent --test threads"]
        } else if self.file.ends_with("/beats.lua") {
            &["--package incumbent --test redis_store beats::"]
        } else if self.file.ends_with("/changes.lua") {
            &[
                "--package incumbent --test store_conformance redis::",
                "--package incumbent --test redis_store wake::",
            ]
        } else if self.file.starts_with("store/") {
            &["--package incumbent --test store_conformance redis::"]
        } else if self.rule == "survivors" {
            &["--package incumbent-cli --test keeper --test takeover"]
        } else {
            &[
                "--package incumbent-cli --lib supervise::plan",
                "--package incumbent-cli --test keeper --test keeper_lost",
            ]
        }
    }
}

/// All of them, in the order of the page.
pub(crate) fn all() -> impl Iterator<Item = &'static Mutant> {
    let parts = [
        protocol::MUTANTS,
        orders::MUTANTS,
        scripts::MUTANTS,
        wrapper::MUTANTS,
    ];
    parts.into_iter().flatten()
}

/// The rule and the name of each mutant on a page: which test was the first to notice may depend
/// on the machine.
pub(crate) fn told_in(page: &str) -> Vec<(&str, &str)> {
    let rows = page.lines().filter_map(|line| {
        let mut cells = line.strip_prefix("| ")?.split(" | ");
        Some((cells.next()?, cells.next()?))
    });
    rows.filter(|(rule, _)| *rule != "rule" && *rule != "---")
        .collect()
}

macro_rules! mutants {
    ($($rule:literal, $name:literal, $file:literal, $old:literal => $new:literal;)*) => {
        &[$(Mutant { rule: $rule, name: $name, file: $file, old: $old, new: $new }),*]
    };
}
use mutants;

//! Where a mutant lives: a copy of the code, with its witnesses and its own target folder.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use crate::table::Mutant;

/// How many elections a mutant must survive to count as alive.
const ELECTIONS: &str = "20000";
/// How many seconds each witness has.
const TIME_LIMIT_S: &str = "300";
/// What looks at a mutant of the protocol, in this order, until one notices.
const OF_PROTOCOL: [&str; 3] = ["--test simulation", "--test protocol", "--test model"];

/// A copy of the code that may be broken.
pub(crate) struct Bed {
    here: PathBuf,
}

impl Bed {
    /// The protocol as a separate crate, which compiles in seconds.
    pub(crate) fn of_protocol(root: &Path) -> io::Result<Self> {
        let bed = Self::empty(root.join("target/mutants/protocol"))?;
        for part in [
            "Cargo.lock",
            "src/protocol",
            "src/values",
            "src/election/stall_watch.rs",
            "tests/protocol",
            "tests/simulation",
            "tests/model",
            "tests/support/seed.rs",
        ] {
            copy(&root.join(part), &bed.here.join(part))?;
        }
        fs::write(bed.here.join("Cargo.toml"), MANIFEST)?;
        fs::write(bed.here.join("src/lib.rs"), LIBRARY)?;
        fs::write(bed.here.join("tests/support/mod.rs"), "pub mod seed;\n")?;
        Ok(bed)
    }

    /// All of the code.
    pub(crate) fn of_everything(root: &Path) -> io::Result<Self> {
        let bed = Self::empty(root.join("target/mutants/everything"))?;
        for part in [
            "Cargo.lock",
            "Cargo.toml",
            "README.md",
            "benches",
            "cli",
            "config",
            "docs",
            "examples",
            "python",
            "src",
            "tests",
        ] {
            copy(&root.join(part), &bed.here.join(part))?;
        }
        Ok(bed)
    }

    /// What was built before is kept, for it saves most of the time.
    fn empty(here: PathBuf) -> io::Result<Self> {
        for part in [
            "benches", "cli", "config", "docs", "examples", "python", "src", "tests",
        ] {
            match fs::remove_dir_all(here.join(part)) {
                Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
                Ok(()) | Err(_) => {}
            }
        }
        Ok(Self { here })
    }

    /// The test that notices when the code is broken as `mutant` describes, if one does. `only` is the one
    /// witness to ask.
    pub(crate) fn noticed_of(
        &self,
        mutant: &Mutant,
        only: Option<&str>,
    ) -> io::Result<Option<String>> {
        let path = self.here.join(mutant.path());
        let whole = fs::read_to_string(&path)?;
        let found = whole.matches(mutant.old).count();
        if found != 1 {
            return Err(io::Error::other(format!(
                "{}, {}: the text to replace occurs {found} times in {}: {:?}",
                mutant.rule, mutant.name, mutant.file, mutant.old
            )));
        }
        fs::write(&path, whole.replace(mutant.old, mutant.new))?;
        let noticed = self.noticed(mutant.witnesses(), only);
        fs::write(&path, whole)?;
        noticed
            .map_err(|error| io::Error::other(format!("{}, {}: {error}", mutant.rule, mutant.name)))
    }

    /// Which test notices a fault, if one does. Without `witnesses` it is those of the protocol.
    pub(crate) fn noticed(
        &self,
        witnesses: &[&str],
        only: Option<&str>,
    ) -> io::Result<Option<String>> {
        let witnesses = if witnesses.is_empty() {
            &OF_PROTOCOL
        } else {
            witnesses
        };
        let looks = |witness: &&&str| only.is_none_or(|only| witness.contains(only));
        for witness in witnesses.iter().filter(looks) {
            let (built, printed) = self.cargo(witness, &["--no-run"])?;
            if !built {
                return Err(io::Error::other(format!("it does not compile: {printed}")));
            }
            let (passed, printed) = self.cargo(witness, &[])?;
            if !passed {
                return Ok(Some(verdict(witness, &printed)));
            }
        }
        Ok(None)
    }

    fn cargo(&self, witness: &str, more: &[&str]) -> io::Result<(bool, String)> {
        // A mutant may loop forever: a run that does not end counts as noticed.
        let mut command = Command::new("timeout");
        command
            .args(["--kill-after", "5", TIME_LIMIT_S, env!("CARGO")])
            .args(["test", "--offline", "--quiet"])
            .args(witness.split_whitespace())
            .args(more)
            .current_dir(&self.here)
            .env("CARGO_TARGET_DIR", self.here.join("target"))
            .env("INCUMBENT_SIM_ELECTIONS", ELECTIONS)
            .env("RUST_BACKTRACE", "0")
            .stdin(Stdio::null());
        if more.is_empty() {
            command.args(["--", "--test-threads", "1", "--format", "pretty"]);
        }
        let output = command.output()?;
        let printed = String::from_utf8_lossy(&output.stdout).into_owned()
            + &String::from_utf8_lossy(&output.stderr);
        Ok((output.status.success(), printed))
    }
}

/// The witness and the test that noticed.
fn verdict(witness: &str, printed: &str) -> String {
    let words = witness.split_whitespace();
    let program = words.skip_while(|word| *word != "--test").nth(1);
    let failed = printed
        .lines()
        .filter_map(|line| line.strip_prefix("test ")?.strip_suffix(" ... FAILED"));
    let mut failed: Vec<&str> = failed.collect();
    // The tests that look at everything say most.
    failed.sort_unstable_by_key(|name| (!name.starts_with("no_"), *name));
    let first = failed.first().copied().unwrap_or("a time limit");
    let program = program.unwrap_or("unit test");
    format!("{program}: `{first}`{}", detail(printed))
}

/// What the simulation says was violated, or what an invariant of the candidate says.
fn detail(printed: &str) -> String {
    let invariant = [
        "holds a majority",
        "lies beyond the tenure",
        "claims nothing",
        "in the past",
    ];
    if let Some(said) = invariant.iter().find(|said| printed.contains(**said)) {
        return format!(", an invariant: … {said}");
    }
    let complaint = printed.lines().find_map(|line| {
        let (seed, wrong) = line.strip_prefix("seed ")?.split_once(": ")?;
        seed.parse::<u64>().ok()?;
        let digits = |c: char| c.is_ascii_digit();
        let what = wrong.split(':').next().unwrap_or(wrong);
        // Which seed comes first depends on the machine: a number is of no use to readers.
        Some(if what.contains(digits) && !what.starts_with('S') {
            "a promise of liveness".to_owned()
        } else {
            what.to_owned()
        })
    });
    complaint.map_or_else(String::new, |wrong| format!(", {wrong}"))
}

fn copy(from: &Path, to: &Path) -> io::Result<()> {
    if from.is_file() {
        fs::create_dir_all(to.parent().unwrap_or(to))?;
        return fs::copy(from, to).map(drop);
    }
    for entry in fs::read_dir(from)? {
        let entry = entry?;
        copy(&entry.path(), &to.join(entry.file_name()))?;
    }
    Ok(())
}

const LIBRARY: &str = r"
pub mod protocol;
mod values;

pub mod election {
    mod stall_watch;
    pub use stall_watch::StallWatch;
}
";

const MANIFEST: &str = r#"
[package]
name = "incumbent"
version = "0.1.0"
edition = "2024"

[workspace]

[dependencies]
serde = { version = "1", features = ["derive"] }
thiserror = "2"

[dev-dependencies]
fastrand = "2.3"
proptest = { version = "1", default-features = false, features = ["std"] }
stateright = "0.31"

[profile.dev]
debug = false
opt-level = 1
"#;

//! Breaks the protocol on purpose, one rule at a time, and tells what notices.
//!
//! ```text
//! cargo run --example mutants            holds docs/mutants.md against what is found
//! cargo run --example mutants -- WRITE   rewrites it
//! cargo run --example mutants -- TEXT    tries the mutants whose rule is TEXT, or whose name holds it
//! cargo run --example mutants -- TEXT model     lets nothing but that witness look at them
//! ```
//!
//! The protocol is pure, so it compiles in seconds as a crate of its own, with its simulation, its unit
//! tests and its model. Each mutant is that crate with one text replaced by another. First the crate is tried as
//! it is: what notices a fault there would notice nothing.

mod table;

use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode, Stdio};

use table::{MUTANTS, Mutant};

/// How many elections a mutant must survive to count as alive.
const ELECTIONS: &str = "20000";
/// How many seconds each witness has.
const TIME_LIMIT_S: &str = "300";
/// What looks at each mutant, in this order, until one notices.
const WITNESSES: [&str; 3] = ["simulation", "protocol", "model"];

fn main() -> ExitCode {
    let mut words = std::env::args().skip(1);
    let (word, witness) = (words.next(), words.next());
    match run(word.as_deref(), witness) {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            eprintln!("mutants: {error}");
            ExitCode::FAILURE
        }
    }
}

fn run(word: Option<&str>, witness: Option<String>) -> io::Result<bool> {
    let bed = Bed::new(witness)?;
    if let Some(noticed) = bed.noticed()? {
        eprintln!("mutants: the protocol fails as it is: {noticed}");
        return Ok(false);
    }
    let mut rows = Vec::new();
    let mut alive = 0;
    let wanted = |mutant: &&Mutant| match word {
        None | Some("WRITE") => true,
        Some(text) => mutant.rule == text || mutant.name.contains(text),
    };
    for mutant in MUTANTS.iter().filter(wanted) {
        let noticed = bed.with(mutant, Bed::noticed)?;
        alive += usize::from(noticed.is_none());
        let noticed = noticed.unwrap_or_else(|| "**nothing**".into());
        println!("{:<14} {:<60} {noticed}", mutant.rule, mutant.name);
        rows.push(format!("| {} | {} | {noticed} |", mutant.rule, mutant.name));
    }
    println!("{} mutants, {alive} alive", rows.len());
    let page = bed.root.join("docs/mutants.md");
    let text = format!("{HEAD}{}\n", rows.join("\n"));
    match word {
        Some("WRITE") => fs::write(page, text)?,
        Some(_) => {}
        None if mutants_of(&fs::read_to_string(&page)?) != mutants_of(&text) => {
            eprintln!(
                "mutants: {} tells otherwise: run with WRITE",
                page.display()
            );
            return Ok(false);
        }
        None => {}
    }
    Ok(alive == 0)
}

const HEAD: &str = "\
# Mutants

Each rule of the protocol, broken on purpose, and the test that notices. Written by
`cargo run --example mutants -- WRITE`, and held by `cargo run --example mutants`.

| rule | the mutant | noticed by |
| --- | --- | --- |
";

/// The mutants that a page tells of: which test was the first to notice may depend on the machine.
fn mutants_of(page: &str) -> Vec<(&str, &str)> {
    let rows = page.lines().filter_map(|line| {
        let mut cells = line.strip_prefix("| ")?.split(" | ");
        Some((cells.next()?, cells.next()?))
    });
    rows.collect()
}

/// The protocol as a crate of its own.
struct Bed {
    root: PathBuf,
    here: PathBuf,
    witnesses: Vec<String>,
}

impl Bed {
    fn new(witness: Option<String>) -> io::Result<Self> {
        let root = PathBuf::from(env!("CARGO_MANIFEST_DIR"));
        let here = root.join("target/mutants");
        let bed = Self {
            root,
            here,
            witnesses: witness
                .map_or_else(|| WITNESSES.map(str::to_owned).to_vec(), |one| vec![one]),
        };
        for part in ["src", "tests"] {
            match fs::remove_dir_all(bed.here.join(part)) {
                Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
                Ok(()) | Err(_) => {}
            }
        }
        for part in [
            "src/protocol",
            "tests/protocol",
            "tests/simulation",
            "tests/model",
        ] {
            copy(&bed.root.join(part), &bed.here.join(part))?;
        }
        bed.write("Cargo.toml", MANIFEST)?;
        bed.write("src/lib.rs", "pub mod protocol;\n")?;
        bed.write("tests/support/mod.rs", "pub mod seed;\n")?;
        let seed = "tests/support/seed.rs";
        fs::copy(bed.root.join(seed), bed.here.join(seed))?;
        fs::copy(bed.root.join("Cargo.lock"), bed.here.join("Cargo.lock"))?;
        Ok(bed)
    }

    fn write(&self, path: &str, text: &str) -> io::Result<()> {
        let path = self.here.join(path);
        fs::create_dir_all(path.parent().unwrap_or(&self.here))?;
        fs::write(path, text)
    }

    /// Breaks the crate as `mutant` tells while `look` looks at it.
    fn with<T>(&self, mutant: &Mutant, look: impl Fn(&Self) -> io::Result<T>) -> io::Result<T> {
        let path = self.here.join("src/protocol").join(mutant.file);
        let whole = fs::read_to_string(&path)?;
        let found = whole.matches(mutant.old).count();
        if found != 1 {
            let rule = (mutant.rule, mutant.name, mutant.file);
            return Err(io::Error::other(format!(
                "{rule:?}: the text to replace occurs {found} times: {:?}",
                mutant.old
            )));
        }
        fs::write(&path, whole.replace(mutant.old, mutant.new))?;
        let seen = look(self);
        fs::write(&path, whole)?;
        seen
    }

    /// Which test notices a fault, if one does.
    fn noticed(&self) -> io::Result<Option<String>> {
        for witness in &self.witnesses {
            let built = self.cargo(witness, &["--no-run"])?;
            if !built.0 {
                return Err(io::Error::other(format!(
                    "it does not compile: {}",
                    built.1
                )));
            }
            let (passed, told) = self.cargo(witness, &[])?;
            if !passed {
                let failed = told
                    .lines()
                    .filter_map(|line| line.strip_prefix("test ")?.strip_suffix(" ... FAILED"));
                let mut failed: Vec<&str> = failed.collect();
                failed.sort_unstable_by_key(|name| (!name.starts_with("no_run"), *name));
                let first = failed.first().copied().unwrap_or("a time limit");
                return Ok(Some(format!("{witness}: `{first}`{}", detail(&told))));
            }
        }
        Ok(None)
    }

    fn cargo(&self, witness: &str, more: &[&str]) -> io::Result<(bool, String)> {
        // A mutant may loop for ever: what does not come to an end has been noticed, too.
        let mut command = Command::new("timeout");
        command
            .args(["--kill-after", "5", TIME_LIMIT_S, env!("CARGO")])
            .args(["test", "--offline", "--quiet", "--test", witness])
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
        let told = String::from_utf8_lossy(&output.stdout).into_owned()
            + &String::from_utf8_lossy(&output.stderr);
        Ok((output.status.success(), told))
    }
}

/// What the simulation says was violated, or what an invariant of the candidate says.
fn detail(told: &str) -> String {
    let invariant = [
        "holds a majority",
        "lies beyond the tenure",
        "claims nothing",
        "in the past",
    ];
    if let Some(said) = invariant.iter().find(|said| told.contains(**said)) {
        return format!(", an invariant: … {said}");
    }
    let complaint = told.lines().find_map(|line| {
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
    fs::create_dir_all(to)?;
    for entry in fs::read_dir(from)? {
        let entry = entry?;
        let (source, target) = (entry.path(), to.join(entry.file_name()));
        if entry.file_type()?.is_dir() {
            copy(&source, &target)?;
        } else {
            fs::copy(source, target)?;
        }
    }
    Ok(())
}

const MANIFEST: &str = r#"
[package]
name = "incumbent"
version = "0.1.0"
edition = "2024"

[workspace]

[dependencies]
thiserror = "2"

[dev-dependencies]
fastrand = "2.3"
proptest = { version = "1", default-features = false, features = ["std"] }
stateright = "0.31"

[profile.dev]
debug = false
opt-level = 1
"#;

//! Breaks the code on purpose, one rule at a time, and reports what notices.
//!
//! ```text
//! cargo run --example mutants            holds docs/mutants.md against what is found
//! cargo run --example mutants -- WRITE   rewrites it
//! cargo run --example mutants -- TEXT    tries those whose rule, name or file holds TEXT
//! cargo run --example mutants -- TEXT model     lets nothing but that witness look at them
//! ```
//!
//! The protocol is pure, so it compiles in seconds as a separate crate, with its simulation, its unit
//! tests and its model. The scripts are looked at by the suite that every store must pass, on a real
//! redis-server, and the keeper by its unit tests and by real processes. Each mutant is the code with one
//! text replaced by another. First the unchanged code is tried: what notices a fault there would notice
//! nothing.

mod bed;
mod table;

use std::cell::OnceCell;
use std::fs;
use std::io;
use std::path::PathBuf;
use std::process::ExitCode;

use bed::Bed;
use table::Mutant;

fn main() -> ExitCode {
    let mut words = std::env::args().skip(1);
    let (word, witness) = (words.next(), words.next());
    match run(word.as_deref(), witness.as_deref()) {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            eprintln!("mutants: {error}");
            ExitCode::FAILURE
        }
    }
}

fn run(word: Option<&str>, witness: Option<&str>) -> io::Result<bool> {
    let root = PathBuf::from(env!("CARGO_MANIFEST_DIR"));
    let wanted = |mutant: &&'static Mutant| match word {
        None | Some("WRITE") => true,
        Some(text) => [mutant.rule, mutant.name, mutant.file]
            .iter()
            .any(|one| one.contains(text)),
    };
    let wanted: Vec<&Mutant> = table::all().filter(wanted).collect();
    let beds = Beds {
        root: root.clone(),
        protocol: OnceCell::new(),
        everything: OnceCell::new(),
    };
    let mut tried: Vec<&[&str]> = Vec::new();
    for mutant in &wanted {
        let witnesses = mutant.witnesses();
        if tried.contains(&witnesses) {
            continue;
        }
        if let Some(noticed) = beds.of(mutant)?.noticed(witnesses, witness)? {
            eprintln!("mutants: the code fails as it is: {noticed}");
            return Ok(false);
        }
        tried.push(witnesses);
    }
    let mut rows = Vec::new();
    let mut alive = 0;
    for mutant in wanted {
        let noticed = beds.of(mutant)?.noticed_of(mutant, witness)?;
        alive += usize::from(noticed.is_none());
        let noticed = noticed.unwrap_or_else(|| "**nothing**".into());
        let fails = table::proof::obligation(mutant.rule, mutant.name);
        let row = format!(
            "| {} | {} | {noticed} | {fails} |",
            mutant.rule, mutant.name
        );
        println!("{row}");
        rows.push(row);
    }
    println!("{} mutants, {alive} alive", rows.len());
    let page = root.join("docs/mutants.md");
    let text = format!("{HEAD}{}\n", rows.join("\n"));
    match word {
        Some("WRITE") => fs::write(page, text)?,
        Some(_) => {}
        None if table::told_in(&fs::read_to_string(&page)?) != table::told_in(&text) => {
            eprintln!("mutants: {} differs: run with WRITE", page.display());
            return Ok(false);
        }
        None => {}
    }
    Ok(alive == 0)
}

/// Each bed is made when it is needed, for the larger takes minutes to build.
struct Beds {
    root: PathBuf,
    protocol: OnceCell<Bed>,
    everything: OnceCell<Bed>,
}

impl Beds {
    fn of(&self, mutant: &Mutant) -> io::Result<&Bed> {
        let protocol = mutant.witnesses().is_empty();
        let bed = if protocol {
            &self.protocol
        } else {
            &self.everything
        };
        if let Some(bed) = bed.get() {
            return Ok(bed);
        }
        let made = if protocol {
            Bed::of_protocol(&self.root)?
        } else {
            Bed::of_everything(&self.root)?
        };
        Ok(bed.get_or_init(|| made))
    }
}

const HEAD: &str = "\
# Mutants

Each mutant breaks the code on purpose, one rule at a time; the table names the first test that noticed.
`cargo run --example mutants -- WRITE` tries them all and rewrites this page; without `WRITE`, it compares.
`tests/mutants.rs` checks that the page lists every mutant and that each was noticed. The last column names an
obligation of [the proof](proof.md) that fails when the same rule is broken there (`tests/proof/mutants.txt`). `nothing`:
the proof stands without the rule, [which stays for another reason](proof.md#rules-that-s1-and-s2-do-not-need). A dash:
what the mutant does the proof allows as it is, or it speaks of nothing of the kind.

| rule | the mutant | noticed by | fails in the proof |
| --- | --- | --- | --- |
";

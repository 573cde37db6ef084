//! The mutants fit the code that they break, and `docs/mutants.md` names what noticed each of them.

use std::fs;
use std::path::PathBuf;

#[path = "../examples/mutants/table/mod.rs"]
#[allow(dead_code, reason = "the witnesses of a mutant do not matter here")]
mod table;

fn root() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
}

#[test]
fn each_mutant_finds_the_text_that_it_breaks() {
    let mut astray = Vec::new();
    for mutant in table::all() {
        let path = mutant.path();
        let code = fs::read_to_string(root().join(&path)).unwrap_or_default();
        let times = code.matches(mutant.old).count();
        if times != 1 || mutant.old == mutant.new {
            let (rule, name) = (mutant.rule, mutant.name);
            astray.push(format!("{rule}, {name}: {times} in {}", path.display()));
        }
    }
    assert!(astray.is_empty(), "{}", astray.join("\n"));
}

#[test]
fn the_page_tells_of_every_mutant_and_each_was_noticed() {
    let page = fs::read_to_string(root().join("docs/mutants.md")).unwrap();
    let known: Vec<(&str, &str)> = table::all().map(|one| (one.rule, one.name)).collect();
    assert_eq!(table::told_in(&page), known);
    let alive = page.lines().filter(|line| line.contains("**nothing**"));
    assert_eq!(alive.count(), 0, "a mutant lives");
}

#[test]
fn the_page_names_the_obligation_that_fails_in_the_proof() {
    let page = fs::read_to_string(root().join("docs/mutants.md")).unwrap();
    let proof = fs::read_to_string(root().join("tests/proof/mutants.py")).unwrap();
    for mutant in table::all() {
        let obligation = table::proof::obligation(mutant.name);
        let (start, end) = (
            format!("| {} | {} | ", mutant.rule, mutant.name),
            format!(" | {obligation} |"),
        );
        let told = |line: &str| line.starts_with(&start) && line.ends_with(&end);
        assert!(page.lines().any(told), "{start}…{end}");
    }
    for (name, obligation) in table::proof::OBLIGATIONS {
        let known = table::all().any(|mutant| mutant.name == *name);
        assert!(known, "no mutant is called {name:?}");
        assert!(proof.contains(obligation), "{name}: {obligation}");
    }
}

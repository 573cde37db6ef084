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
    for mutant in table::all() {
        let (rule, name) = (mutant.rule, mutant.name);
        let obligation = table::proof::obligation(rule, name);
        let (start, end) = (
            format!("| {rule} | {name} | "),
            format!(" | {obligation} |"),
        );
        let told = |line: &&str| line.starts_with(&start) && line.ends_with(&end);
        assert_eq!(page.lines().filter(told).count(), 1, "{start}…{end}");
    }
    for (place, (rule, name, broken)) in table::proof::BREAKS.iter().enumerate() {
        let is = |mutant: &&table::Mutant| (mutant.rule, mutant.name) == (*rule, *name);
        assert_eq!(table::all().filter(is).count(), 1, "{rule}, {name}");
        let again = |one: &&(&str, &str, &str)| (one.0, one.1) == (*rule, *name);
        let before = &table::proof::BREAKS[..place];
        assert!(
            !before.iter().any(|one| again(&one)),
            "{rule}, {name}: twice"
        );
        let fails = table::proof::fails(broken);
        assert!(fails.is_some(), "the proof has no break {broken:?}");
    }
}

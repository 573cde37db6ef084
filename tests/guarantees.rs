//! `docs/guarantees.md` says what is so: each id it names stands in the code and in a test, and each test
//! and command it names exists.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

fn root() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
}

fn document() -> String {
    fs::read_to_string(root().join("docs/guarantees.md")).unwrap()
}

/// All code below a folder, or the file itself.
fn code(path: &Path) -> String {
    if path.is_file() {
        let code = path
            .extension()
            .is_some_and(|end| end == "rs" || end == "lua");
        return if code {
            fs::read_to_string(path).unwrap()
        } else {
            String::new()
        };
    }
    let Ok(entries) = fs::read_dir(path) else {
        return String::new();
    };
    let mut paths: Vec<PathBuf> = entries.map(|entry| entry.unwrap().path()).collect();
    paths.sort();
    paths.iter().map(|path| code(path)).collect()
}

/// Whether `id` stands in `text` as a separate word.
fn names(text: &str, id: &str) -> bool {
    let part_of_a_word = |c: char| c.is_ascii_alphanumeric() || c == '_';
    text.match_indices(id).any(|(at, _)| {
        !text[..at].ends_with(part_of_a_word) && !text[at + id.len()..].starts_with(part_of_a_word)
    })
}

/// The ids at the head of the document's rows.
fn ids() -> Vec<String> {
    let is_id = |word: &str| {
        let mut letters = word.chars();
        let letter = letters.next().is_some_and(|letter| "SLR".contains(letter));
        letter && word.len() == 2 && letters.all(|digit| digit.is_ascii_digit())
    };
    let document = document();
    let heads = document
        .lines()
        .filter_map(|line| line.strip_prefix("| ")?.split(' ').next());
    heads
        .filter(|word| is_id(word))
        .map(str::to_owned)
        .collect()
}

/// What stands between backticks, line by line.
fn quoted(text: &str) -> Vec<&str> {
    text.lines()
        .flat_map(|line| line.split('`').skip(1).step_by(2))
        .collect()
}

/// The code of one test program.
fn program(name: &str) -> String {
    let of = |tests: &str| {
        let tests = root().join(tests);
        code(&tests.join(format!("{name}.rs"))) + &code(&tests.join(name))
    };
    of("tests") + &of("cli/tests")
}

#[test]
fn the_document_states_all_that_is_promised() {
    let expected = "S1 S2 S3 S4 S5 L1 L2 L3 L4 R1 R2 R3 R4 R5 R6 R7 R8 R9";
    assert_eq!(ids().join(" "), expected);
}

#[test]
fn each_id_stands_in_the_code_and_in_a_test() {
    let source = code(&root().join("src")) + &code(&root().join("cli/src"));
    let tests = code(&root().join("tests")) + &code(&root().join("cli/tests"));
    // This file names all of them.
    let tests = tests.replace(&code(&root().join("tests/guarantees.rs")), "");
    for id in ids() {
        assert!(names(&source, &id), "{id} stands nowhere in the code");
        assert!(names(&tests, &id), "{id} stands in no test");
    }
}

#[test]
fn each_statement_names_a_test_and_each_test_named_exists() {
    let document = document();
    let mut known = BTreeSet::new();
    for (name, test) in quoted(&document)
        .iter()
        .filter_map(|text| text.split_once("::"))
    {
        if ["incumbent", "Lease", "program"].contains(&name) {
            continue;
        }
        let code = program(name);
        assert!(!code.is_empty(), "there is no test program {name}");
        let found = code.contains(&format!("fn {test}("))
            || code.contains(&format!("fn {test}<"))
            || code.contains(&format!("{{ {test}:"));
        assert!(found, "{name} has no test {test}");
        known.insert(test);
    }
    assert!(known.len() > 50, "{} tests are named", known.len());
    for line in document
        .lines()
        .filter(|line| line.starts_with("| ") && line.ends_with(" |"))
    {
        let id = ids()
            .iter()
            .any(|id| line.starts_with(&format!("| {id} |")));
        assert!(!id || line.contains("::"), "no test is named: {line}");
    }
}

#[test]
fn each_fault_that_is_tested_is_on_the_page() {
    let faults = program("faults");
    let by_itself = faults.split("#[test]").skip(1);
    let by_itself = by_itself.filter_map(|rest| rest.split_once("fn ")?.1.split_once('('));
    let everywhere = faults.split("everywhere! { ").skip(1);
    let everywhere = everywhere.filter_map(|rest| rest.split_once(':'));
    let document = document();
    let mut tests: BTreeSet<&str> = by_itself.chain(everywhere).map(|(test, _)| test).collect();
    // The macro's own, and the witness's.
    tests.retain(|test| *test != "$name" && !test.starts_with("the_witness"));
    assert!(tests.len() > 40, "{tests:?}");
    for test in tests {
        let named = document.contains(&format!("`faults::{test}`"));
        assert!(named, "no fault on the page names {test}");
    }
}

#[test]
fn each_command_names_what_exists() {
    let document = document();
    let manifest = fs::read_to_string(root().join("Cargo.toml")).unwrap();
    let targets = fs::read_to_string(root().join("fuzz/Cargo.toml")).unwrap();
    let mut commands = 0;
    for command in quoted(&document) {
        let words: Vec<&str> = command.split_whitespace().collect();
        let after = |word: &str| {
            let at = words.iter().position(|one| *one == word)?;
            words.get(at + 1).copied()
        };
        if !words.contains(&"cargo") {
            continue;
        }
        commands += 1;
        if let Some(name) = after("--test").filter(|name| *name != "program") {
            let found = !program(name).is_empty();
            assert!(found, "{command}: there is no test program {name}");
        }
        if let Some(name) = after("--example") {
            let examples = root().join("examples");
            let file = examples.join(format!("{name}.rs")).exists();
            let folder = examples.join(name).join("main.rs").exists();
            let declared = manifest.contains(&format!("name = \"{name}\""));
            assert!(
                file || folder || declared,
                "{command}: there is no example {name}"
            );
        }
        if let Some(name) = after("run").filter(|_| words.contains(&"fuzz")) {
            let declared = targets.contains(&format!("name = \"{name}\""));
            assert!(declared, "{command}: there is no fuzz target {name}");
        }
    }
    assert!(commands >= 15, "{commands} commands are named");
    assert!(root().join("tests/run").exists());
}

#[test]
fn the_document_itself_reads_as_a_reader_expects() {
    let document = document();
    for line in document.lines().filter(|line| !line.starts_with('|')) {
        assert_eq!(
            line.matches('`').count() % 2,
            0,
            "a quotation is not closed: {line}"
        );
    }
    for linked in document
        .split("](")
        .skip(1)
        .filter_map(|rest| rest.split(')').next())
    {
        assert!(
            root().join("docs").join(linked).exists(),
            "{linked} is not there"
        );
    }
}

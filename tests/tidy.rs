//! The house holds: imports point down a layer only, files stay readable, nothing is left undone.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

/// One crate: its sources, and its parts, each with the other parts that it may import.
type Parts = &'static [(&'static str, &'static [&'static str])];

/// The layers of the library from the bottom up, and `fence`, which stands apart. `lib` only names what it exports.
const LIBRARY: Parts = &[
    ("values", &[]),
    ("protocol", &["values"]),
    ("store", &["values", "protocol"]),
    ("observe", &["protocol", "store"]),
    ("election", &["protocol", "store", "observe"]),
    ("lock", &["protocol", "store", "observe", "election"]),
    ("fence", &["protocol", "store"]),
];

/// The command from the bottom up. The first two know nothing of a command line.
const COMMAND: Parts = &[
    ("supervise", &[]),
    ("http", &[]),
    ("exit.rs", &["supervise"]),
    ("config", &["supervise", "http", "exit"]),
    ("output", &["exit", "config"]),
    (
        "command",
        &["supervise", "http", "exit", "config", "output"],
    ),
];

/// Where code is.
const CODE: [&str; 8] = [
    "src",
    "cli/src",
    "tests",
    "cli/tests",
    "examples",
    "benches",
    "python/src",
    "fuzz/fuzz_targets",
];

fn sources(folder: &Path) -> Vec<PathBuf> {
    if folder.is_file() {
        return vec![folder.to_owned()];
    }
    let mut found = Vec::new();
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            // A benchmark with its own package may have been built.
            if !path.ends_with("target") {
                found.extend(sources(&path));
            }
        } else if path.extension().is_some_and(|e| e == "rs") {
            found.push(path);
        }
    }
    found.sort();
    found
}

fn root() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
}

/// The parts of the same crate that a file names in code: `crate::x`.
fn imports(text: &str) -> BTreeSet<&str> {
    let code = text
        .lines()
        .filter(|line| !line.trim_start().starts_with("//"));
    let named = code.flat_map(|line| line.split("crate::").skip(1));
    named
        .map(|rest| {
            let end = rest.find(|c: char| !c.is_alphanumeric() && c != '_');
            &rest[..end.unwrap_or(rest.len())]
        })
        .collect()
}

#[test]
fn imports_point_down_only() {
    let mut wrong = violations("src", LIBRARY);
    wrong.extend(violations("cli/src", COMMAND));
    assert!(
        wrong.is_empty(),
        "imports that point up:\n{}",
        wrong.join("\n")
    );
}

fn violations(source: &str, parts: Parts) -> Vec<String> {
    let name = |part: &'static str| part.trim_end_matches(".rs");
    let known: BTreeSet<&str> = parts.iter().map(|(part, _)| name(part)).collect();
    let mut found = Vec::new();
    for (part, below) in parts {
        let files = sources(&root().join(source).join(part));
        assert!(!files.is_empty(), "{source}/{part} is empty");
        for file in files {
            let text = fs::read_to_string(&file).unwrap();
            let up = imports(&text).into_iter().filter(|import| {
                known.contains(import) && *import != name(part) && !below.contains(import)
            });
            found.extend(up.map(|import| format!("{} imports {import}", file.display())));
        }
    }
    found
}

#[test]
fn the_protocol_reads_no_clock_and_does_no_io() {
    let forbidden = [
        "std::fs",
        "std::net",
        "std::thread",
        "tokio",
        "tracing",
        "rustix",
        "fastrand",
        "SystemTime",
        "Instant",
        "println!",
        "async ",
    ];
    let parts = ["src/protocol", "src/values"];
    for file in parts.iter().flat_map(|part| sources(&root().join(part))) {
        let text = fs::read_to_string(&file).unwrap();
        for line in text
            .lines()
            .filter(|line| !line.trim_start().starts_with("//"))
        {
            for word in forbidden {
                assert!(
                    !line.contains(word),
                    "{}: {word} in: {line}",
                    file.display()
                );
            }
        }
    }
}

#[test]
fn every_source_file_begins_by_saying_what_it_is() {
    for folder in CODE {
        for file in sources(&root().join(folder)) {
            let text = fs::read_to_string(&file).unwrap();
            let first = text.lines().find(|line| !line.starts_with("#!["));
            assert!(
                first.is_some_and(|line| line.starts_with("//!")),
                "{} does not begin with //!",
                file.display()
            );
        }
    }
}

/// Each file that a reader of ARCHITECTURE.md is sent to is there.
#[test]
fn every_file_that_the_architecture_names_exists() {
    let text = fs::read_to_string(root().join("ARCHITECTURE.md")).unwrap();
    let quoted = text.split('`').skip(1).step_by(2);
    let files: Vec<&str> = quoted
        .filter(|name| name.ends_with(".rs") && !name.contains("NAME"))
        .collect();
    assert!(files.len() > 40, "{files:?}");
    for file in files {
        let is_there = |folder: &str| root().join(folder).join(file).is_file();
        assert!(["", "src", "cli/src"].into_iter().any(is_there), "{file}");
    }
}

#[test]
fn no_source_file_is_one_through_which_everything_goes() {
    for folder in CODE {
        for file in sources(&root().join(folder)) {
            let lines = fs::read_to_string(&file).unwrap().lines().count();
            assert!(lines <= 500, "{} has {lines} lines", file.display());
        }
    }
}

/// An error that names its source in its message does not return it too, or a printed chain has it twice. With
/// `thiserror` the field is then written `r#source`.
#[test]
fn no_error_prints_its_source_and_returns_it() {
    let mut twice = Vec::new();
    for file in sources(&root().join("src")) {
        let text = fs::read_to_string(&file).unwrap();
        for (at, _) in text.match_indices("#[error(") {
            // Up to the next variant.
            let rest = &text[at + 1..];
            let variant = &rest[..rest.find("#[error(").unwrap_or(rest.len())];
            let (message, fields) = variant.split_once(")]").unwrap_or((variant, ""));
            let named = message.contains("{source") || message.contains("{0");
            let returned = [" source: ", "#[source]", "#[from]"];
            if named && returned.iter().any(|field| fields.contains(field)) {
                twice.push(format!("{}: {message}", file.display()));
            }
        }
    }
    assert!(twice.is_empty(), "{}", twice.join("\n"));
}

#[test]
fn nothing_is_left_undone() {
    // Written apart, so that this file does not name them itself.
    let marks: Vec<String> = [
        ("TO", "DO"),
        ("FIX", "ME"),
        ("XX", "X"),
        ("to", "do!("),
        ("unimple", "mented!("),
    ]
    .iter()
    .map(|(a, b)| format!("{a}{b}"))
    .collect();
    for folder in CODE {
        for file in sources(&root().join(folder)) {
            let text = fs::read_to_string(&file).unwrap();
            for mark in &marks {
                assert!(
                    !text.contains(mark.as_str()),
                    "{} in {}",
                    mark,
                    file.display()
                );
            }
            assert!(
                !text.contains(&format!("#[{}]", "ignore")),
                "an ignored test in {}",
                file.display()
            );
        }
    }
}

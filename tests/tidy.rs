//! The house holds: imports point down a layer only, files stay readable, nothing is left undone.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

/// The layers of the library from the bottom up. A layer may import those before it, and itself.
const LAYERS: [&str; 4] = ["protocol", "store", "observe", "election"];

/// Who may stand on which layer besides. `lib` only names what it exports.
const LEAVES: [(&str, &[&str]); 3] = [
    ("fence", &["protocol", "store"]),
    ("http", &["protocol", "store", "observe", "election"]),
    ("supervise", &["protocol", "store", "observe", "election"]),
];

fn sources(folder: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            found.extend(sources(&path));
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

/// The layers of the crate that a file names in code, `crate::x` or `incumbent::x`.
fn imports(text: &str) -> BTreeSet<String> {
    let code = text
        .lines()
        .filter(|line| !line.trim_start().starts_with("//"));
    let mut named = BTreeSet::new();
    for line in code {
        for prefix in ["crate::", "incumbent::"] {
            for (at, _) in line.match_indices(prefix) {
                let rest = &line[at + prefix.len()..];
                let end = rest
                    .find(|c: char| !c.is_alphanumeric() && c != '_')
                    .unwrap_or(rest.len());
                named.insert(rest[..end].to_owned());
            }
        }
    }
    named
}

#[test]
fn imports_point_down_only() {
    let src = root().join("src");
    let mut wrong = Vec::new();
    for (height, layer) in LAYERS.iter().enumerate() {
        let allowed: BTreeSet<&str> = LAYERS[..=height].iter().copied().collect();
        wrong.extend(violations(&src.join(layer), &allowed));
    }
    for (leaf, below) in LEAVES {
        if src.join(leaf).exists() {
            let allowed = below.iter().copied().chain([leaf]).collect();
            wrong.extend(violations(&src.join(leaf), &allowed));
        }
    }
    assert!(
        wrong.is_empty(),
        "imports that point up:\n{}",
        wrong.join("\n")
    );
}

fn violations(folder: &Path, allowed: &BTreeSet<&str>) -> Vec<String> {
    let known: BTreeSet<&str> = LAYERS
        .iter()
        .copied()
        .chain(LEAVES.iter().map(|(leaf, _)| *leaf))
        .collect();
    let mut found = Vec::new();
    for file in sources(folder) {
        let text = fs::read_to_string(&file).unwrap();
        for name in imports(&text) {
            if known.contains(name.as_str()) && !allowed.contains(name.as_str()) {
                found.push(format!("{} imports {name}", file.display()));
            }
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
    for file in sources(&root().join("src/protocol")) {
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
    for folder in ["src", "tests", "examples", "benches"] {
        let folder = root().join(folder);
        if !folder.exists() {
            continue;
        }
        for file in sources(&folder) {
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

#[test]
fn no_source_file_is_one_through_which_everything_goes() {
    for file in sources(&root().join("src")) {
        let lines = fs::read_to_string(&file).unwrap().lines().count();
        assert!(lines <= 900, "{} has {lines} lines", file.display());
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
    for folder in ["src", "tests", "examples", "benches"] {
        let folder = root().join(folder);
        if !folder.exists() {
            continue;
        }
        for file in sources(&folder) {
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

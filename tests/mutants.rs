//! The mutants fit the code that they break, and `docs/mutants.md` tells what notices each of them.

use std::fs;
use std::path::{Path, PathBuf};

#[path = "../examples/mutants/table.rs"]
#[allow(
    dead_code,
    reason = "what a mutant makes of the code is of no interest here"
)]
mod table;

use table::MUTANTS;

fn root() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
}

#[test]
fn each_mutant_still_finds_the_text_that_it_breaks() {
    let mut astray = Vec::new();
    for mutant in MUTANTS {
        let path = Path::new("src/protocol").join(mutant.file);
        let code = fs::read_to_string(root().join(&path)).unwrap_or_default();
        let times = code.matches(mutant.old).count();
        if times != 1 || mutant.old == mutant.new {
            astray.push(format!(
                "{} {}: {times} times in {}",
                mutant.rule,
                mutant.name,
                path.display()
            ));
        }
    }
    assert!(astray.is_empty(), "{}", astray.join("\n"));
}

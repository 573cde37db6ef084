//! What the library offers is listed in `listing.rs.txt`, so that a review sees each change of it.
//! `INCUMBENT_REWRITE=1 cargo test --test public_api` writes the listing anew.
//!
//! It is read from the sources: what rustdoc knows can be had from a nightly compiler only.

mod source;

use std::path::PathBuf;

use source::Source;

#[test]
fn the_public_api_is_the_one_that_is_listed() {
    let root = PathBuf::from(env!("CARGO_MANIFEST_DIR"));
    let found = Source::read(&root.join("src")).listing();
    let path = root.join("tests/public_api/listing.rs.txt");
    if std::env::var_os("INCUMBENT_REWRITE").is_some_and(|value| value == "1") {
        std::fs::write(&path, &found).unwrap();
    }
    let kept = std::fs::read_to_string(&path).unwrap();
    let differs = kept.lines().zip(found.lines()).position(|(a, b)| a != b);
    let line = differs.unwrap_or_else(|| kept.lines().count().min(found.lines().count()));
    assert!(
        kept == found,
        "the public API differs from line {} of {} on; INCUMBENT_REWRITE=1 writes it anew\n kept: {}\nfound: {}",
        line + 1,
        path.display(),
        kept.lines().nth(line).unwrap_or(""),
        found.lines().nth(line).unwrap_or(""),
    );
}

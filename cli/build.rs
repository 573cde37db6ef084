//! Names the commit for `incumbent --version`.
//!
//! `INCUMBENT_COMMIT` names it, else the file that `cargo package` leaves in a crate, else git, and only for a release
//! build: naming each commit would rebuild the tests after it. Where none of them does, the version stands alone.

use std::path::Path;
use std::process::Command;

fn main() {
    println!("cargo::rerun-if-changed=build.rs");
    println!("cargo::rerun-if-env-changed=INCUMBENT_COMMIT");
    let commit = variable("INCUMBENT_COMMIT")
        .or_else(packaged)
        .or_else(checked_out);
    let version = env!("CARGO_PKG_VERSION");
    let version = commit.map_or_else(
        || version.to_owned(),
        |commit| format!("{version} ({commit})"),
    );
    println!("cargo::rustc-env=INCUMBENT_VERSION={version}");
}

fn variable(name: &str) -> Option<String> {
    std::env::var(name).ok().filter(|value| !value.is_empty())
}

fn packaged() -> Option<String> {
    let text = std::fs::read_to_string(".cargo_vcs_info.json").ok()?;
    let (_, after) = text.split_once(r#""sha1": ""#)?;
    after.get(..12).map(str::to_owned)
}

/// A source tree without a repository may lie inside of somebody else's.
fn checked_out() -> Option<String> {
    let is_ours = Path::new("../.git").exists();
    if !is_ours || variable("PROFILE")? != "release" {
        return None;
    }
    // Changes with each commit and checkout.
    let log = git(&["rev-parse", "--git-path", "logs/HEAD"])?;
    println!("cargo::rerun-if-changed={log}");
    git(&[
        "describe",
        "--always",
        "--dirty",
        "--abbrev=12",
        "--exclude=*",
    ])
}

fn git(words: &[&str]) -> Option<String> {
    let output = Command::new("git").args(words).output().ok()?;
    let text = String::from_utf8(output.stdout).ok()?;
    output.status.success().then(|| text.trim().to_owned())
}

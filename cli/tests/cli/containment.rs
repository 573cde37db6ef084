//! `--contain`: what was asked for is in force and reported, or no program is started.

use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt;
use std::process::Stdio;

use serde_json::Value;

use super::home::{Ended, Home};

/// Runs the command in a mount namespace, as what `prepare` makes of it.
fn run_where(home: &Home, prepare: &str, arguments: &[&str]) -> Ended {
    // Through a descriptor, because another user may not reach the folder of the binary.
    let script = format!("exec 9<\"$1\"; shift; {prepare} /proc/self/fd/9 \"$@\"");
    let mut command = std::process::Command::new("unshare");
    crate::support::environment::clear(&mut command)
        .args(["--mount", "sh", "-c", &script, "sh"])
        .arg(env!("CARGO_BIN_EXE_incumbent"))
        .args(arguments)
        .env("HOME", home.path("."))
        .stdin(Stdio::null());
    Ended::from(command.output().unwrap())
}

/// An ordinary user, where a part of `/proc` is covered as in a container.
const COVERED: &str = "mount -t tmpfs none /proc/sys && \
    exec setpriv --reuid 65534 --regid 65534 --clear-groups";
const NO_CGROUPS: &str = "umount --lazy --all --types cgroup2; exec";

#[test]
fn a_level_that_is_not_possible_is_refused_and_says_why() {
    let home = Home::new();
    fs::set_permissions(home.path("."), Permissions::from_mode(0o777)).unwrap();
    let cases = [
        ("pidns", COVERED, "its /proc cannot be mounted"),
        ("cgroup", NO_CGROUPS, "no cgroup can be made here"),
    ];
    for (level, prepare, why) in cases {
        let touched = home.text_path("touched");
        let store = format!("sqlite:{}", home.text_path(&format!("{level}.db")));
        let run = ["run", "job", "--store", &store, "--contain", level];
        let run = [&run[..], &["--", "touch", &touched]].concat();
        let ended = run_where(&home, prepare, &run);
        assert_eq!(ended.status, 78, "{ended:#?}");
        let told = format!("contain = {level} (--contain) is not possible here: ");
        assert!(
            ended.stderr.contains(&told) && ended.stderr.contains(why),
            "{ended:#?}"
        );
        assert!(!home.path("touched").exists());
    }
}

#[test]
fn the_level_in_force_is_logged_published_and_examined() {
    let home = Home::new();
    // Whether there is a cgroup as well depends on the host.
    for (level, shown) in [
        ("subreaper", &["subreaper"][..]),
        ("pidns", &["pidns", "pidns+cgroup"]),
        ("auto", &["subreaper", "cgroup"]),
    ] {
        let variable = [("INCUMBENT_CONTAIN", level)];
        let show = [env!("CARGO_BIN_EXE_incumbent"), "candidates", "job"];
        let run = [&["run", "job", "--"][..], &show, &["-o", "json"]].concat();
        let ended = home.run_with(&variable, &run);
        assert_eq!(ended.status, 0, "{ended:#?}");
        let told: Value = serde_json::from_str(&ended.stdout).unwrap();
        let published = told["candidates"][0]["containment"].as_str().unwrap();
        assert!(shown.contains(&published), "{told}");
        let logged = format!("containment={published} ");
        assert!(ended.stderr.contains(&logged), "{ended:#?}");
        let examined = home.run_with(&variable, &["doctor"]);
        let outlives = examined.stdout.contains("outlives both halves");
        assert_eq!(outlives, level != "pidns", "{examined:#?}");
    }
    let chosen = home.write("contain.toml", "contain = \"cgroup\"\n");
    let examined = run_where(&home, NO_CGROUPS, &["doctor", "--config", &chosen]);
    assert_eq!(examined.status, 2, "{examined:#?}");
    let refused = "no program can be kept here: no cgroup can be made here";
    assert!(examined.stdout.contains(refused), "{examined:#?}");
}

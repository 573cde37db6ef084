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

/// Mounts propagate, as where systemd has set them up, and those that are left are counted.
const SHARED: &str = "counting() { \"$@\"; grep -c kept-apart /proc/self/mountinfo; }
    mount --make-rshared / && counting";

#[test]
fn what_a_program_mounts_in_its_namespace_is_not_mounted_outside() {
    let home = Home::new();
    let place = home.text_path("kept-apart");
    fs::create_dir(&place).unwrap();
    for (level, mounts) in [("pidns", "0\n"), ("auto", "1\n")] {
        let run = [
            "run",
            "job",
            "--contain",
            level,
            "--",
            "mount",
            "-t",
            "tmpfs",
            "none",
            &place,
        ];
        let ended = run_where(&home, SHARED, &run);
        assert_eq!(ended.stdout, mounts, "{ended:#?}");
    }
}

/// An ordinary user with these capabilities, which its children inherit.
const CAPABLE: &str = "exec setpriv --reuid 65534 --regid 65534 --clear-groups \
    --inh-caps +bpf,+net_admin,+sys_nice --ambient-caps +bpf,+net_admin,+sys_nice";

#[test]
fn the_capabilities_for_the_fence_are_not_the_programs() {
    let home = Home::new();
    fs::set_permissions(home.path("."), Permissions::from_mode(0o777)).unwrap();
    let store = format!("sqlite:{}", home.text_path("elections.db"));
    let run = ["run", "job", "--store", &store, "--"];
    let show = ["grep", "CapEff", "/proc/self/status"];
    let ended = run_where(&home, CAPABLE, &[&run[..], &show].concat());
    // That of CAP_SYS_NICE alone.
    assert_eq!(ended.stdout, "CapEff:\t0000000000800000\n", "{ended:#?}");
}

#[test]
fn the_level_in_force_is_logged_published_and_examined() {
    let home = Home::new();
    // Whether there is a cgroup as well depends on the host.
    for (level, shown) in [
        ("subreaper", &["subreaper"][..]),
        ("pidns", &["pidns", "pidns+cgroup", "pidns+cgroup+fence"]),
        ("auto", &["subreaper", "cgroup", "cgroup+fence"]),
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
        let in_force = format!("{published} is in force here: the program ");
        assert!(examined.stdout.contains(&in_force), "{examined:#?}");
        let outlives = examined.stdout.contains("outlives both halves");
        assert_eq!(outlives, level != "pidns", "{examined:#?}");
    }
    let chosen = home.write("contain.toml", "contain = \"cgroup\"\n");
    let examined = run_where(&home, NO_CGROUPS, &["doctor", "--config", &chosen]);
    assert_eq!(examined.status, 2, "{examined:#?}");
    let refused = "no program can be kept here: no cgroup can be made here";
    assert!(examined.stdout.contains(refused), "{examined:#?}");
}

/// In a new cgroup that was killed before, as systemd kills the group of a unit.
const KILLED: &str = "group=$(awk '$3 == \"cgroup2\" { print $2; exit }' /proc/mounts)$(sed -n s/^0:://p /proc/self/cgroup)
    group=$group/killed-$$ && mkdir $group && trap 'echo 0 > $group/../cgroup.procs; rmdir $group' EXIT &&
    echo 1 > $group/cgroup.kill && echo 0 > $group/cgroup.procs &&";

#[test]
fn a_program_begins_alive_though_the_group_around_it_was_killed_before() {
    let home = Home::new();
    let run = ["run", "job", "--", "sh", "-c", "grep ^0: /proc/self/cgroup"];
    let ended = run_where(&home, KILLED, &run);
    assert_eq!(ended.status, 0, "{ended:#?}");
    let group = ended.stdout.split_once("/killed-").map(|(_, below)| below);
    assert!(
        group.is_some_and(|below| below.contains("/incumbent-")),
        "run this as root, with a cgroup2: {ended:#?}"
    );
}

#[test]
fn a_status_says_what_the_containment_of_the_leader_covers() {
    let home = Home::new();
    let me = env!("CARGO_BIN_EXE_incumbent");
    let run = [
        "run",
        "job",
        "--contain",
        "subreaper",
        "--",
        me,
        "status",
        "job",
    ];
    let ended = home.run(&run);
    assert_eq!(ended.status, 0, "{ended:#?}");
    let covers = "contained  subreaper: the program is killed process by process";
    assert!(ended.stdout.contains(covers), "{ended:#?}");
}

/// Notes its cgroup, and has its first leadership resigned.
const RESIGNING: &str = "\
    grep ^0: /proc/self/cgroup >> groups
    [ $(wc -l < groups) -gt 1 ] || \"$0\" resign job
    exec sleep 1000";

#[test]
fn a_fence_never_opens_again_for_what_the_last_term_has_left_in_its_connections() {
    let home = Home::new();
    let quick = [
        ("INCUMBENT_INTERVAL", "200ms"),
        ("INCUMBENT_STOP_GRACE", "100ms"),
    ];
    let me = env!("CARGO_BIN_EXE_incumbent");
    let run = ["run", "job", "--restart", "--", "sh", "-c", RESIGNING, me];
    let mut leader = home.start_with(&quick, &run);
    let groups = home.wait_for_lines("groups", 2);
    assert!(
        groups[0].contains("incumbent-"),
        "run this as root, with a cgroup2"
    );
    assert_ne!(
        groups[0], groups[1],
        "it is in the cgroup of the first term"
    );
    leader.signal(rustix::process::Signal::TERM);
    leader.wait();
}

#[test]
fn a_health_check_and_a_watchdog_see_a_program_in_its_namespace() {
    let home = Home::new();
    let check = "kill -0 $INCUMBENT_PROGRAM_PID && echo healthy >> checked";
    let program = "\
        while ! [ -e checked ]; do sleep 0.05; done
        systemd-notify WATCHDOG=trigger; exec sleep 1000";
    let settings = [
        ("INCUMBENT_CONTAIN", "pidns"),
        ("INCUMBENT_HEALTH_CMD", check),
        ("INCUMBENT_HEALTH_INTERVAL", "100ms"),
        ("INCUMBENT_WATCHDOG", "1h"),
    ];
    let run = ["run", "job", "--", "sh", "-c", program];
    let mut leader = home.start_with(&settings, &run);
    assert_eq!(leader.wait(), 124);
    leader.assert_said("it has sent WATCHDOG=trigger");
}

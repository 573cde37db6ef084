//! Where `/proc` hides processes (`hidepid`), the worker of a program is ended all the same before the
//! next leader acts (`S1`), whichever half of `incumbent` is lost.
//!
//! It needs root, to mount such a `/proc` in a private mount namespace, and then drops all rights:
//! a process with those rights sees everything.

#![allow(missing_docs, reason = "tests are named by what they claim")]

#[path = "takeover/field.rs"]
mod field;
#[path = "../../tests/support/mod.rs"]
mod support;

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::time::Duration;

use field::{Elector, Field};
use rustix::process::Signal;

/// A window of three seconds.
const BRISK: [&str; 4] = ["--interval", "600ms", "--stop-grace", "600ms"];

/// Becomes a command that has no rights, no control group of the second version, and a `/proc` that shows
/// it no process which it may not look into.
const UNSEEING: &str = "\
umount --lazy --all --types cgroup2
mount -t proc -o hidepid=2 proc /proc &&
exec setpriv --regid 65534 --clear-groups --bounding-set=-all \"$@\"";

/// A program that leaves its work to a worker in another session. The worker's file is unreadable,
/// so a process without rights may not look into it.
const WORK_BY_OTHERS: &str = "setsid \"$0\" -c \"$1\" & exec sleep 1000";

/// Has somebody lead whose worker it cannot see, and a standby that sees everything.
fn hide() -> (Field, Elector, Elector) {
    assert!(
        rustix::process::geteuid().is_root(),
        "only root may mount a /proc: run this test as root"
    );
    let field = Field::stubborn(&BRISK);
    let worker = field.file("worker");
    fs::copy("/bin/bash", &worker).unwrap();
    fs::set_permissions(&worker, fs::Permissions::from_mode(0o111)).unwrap();
    let leader = field.elector_by(
        &["unshare", "--mount", "sh", "-c", UNSEEING, "sh"],
        &["bash", "-c", WORK_BY_OTHERS, worker.to_str().unwrap()],
    );
    leader.hear("containment=subreaper-hidepid");
    leader.wait_until_leading();
    field.wait_for_term(1);
    let standby = field.elector();
    standby.wait_until_standing_by();
    (field, leader, standby)
}

/// The next one leads, and acts long enough that a survivor would be seen acting at the same time.
fn expect_one_at_a_time(field: &Field) {
    const LONG: Duration = Duration::from_millis(500);
    let until = field.wait_for_term(2).first + LONG;
    while field.witness().terms.last().unwrap().last < until {
        std::thread::sleep(Duration::from_millis(20));
    }
    field.witness().assert_no_overlap();
}

#[test]
fn a_keeper_that_is_killed_leaves_no_hidden_worker_behind() {
    let (field, mut leader, _standby) = hide();
    leader.signal_keeper(Signal::KILL);
    expect_one_at_a_time(&field);
    assert_eq!(leader.status(), Some(125), "a half of incumbent failed");
}

#[test]
fn a_frozen_elector_leaves_no_hidden_worker_behind() {
    let (field, leader, _standby) = hide();
    leader.signal(Signal::STOP);
    expect_one_at_a_time(&field);
}

/// A program that mounts something over `/proc` once its worker acts.
const COVER_PROC: &str = "setsid bash -c \"$0\" & until [ -s \"$LOG\" ]; do sleep 0.02; done
mount -t tmpfs none /proc && touch \"$LOG.covered\" && exec sleep 1000";

#[test]
fn a_program_that_covers_proc_does_not_blind_its_keeper() {
    let field = Field::stubborn(&BRISK);
    let alone = "umount --lazy --all --types cgroup2; exec \"$@\"";
    let leader = field.elector_by(
        &["unshare", "--mount", "sh", "-c", alone, "sh"],
        &["bash", "-c", COVER_PROC],
    );
    leader.hear("containment=subreaper");
    leader.wait_until_leading();
    field.wait_for_term(1);
    let standby = field.elector();
    standby.wait_until_standing_by();
    let until = incumbent::election::clock::now() + field::PATIENCE;
    while !field.file("log.covered").exists() {
        assert!(
            incumbent::election::clock::now() < until,
            "/proc is not covered"
        );
        std::thread::sleep(Duration::from_millis(10));
    }
    leader.signal(Signal::TERM);
    expect_one_at_a_time(&field);
}

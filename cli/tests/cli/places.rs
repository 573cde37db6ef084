//! Where the file of a store may be: which paths are refused for good, which may do later, and when two names are one
//! store.

use std::fs;
use std::os::unix::fs::symlink;
use std::process::Command;

use rustix::process::Signal;

use super::home::{Ended, Home, leader, wait_until};

#[test]
fn a_path_where_no_file_can_ever_be_made_is_refused_for_good() {
    let home = Home::new();
    home.write("plain", "");
    symlink("loop", home.path("loop")).unwrap();
    let long = home.text_path(&"x".repeat(300));
    for (path, said) in [
        ("/proc/x.db", "of the kernel (/proc)"),
        ("/proc/self/x/y.db", "of the kernel (/proc)"),
        ("/sys/x.db", "of the kernel (/sys)"),
        (&home.text_path("plain/e.db"), "Not a directory"),
        (&home.text_path("loop/e.db"), "symbolic links"),
        (&long, "File name too long"),
        (&home.text_path(""), "a folder"),
    ] {
        let store = format!("sqlite:{path}");
        let run = home.run(&["run", "job", "--store", &store, "--", "true"]);
        run.assert(78, said);
        assert!(run.stderr.contains("choose"), "{run:#?}");
        let check = home.run_with(&[("INCUMBENT_STORE", &store)], &["config", "check"]);
        check.assert(78, said);
    }
}

/// As on a mount that comes up late.
#[test]
fn a_folder_that_is_missing_may_come_later() {
    let home = Home::new();
    symlink("later", home.path("folder")).unwrap();
    let program = leader(&home.path("led"));
    let store = format!("sqlite:{}", home.text_path("folder/e.db"));
    let mut running = home.start(&["run", "job", "--store", &store, "--", "sh", "-c", &program]);
    running.wait_said("folder");
    fs::create_dir(home.path("later")).unwrap();
    home.wait_for_lines("led", 1);
    running.signal(Signal::TERM);
    running.wait();
}

#[test]
fn a_file_that_hosts_can_share_is_refused_by_the_check_of_the_configuration() {
    let home = Home::new();
    for folder in ["shared", "mount"] {
        fs::create_dir(home.path(folder)).unwrap();
    }
    let (shared, mount) = (home.text_path("shared"), home.text_path("mount"));
    let check = format!(
        "bindfs {shared} {mount} && exec {} config check",
        env!("CARGO_BIN_EXE_incumbent")
    );
    let mut command = Command::new("unshare");
    command
        .args(["--mount", "sh", "-c", &check])
        .env("INCUMBENT_STORE", format!("sqlite:{mount}/e.db"));
    let ended = Ended::from(command.output().unwrap());
    ended.assert(78, "several hosts can share (FUSE or virtiofs)");
    assert_eq!(fs::read_dir(&shared).unwrap().count(), 0);
    // Without its folder a mount ends in every namespace, and the process that serves it too.
    fs::remove_dir(&mount).unwrap();
}

#[test]
fn one_relative_path_is_one_store_per_folder_and_is_shown_as_where_it_leads() {
    let home = Home::new();
    let program = leader(&home.path("led"));
    let run = [
        "run",
        "job",
        "--store",
        "sqlite:e.db",
        "--",
        "sh",
        "-c",
        &program,
    ];
    let mut both = Vec::new();
    for folder in ["one", "two"] {
        fs::create_dir(home.path(folder)).unwrap();
        let mut command = home.command(&run);
        command.current_dir(home.path(folder));
        both.push(home.start_command(command));
    }
    home.wait_for_lines("led", 2);
    for folder in ["one", "two"] {
        let path = home.text_path(&format!("{folder}/e.db"));
        for store in ["sqlite:e.db", "sqlite:./e.db", &format!("sqlite:{path}")] {
            let mut status = home.command(&["status", "job", "-o", "json", "--store", store]);
            status.current_dir(home.path(folder));
            let ended = Ended::from(status.output().unwrap());
            ended.assert(0, "");
            assert_eq!(ended.json()["stores"][0]["store"], format!("sqlite:{path}"));
        }
    }
}

#[test]
fn without_a_store_it_is_said_among_whom_one_is_elected() {
    let home = Home::new();
    let ended = home.run(&["run", "job", "--", "true"]);
    ended.assert(0, "among the processes of this user on this host only");
    let elsewhere = Home::new();
    // Another user has another home.
    let program = leader(&home.path("led"));
    let run = ["run", "job", "--", "sh", "-c", &program];
    let mut both = [home.start(&run), elsewhere.start(&run)];
    home.wait_for_lines("led", 2);
    for one in &mut both {
        one.signal(Signal::TERM);
    }
    wait_until("both have ended", || {
        both.iter_mut().all(|one| one.has_ended())
    });
}

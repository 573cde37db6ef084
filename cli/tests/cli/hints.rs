//! The commands that hints name: they can be pasted as they stand, and look at the same stores.

use std::fs;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::process::Command;

use super::home::{Ended, Home};
use super::readings::leave_a_leader_that_stands_still;
use crate::support::redis::RedisServer;

/// The commands between backticks.
fn hints(ended: &Ended) -> Vec<String> {
    let text = format!("{}{}", ended.stdout, ended.stderr);
    let quoted = text.split('`').skip(1).step_by(2);
    let commands = quoted.filter(|text| text.starts_with("incumbent "));
    commands.map(str::to_owned).collect()
}

#[test]
fn every_command_that_a_hint_names_can_be_pasted() {
    let (home, server) = (Home::new(), RedisServer::start());
    fs::create_dir(home.path("bin")).unwrap();
    symlink(env!("CARGO_BIN_EXE_incumbent"), home.path("bin/incumbent")).unwrap();
    let paste = |line: &str| {
        let path = std::env::var("PATH").unwrap();
        let mut shell = Command::new("sh");
        shell.args(["-c", line]).env_clear();
        shell.env("HOME", home.path("")).current_dir(home.path(""));
        shell.env("PATH", format!("{}:{path}", home.text_path("bin")));
        Ended::from(shell.output().unwrap())
    };
    let url = server.url();
    home.write("my settings.toml", "username = \"default\"\n");
    let same = [
        "--store",
        &url,
        "--key-prefix",
        "its own:",
        "--config",
        "my settings.toml",
    ];
    let ask = |words: &[&str]| {
        let ended = home.run(&[words, &same[..]].concat());
        let found = hints(&ended);
        assert!(!found.is_empty(), "{words:?} names no command: {ended:#?}");
        for hint in found {
            let pasted = paste(&hint);
            let known = ![64, 78, 127].contains(&pasted.status);
            assert!(
                known && !pasted.stderr.contains("embedded"),
                "{hint}: {pasted:#?}"
            );
            if hint.starts_with("incumbent doctor") {
                assert!(
                    pasted.stdout.contains(url.trim_end_matches('/')),
                    "{hint}: {pasted:#?}"
                );
            }
        }
        ended
    };
    ask(&["status", "two words"]);
    ask(&["doctor", "two words"]);
    let pause = |name| home.run(&[&["pause", name], &same[..]].concat());
    for words in [["status", "it's"], ["doctor", "it's"]] {
        assert_eq!(pause("it's").status, 0);
        ask(&words);
        // The hint has lifted the pause.
        let status = home.run(&[&["status", "it's"], &same[..]].concat());
        assert!(!status.stdout.contains("paused"), "{status:#?}");
    }

    leave_a_leader_that_stands_still(&server);
    let same = ["--store", &url];
    let asked = home.run(&[&["resign", "job"], &same[..]].concat());
    let depose = hints(&asked).concat();
    assert!(depose.contains("depose"), "{asked:#?}");
    assert_eq!(paste(&depose).status, 0);
    // A password is not shown, so that of the address has to be given again.
    let user = [
        "ACL", "SETUSER", "walker", "on", ">pw", "~*", "&*", "+@all", "-evalsha",
    ];
    server.command(&user);
    let walker = format!("redis://walker:pw@127.0.0.1:{}", server.port());
    let status = home.run(&["status", "job", "--store", &walker]);
    let doctor = hints(&status).concat();
    assert!(doctor.contains("redis://walker@127.0.0.1"), "{status:#?}");
    assert!(!doctor.contains("pw@"), "{status:#?}");
}

/// A command that prints a password may hold one, and a pipe is gone when the hint is read.
#[test]
fn a_hint_repeats_no_password_command_and_no_file_that_is_gone() {
    let (home, server) = (Home::new(), RedisServer::start());
    home.write("kept", "x\n");
    home.write("empty.toml", "");
    let hinted = |options: &str| {
        let line = format!(
            "exec {} status 'two words' --store {} {options} 3<kept",
            env!("CARGO_BIN_EXE_incumbent"),
            server.url()
        );
        let mut shell = Command::new("bash");
        shell.args(["-c", &line]).env_clear();
        shell.env("HOME", home.path("")).current_dir(home.path(""));
        let ended = Ended::from(shell.output().unwrap());
        let found = hints(&ended);
        assert!(!found.is_empty(), "{options}: {ended:#?}");
        for shown in [&ended.stdout, &ended.stderr] {
            assert!(
                !shown.contains("s3cret") && !shown.contains("/dev/fd"),
                "{ended:#?}"
            );
        }
        found.concat()
    };
    for (options, shown) in [
        ("--password-cmd 'echo s3cret'", "--password-cmd COMMAND"),
        (
            "--password-cmd 'TOKEN=s3cret; echo x'",
            "--password-cmd COMMAND",
        ),
        ("--password-file <(echo s3cret)", "--password-file FILE"),
        ("--password-file /dev/fd/3", "--password-file FILE"),
        ("--password-file kept", "--password-file kept"),
        ("--config <(echo)", "--config FILE"),
        ("--config empty.toml", "--config empty.toml"),
    ] {
        let hint = hinted(options);
        assert!(hint.contains(shown), "{options}: {hint}");
    }
}

/// What is written out by hand would leave out the stores in use.
#[test]
fn no_message_writes_a_command_for_an_election_by_hand() {
    let mut left = vec![PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("src")];
    let mut read = 0;
    while let Some(path) = left.pop() {
        if path.is_dir() {
            left.extend(
                fs::read_dir(&path)
                    .unwrap()
                    .map(|entry| entry.unwrap().path()),
            );
            continue;
        }
        read += 1;
        let is_test = path.ends_with("tests.rs");
        let text = fs::read_to_string(&path).unwrap_or_default();
        for line in text.lines().filter(|_| !is_test) {
            let (_, behind) = line.split_once("incumbent ").unwrap_or_default();
            let by_hand = behind.split_once(' ').is_some_and(|(verb, rest)| {
                verb.chars().all(char::is_lowercase) && !verb.is_empty() && rest.starts_with('{')
            });
            assert!(!by_hand, "{}: {line}", Path::new(&path).display());
        }
    }
    assert!(read > 50, "{read}");
}

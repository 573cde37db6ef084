//! A password never shows: not in help, not in what is configured, not in errors, not in the log.

use super::home::{Ended, Home};
use crate::support::port::ClosedPort;
use crate::support::redis::RedisServer;

const SECRET: &str = "correct-horse";

#[track_caller]
fn assert_hidden(ended: &Ended) {
    assert!(!ended.stdout.contains(SECRET), "{ended:#?}");
    assert!(!ended.stderr.contains(SECRET), "{ended:#?}");
}

/// Every command that has to do with a store.
const COMMANDS: [&[&str]; 8] = [
    &[
        "run",
        "job",
        "--no-wait",
        "--log-level",
        "trace",
        "--",
        "true",
    ],
    &[
        "run",
        "job",
        "--no-wait",
        "--log-format",
        "json",
        "--",
        "true",
    ],
    &["status", "job"],
    &["status", "job", "-o", "json"],
    &["list"],
    &["list", "-o", "json"],
    &["config", "show"],
    &["config", "show", "-o", "json"],
];

#[test]
fn in_no_command_wherever_the_password_stands() {
    let home = Home::new();
    let closed = ClosedPort::new();
    let nobody = format!("127.0.0.1:{}", closed.port());
    let url = format!("redis://app:{SECRET}@{nobody}");
    let plain = format!("redis://{nobody}");
    let file = home.write(
        "c.toml",
        &format!("store = {url:?}\npassword = {SECRET:?}\n"),
    );
    let command_line = format!("PASSWORD={SECRET}; echo $PASSWORD");
    let that_fails = format!("PASSWORD={SECRET} false");
    let password_file = home.write("secret", &format!("{SECRET}\n"));
    for command in COMMANDS {
        for variables in [
            vec![("INCUMBENT_STORE", &*url)],
            vec![("INCUMBENT_STORE", &*plain), ("INCUMBENT_PASSWORD", SECRET)],
            vec![
                ("INCUMBENT_STORE", &*plain),
                ("INCUMBENT_PASSWORD_FILE", &*password_file),
            ],
            vec![("INCUMBENT_CONFIG", &*file)],
            vec![
                ("INCUMBENT_STORE", &*plain),
                ("INCUMBENT_PASSWORD_CMD", &*command_line),
            ],
            vec![
                ("INCUMBENT_STORE", &*plain),
                ("INCUMBENT_PASSWORD_CMD", &*that_fails),
            ],
        ] {
            assert_hidden(&home.run_with(&variables, command));
        }
    }
    assert_hidden(&home.run(&["config", "show", "--store", &url]));
}

#[test]
fn in_no_help() {
    let home = Home::new();
    for command in [
        &["--help"][..],
        &["run", "--help"],
        &["status", "-h"],
        &["config", "show", "--help"],
        &["man"],
    ] {
        let ended = home.run_with(
            &[
                ("INCUMBENT_PASSWORD", SECRET),
                ("INCUMBENT_USERNAME", SECRET),
            ],
            command,
        );
        assert_eq!(ended.status, 0);
        assert_hidden(&ended);
    }
}

#[test]
fn in_no_error_about_the_place_where_it_stands() {
    let home = Home::new();
    let rows = [
        format!("password = {SECRET}\n"),
        format!("password = \"{SECRET}\n"),
        format!("password = [{SECRET:?}]\n"),
        format!("passwort = {SECRET:?}\n"),
        format!("store = \"redis://app:{SECRET}@host:port/\"\n"),
        format!("store = \"redis://app:{SECRET}/@host/\"\n"),
        format!("store = \"rediss//app:{SECRET}@host\"\n"),
        format!("password = {SECRET:?}\npassword_file = \"/x\"\n"),
    ];
    for text in rows {
        let file = home.write("c.toml", &text);
        let ended = home.run(&["config", "check", "--config", &file]);
        assert_eq!(ended.status, 78, "{text}: {ended:#?}");
        assert_hidden(&ended);
    }
    let flag = format!("redis://app:{SECRET}@host:port");
    let ended = home.run(&["status", "job", "--store", &flag]);
    assert_eq!(ended.status, 64);
    assert_hidden(&ended);
    assert_eq!(
        home.run(&["run", "job", "--password", SECRET, "--", "true"])
            .status,
        64
    );
}

/// Every process of the same user may read what another one was started with, root excepted from nothing.
#[test]
fn in_the_environment_of_no_process_that_the_program_can_see() {
    let home = Home::new();
    let read = "for pid in $PPID $(cut -d ' ' -f 4 /proc/$PPID/stat); do \
                tr '\\0' '\\n' < /proc/$pid/environ; done; env; echo read";
    let url = format!("sqlite:{}?x={SECRET}", home.text_path("e.db"));
    let variables = [
        ("INCUMBENT_PASSWORD", SECRET),
        ("INCUMBENT_STORE", "sqlite:e.db"),
        ("INCUMBENT_NO_SUCH_SECRET", &url),
        ("CREDENTIALS_DIRECTORY", "/run/credentials/x"),
    ];
    let ended = home.run_with(&variables, &["run", "job", "--", "sh", "-c", read]);
    assert!(ended.stdout.ends_with("read\n"), "{ended:#?}");
    assert_hidden(&ended);
    let own = ended.stdout.rsplit("HOME=").next().unwrap();
    assert!(!own.contains("CREDENTIALS_DIRECTORY"), "{ended:#?}");
}

#[test]
fn and_it_works_from_each_of_its_places() {
    let home = Home::new();
    let server = RedisServer::settings().password(SECRET).start();
    let store = format!("redis://127.0.0.1:{}", server.port());
    let status = |variables: &[(&str, &str)], arguments: &[&str]| {
        let arguments = [&["status", "job", "--store", &store], arguments].concat();
        home.run_with(variables, &arguments).status
    };
    let right = home.write("right", &format!("{SECRET}\n"));
    let wrong = home.write("wrong", "wrong");
    let config = home.write("c.toml", &format!("password = {SECRET:?}\n"));
    assert_eq!(status(&[], &[]), 77);
    assert_eq!(status(&[("INCUMBENT_PASSWORD", SECRET)], &[]), 3);
    assert_eq!(status(&[("INCUMBENT_PASSWORD_FILE", &right)], &[]), 3);
    assert_eq!(status(&[], &["--password-file", &right]), 3);
    assert_eq!(status(&[], &["--config", &config]), 3);
    assert_eq!(
        status(
            &[("INCUMBENT_PASSWORD", SECRET)],
            &["--password-file", &wrong]
        ),
        77,
        "the flag is stronger"
    );
    assert_eq!(
        status(&[("INCUMBENT_PASSWORD", "wrong")], &["--config", &config]),
        77,
        "the environment is stronger"
    );
    assert_eq!(
        status(
            &[
                ("INCUMBENT_PASSWORD", SECRET),
                ("INCUMBENT_PASSWORD_FILE", &right)
            ],
            &[]
        ),
        78
    );
    let print = home.write("d.toml", &format!("password_cmd = \"cat {right}\"\n"));
    let no_command = ("INCUMBENT_PASSWORD_CMD", "");
    assert_eq!(status(&[no_command], &["--config", &print]), 3);
    let in_a_file = ("INCUMBENT_PASSWORD_FILE", &*right);
    assert_eq!(status(&[no_command, in_a_file], &[]), 3);
    let no_command = ["--password-cmd", "", "--password-file", &right];
    assert_eq!(status(&[], &no_command), 3);
    let empty = home.write("empty", "\n");
    assert_eq!(status(&[], &["--password-file", &empty]), 78);
    let url = [("INCUMBENT_STORE", &*server.url())];
    assert_eq!(home.run_with(&url, &["status", "job"]).status, 3);
}

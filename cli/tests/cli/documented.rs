//! Every command that the documentation shows for a Redis, run as it stands there.

use std::os::unix::fs::symlink;
use std::process::Command;

use super::home::{Ended, Home, leader, wait_until};
use crate::support::redis::RedisServer;

const DOCUMENTS: [&str; 3] = [
    include_str!("../../../README.md"),
    include_str!("../../../docs/redis.md"),
    include_str!("../../../docs/operations.md"),
];

/// The lines of all blocks of code in this language.
fn lines_of(language: &str) -> Vec<&'static str> {
    let fence = format!("```{language}");
    let mut lines = Vec::new();
    for document in DOCUMENTS {
        let mut inside = false;
        for line in document.lines() {
            match line {
                line if line == fence => inside = true,
                "```" => inside = false,
                line if inside => lines.push(line),
                _ => {}
            }
        }
    }
    lines
}

#[test]
fn every_documented_command_of_a_redis_is_one_of_this_server() {
    let server = RedisServer::start();
    let commands = lines_of("text");
    let commands = commands
        .iter()
        .filter(|line| line.starts_with(|first: char| first.is_ascii_uppercase()));
    let run = commands.map(|line| server.command(&line.split(' ').collect::<Vec<_>>()));
    assert!(run.count() >= 7);
    for (setting, value) in [
        ("maxmemory-policy", "noeviction"),
        ("min-replicas-to-write", "1"),
        ("min-replicas-max-lag", "1"),
    ] {
        let held = server.command(&["CONFIG", "GET", setting]);
        let held: Vec<String> = redis::from_redis_value(held).unwrap();
        assert_eq!(held, [setting, value]);
    }
}

/// `billing` is led, and `web-2` is its standby.
#[test]
fn every_documented_command_of_incumbent_does_on_this_server_what_it_is_shown_for() {
    let (home, server) = (Home::new(), RedisServer::start());
    std::fs::create_dir(home.path("bin")).unwrap();
    symlink(env!("CARGO_BIN_EXE_incumbent"), home.path("bin/incumbent")).unwrap();
    let url = server.url();
    let shell = |line: &str| {
        let line = line
            .replace("redis://redis.example", &url)
            .replace("/usr/bin/the-program", "true");
        let path = std::env::var("PATH").unwrap();
        let output = Command::new("sh")
            .args(["-c", &line])
            .env_clear()
            .env("HOME", home.path(""))
            .env("INCUMBENT_STORE", &url)
            .env("PATH", format!("{}:{path}", home.text_path("bin")))
            .output();
        Ended::from(output.unwrap())
    };
    let quick = ["--interval", "200ms", "--stall-polls", "20"];
    let program = leader(&home.path("led"));
    let ids = || {
        let list = shell("incumbent candidates billing -o json").json();
        let all = list["candidates"].as_array().unwrap().iter();
        all.map(|one| one["id"].as_str().unwrap().to_owned())
            .collect::<Vec<_>>()
    };
    let mut running = Vec::new();
    for (count, id) in (1..).zip(["web-1", "web-2"]) {
        let run = ["run", "billing", "--store", &url, "--id", id];
        let all = [&run[..], &quick, &["--", "sh", "-c", &program]].concat();
        running.push(home.start(&all));
        home.wait_for_lines("led", 1);
        wait_until("it campaigns", || ids().len() == count);
    }
    let (mut count, mut standby) = (0, "web-2");
    for line in lines_of("sh") {
        let Some(command) = line.strip_prefix("incumbent ") else {
            continue;
        };
        count += 1;
        let verb = command.split(' ').next().unwrap();
        let ended = match verb {
            // It goes on until it is interrupted.
            "watch" => shell(&format!("timeout --signal=INT 1 {line}")),
            // Both candidates are on this host, so the standby is named by its id.
            "resign" => {
                let to = ids()
                    .into_iter()
                    .find(|id| id.starts_with(standby))
                    .unwrap();
                standby = if standby == "web-2" { "web-1" } else { "web-2" };
                shell(&line.replace("web-2", &to))
            }
            _ => shell(line),
        };
        let expected: &[i32] = match verb {
            // Its leader is alive, and stays.
            "depose" => &[75],
            // There is one store, which keeps nothing on disk.
            "doctor" => &[0, 1],
            "watch" => &[0, 124],
            // Its program has ended by then.
            "status" if line.contains(" demo ") => &[3],
            _ => &[0],
        };
        assert!(expected.contains(&ended.status), "{line}: {ended:#?}");
    }
    assert!(count >= 10, "{count} commands");
}

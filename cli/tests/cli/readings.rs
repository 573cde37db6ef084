//! Empty, missing, unreachable, forbidden and unreadable: each reads differently, and ends differently.

use std::collections::BTreeSet;

use super::home::{Ended, Home};
use super::transcript::Transcript;
use crate::support::port::ClosedPort;
use crate::support::redis::RedisServer;

/// The commands that look, as an operator types them.
const LOOKS: [&str; 5] = [
    "status job",
    "list",
    "history job",
    "candidates job",
    "doctor job",
];

#[test]
fn what_is_empty_missing_unreachable_forbidden_or_unreadable_reads_differently() {
    let home = Home::new();
    let (empty, vacant, garbled) = (
        RedisServer::start(),
        RedisServer::start(),
        RedisServer::start(),
    );
    let run = [
        "run",
        "job",
        "--store",
        &vacant.url(),
        "--interval",
        "200ms",
    ];
    let ended = home.run(&[&run[..], &["--stop-grace", "100ms", "--", "true"]].concat());
    assert_eq!(ended.status, 0, "{ended:#?}");
    garbled.command(&["HSET", "{incumbent:job}:record", "term", "what"]);
    let (overwritten, foreign) = (RedisServer::start(), RedisServer::start());
    overwritten.command(&["SET", "incumbent:job", "what"]);
    foreign.command(&["SET", "incumbent:job", "7"]);
    let (paused, stalled) = (RedisServer::start(), RedisServer::start());
    let pause = [
        "pause",
        "job",
        "--store",
        &paused.url(),
        "--reason",
        "new disks",
    ];
    assert_eq!(home.run_with(&[("USER", "alice")], &pause).status, 0);
    leave_a_leader_that_stands_still(&stalled);
    let forbidden = RedisServer::settings().password("secret").start();
    let closed = ClosedPort::new();
    let nowhere = closed.url();
    let places = [
        ("Nothing was ever held there.", empty.url()),
        ("It was held, and is released.", vacant.url()),
        ("The server is not there.", nowhere),
        (
            "The server wants a password.",
            forbidden.url().replace(":secret@", ""),
        ),
        ("Somebody wrote into the record.", garbled.url()),
        ("Somebody wrote into the counter.", overwritten.url()),
        ("A program without incumbent holds it.", foreign.url()),
        ("An operator has paused it.", paused.url()),
        (
            "Its leader is dead, and there is no standby.",
            stalled.url(),
        ),
    ];
    let mut transcript = Transcript::default();
    let mut read: Vec<BTreeSet<String>> = vec![BTreeSet::new(); LOOKS.len()];
    for (what, url) in &places {
        transcript.say(what);
        for (look, read) in LOOKS.iter().zip(&mut read) {
            let words: Vec<&str> = look.split(' ').chain(["--store", url]).collect();
            let ended = home.run(&words);
            let mut ended = if look.starts_with("doctor") {
                about_the_store(ended)
            } else {
                ended
            };
            // The rest of this line is the server's own.
            let lines = ended.stdout.lines().map(|line| {
                let (ours, theirs) = line.split_once("NOAUTH ").unwrap_or((line, ""));
                format!("{ours}{}\n", if theirs.is_empty() { "" } else { "NOAUTH" })
            });
            ended.stdout = lines.collect();
            transcript.command(look, &ended);
            ended.stdout = ended.stdout.replace(url.as_str(), "");
            read.insert(format!("{} {}", ended.status, ended.stdout));
        }
    }
    for (look, read) in LOOKS.iter().zip(&read) {
        // A record that cannot be read spoils no history, and is in none that was written by hand; and
        // no one campaigns for what is released, held by a stranger, paused or abandoned.
        let alike = match *look {
            "history job" | "candidates job" => 4,
            // Neither what is empty nor what a stranger holds is in danger.
            "doctor job" => 1,
            _ => 0,
        };
        let expected = places.len() - alike;
        assert_eq!(read.len(), expected, "{look} reads alike: {read:#?}");
    }
    transcript.check("readings");
}

/// A record that was last written when no one had a Redis yet.
pub(crate) fn leave_a_leader_that_stands_still(server: &RedisServer) {
    let fields = "floor 7 term 7 beat 9 holder web-1:1 window_ns 5000000000 since 1 changed 2 \
                  identity web-1:1|web-1|4242|0.1.0";
    let mut record = vec!["HSET", "{incumbent:job}:record"];
    record.extend(fields.split(' '));
    server.command(&record);
    server.command(&["SET", "incumbent:job", "9"]);
}

/// The first danger that a doctor finds in what stores hold and allow. What it says of this machine, of the
/// server's settings and of how busy both are is left out.
fn about_the_store(ended: Ended) -> Ended {
    let mut dangers = ended.stdout.split("\ndanger: ").skip(1);
    let danger = dangers.find(|found| !found.contains("a request took"));
    let lines = danger.iter().flat_map(|found| found.lines().take(3));
    let danger: Vec<&str> = lines.collect();
    Ended {
        status: if danger.is_empty() { 0 } else { ended.status },
        stdout: match danger.join("\n") {
            nothing if nothing.is_empty() => nothing,
            found => format!("danger: {found}\n"),
        },
        stderr: ended.stderr,
    }
}

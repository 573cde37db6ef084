//! Empty, missing, unreachable, forbidden and unreadable: each reads differently, and ends differently.

use std::collections::BTreeSet;

use super::home::{Ended, Home};
use super::transcript::Transcript;
use crate::support::redis::{RedisServer, free_port};

/// The commands that look, in the words of an operator.
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
    let forbidden = RedisServer::settings().password("secret").start();
    let nowhere = format!("redis://127.0.0.1:{}", free_port());
    let places = [
        ("Nothing was ever held there.", empty.url()),
        ("It was held, and is released.", vacant.url()),
        ("The server is not there.", nowhere),
        (
            "The server wants a password.",
            forbidden.url().replace(":secret@", ""),
        ),
        ("Somebody wrote into the record.", garbled.url()),
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
                let (ours, theirs) = line.split_once("\"NOAUTH\": ").unwrap_or((line, ""));
                format!("{ours}{}\n", if theirs.is_empty() { "" } else { "NOAUTH" })
            });
            ended.stdout = lines.collect();
            transcript.command(look, &ended);
            ended.stdout = ended.stdout.replace(url.as_str(), "");
            read.insert(format!("{} {}", ended.status, ended.stdout));
        }
    }
    for (look, read) in LOOKS.iter().zip(&read) {
        // A record that cannot be read spoils no history, and nobody campaigns for what is released.
        let alike = ["history job", "candidates job"].contains(look);
        let expected = places.len() - usize::from(alike);
        assert_eq!(read.len(), expected, "{look} reads alike: {read:#?}");
    }
    transcript.check("readings");
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

//! `incumbent forget`: an election that no one uses is deleted, and one that anyone uses is not.

use rustix::process::Signal;
use serde_json::{Value, json};

use super::home::{Ended, Home, Running, leader, wait_until};
use super::hosts::Host;
use crate::support::redis::RedisServer;

struct Stores {
    home: Home,
    flags: Vec<String>,
    servers: Vec<RedisServer>,
}

impl Stores {
    /// The embedded store, or this number of Redises.
    fn new(redises: usize) -> Self {
        let servers: Vec<RedisServer> = (0..redises).map(|_| RedisServer::start()).collect();
        let urls = servers.iter().map(RedisServer::url);
        Self {
            home: Home::new(),
            flags: urls.flat_map(|url| ["--store".to_owned(), url]).collect(),
            servers,
        }
    }

    fn words<'a>(&'a self, words: &[&'a str], program: Option<&'a str>) -> Vec<&'a str> {
        let flags = self.flags.iter().map(String::as_str);
        let program = program.map(|text| ["--", "sh", "-c", text]);
        let words = words.iter().copied().chain(flags);
        words.chain(program.into_iter().flatten()).collect()
    }

    fn run(&self, words: &[&str]) -> Ended {
        self.home.run(&self.words(words, None))
    }

    fn leads(&self) -> Running {
        let program = leader(&self.home.path("led"));
        let before = self.home.lines("led").len();
        let running = self
            .home
            .start(&self.words(&["run", "job"], Some(&program)));
        self.home.wait_for_lines("led", before + 1);
        running
    }

    fn json(&self, command: &str) -> Value {
        self.run(&[command, "job", "-o", "json"]).json()
    }

    fn is_refused_because(&self, why: &str) {
        let before = self.json("history")["terms"].as_array().unwrap().len();
        self.run(&["forget", "job", "--yes"]).assert(75, why);
        assert_eq!(
            self.json("history")["terms"].as_array().unwrap().len(),
            before
        );
    }
}

#[test]
fn an_election_that_no_one_uses_is_forgotten_with_its_history_and_its_tokens_rise() {
    for redises in [0, 1, 3] {
        let stores = Stores::new(redises);
        let token = || {
            let program = "echo $INCUMBENT_FENCING_TOKEN >> ran";
            let ended = stores
                .home
                .run(&stores.words(&["run", "job"], Some(program)));
            assert_eq!(ended.status, 0, "{ended:#?}");
            stores
                .home
                .lines("ran")
                .last()
                .unwrap()
                .parse::<u64>()
                .unwrap()
        };
        let first = token();
        let asked = stores.run(&["forget", "job"]);
        asked.assert(64, "add --yes to do it");
        assert_eq!(stores.json("status")["state"], "vacant");
        let done = stores.run(&["forget", "job", "--yes"]);
        assert_eq!(
            (done.status, &*done.stdout),
            (
                0,
                "job: forgotten: the stores have no record and no history of it\n"
            )
        );
        assert_eq!(stores.json("status")["state"], "absent");
        assert_eq!(stores.json("history")["terms"], json!([]));
        assert_eq!(stores.run(&["list"]).stdout, "no elections yet\n");
        let again = stores.run(&["forget", "job", "--yes"]);
        again.assert(0, "");
        assert!(
            again.stdout.contains("there was nothing to forget"),
            "{again:#?}"
        );
        assert!(token() > first);
    }
}

#[test]
fn an_election_in_use_is_not_forgotten_and_it_is_said_what_to_do() {
    for redises in [0, 1, 3] {
        let stores = Stores::new(redises);
        let mut running = stores.leads();
        stores.is_refused_because("ask the leader to resign first");
        running.signal(Signal::TERM);
        assert_eq!(running.wait(), 0);
        stores.run(&["pause", "job"]).assert(0, "");
        stores.is_refused_because("resume it first");
        stores.run(&["resume", "job"]).assert(0, "");
        stores.run(&["forget", "job", "--yes"]).assert(0, "");
    }
}

#[test]
fn a_stalled_election_is_forgotten_once_it_is_deposed() {
    let stores = Stores::new(1);
    let program = leader(&stores.home.path("led"));
    let timing = [
        "--interval",
        "200ms",
        "--stall-polls",
        "15",
        "--stop-grace",
        "200ms",
    ];
    let run = [&["run", "job"], &timing[..]].concat();
    let host = Host::boot(&stores.home, "web-1", &stores.words(&run, Some(&program)));
    stores.home.wait_for_lines("led", 1);
    host.lose_power();
    wait_until("it stalls", || stores.json("status")["stalled"] == true);
    stores.is_refused_because("depose it if its heartbeat has stalled");
    let depose = [&["depose", "job", "--yes"], &timing[..]].concat();
    stores.run(&depose).assert(0, "");
    stores.run(&["forget", "job", "--yes"]).assert(0, "");
    assert_eq!(stores.json("status")["state"], "absent");
}

#[test]
fn a_store_that_is_down_is_named_and_two_of_three_are_needed() {
    let mut stores = Stores::new(3);
    let ended = stores
        .home
        .run(&stores.words(&["run", "job"], Some("true")));
    assert_eq!(ended.status, 0, "{ended:#?}");
    stores.servers[0].kill();
    let done = stores.run(&["forget", "job", "--yes"]);
    done.assert(0, "");
    assert!(done.stdout.contains("not taken by a minority"), "{done:#?}");
    stores.servers[1].kill();
    stores
        .run(&["forget", "job", "--yes"])
        .assert(69, "can be read");
    stores.servers[0].start_again();
    stores.servers[1].start_again();
    // What the first was down for is done now.
    stores.run(&["forget", "job", "--yes"]).assert(0, "");
    assert_eq!(stores.run(&["list"]).stdout, "no elections yet\n");
}

#[test]
fn a_store_that_does_not_exist_has_nothing_to_forget() {
    let home = Home::new();
    home.run(&["forget", "job", "--yes"])
        .assert(3, "does not exist");
    home.run(&["forget", "{", "--yes"]).assert(64, "");
}

//! A night of an operator with three hosts: a deploy, a moved leader, a restart of Redis, a dead host and a
//! paused election. Everything that is known is known from the commands, and what they printed is kept in
//! `tests/cli/night/`.

use std::collections::BTreeSet;

use serde_json::Value;

use super::home::{Ended, Home, wait_until};
use super::hosts::Host;
use super::transcript::Transcript;
use crate::support::redis::RedisServer;

/// No one misses a deadline when the machine stalls for a second, or for three.
const SERVICE: [&str; 9] = [
    "run",
    "billing",
    "--stall-polls",
    "8",
    "--",
    "sh",
    "-c",
    "trap 'exit 0' TERM; while :; do sleep 0.05; done",
    "billing-program",
];

struct Night {
    home: Home,
    server: RedisServer,
    transcript: Transcript,
}

impl Night {
    /// Runs a command at the operator's desk.
    fn run(&self, words: &str) -> Ended {
        let incumbent = env!("CARGO_BIN_EXE_incumbent");
        let mut desk = self.home.command::<&str>(&[]);
        let mut unshare = std::process::Command::new("unshare");
        unshare.env_clear().envs(
            desk.get_envs()
                .map(|(name, value)| (name.to_owned(), value.unwrap().to_owned())),
        );
        unshare
            .args(["--uts", "sh", "-c", "hostname desk; exec \"$@\"", "desk"])
            .arg(incumbent)
            .args(words_of(words))
            .env("LOGNAME", "ops")
            .env("INCUMBENT_STORE", self.server.url())
            .env("INCUMBENT_STALL_POLLS", "8");
        desk = unshare;
        Ended::from(desk.output().unwrap())
    }

    /// Runs a command and keeps what it printed.
    fn order(&mut self, words: &str) -> Ended {
        let ended = self.run(words);
        self.transcript.command(words, &ended);
        ended
    }

    fn boot(&self, name: &'static str) -> Host {
        let url = self.server.url();
        let (run, rest) = SERVICE.split_at(2);
        let service = [run, &["--store", &url], rest].concat();
        Host::boot(&self.home, name, &service)
    }

    fn status(&self) -> Value {
        self.run("status billing -o json").json()
    }

    /// Waits until this host leads, and acts.
    fn led_by(&self, host: &str) {
        wait_until(&format!("{host} leads"), || {
            let status = self.status();
            status["holder"]["host"] == host && status["unproven"] == false
        });
    }

    /// Waits until just these hosts campaign, each with one candidate that is alive.
    fn campaigning(&self, hosts: &[&str]) {
        wait_until(&format!("{hosts:?} campaign"), || {
            let listed = self.candidates();
            let mut found: Vec<&str> = listed
                .iter()
                // A dead one is listed for two windows, and was not seen for one when it is replaced.
                .filter(|one| one["seen_ago_ms"].as_u64().unwrap() < 5000)
                .map(|one| one["host"].as_str().unwrap())
                .collect();
            found.sort_unstable();
            found == hosts && listed.len() == hosts.len()
        });
    }

    /// Waits until the last of the dead is listed no more.
    fn nobody_campaigns(&self) {
        wait_until("no one campaigns", || self.candidates().is_empty());
    }

    /// Restarts the service of a host, and waits until another candidate has replaced the old one.
    fn restart(&self, host: &Host) {
        let ids = || {
            let listed = self.candidates();
            let ids = listed.iter().map(|one| one["id"].to_string());
            ids.collect::<BTreeSet<String>>()
        };
        let before = ids();
        host.restart_the_service();
        wait_until("the candidate is another", || {
            let now = ids();
            now.len() == before.len() && now != before
        });
    }

    fn candidates(&self) -> Vec<Value> {
        let listed = self.run("candidates billing -o json").json();
        listed["candidates"].as_array().unwrap().clone()
    }
}

/// The words of a command, as a shell would have them.
fn words_of(words: &str) -> Vec<String> {
    let mut all = Vec::new();
    for (at, part) in words.split('"').enumerate() {
        if at % 2 == 1 {
            all.push(part.to_owned());
        } else {
            all.extend(part.split_whitespace().map(str::to_owned));
        }
    }
    all
}

#[test]
fn a_night_of_three_hosts_is_operated_by_the_commands_alone() {
    let mut night = Night {
        home: Home::new(),
        server: RedisServer::settings().durable().start(),
        transcript: Transcript::default(),
    };

    night.transcript.say("An empty Redis.");
    night.order("list");
    night.order("status billing");
    night.order("history billing");
    night.order("candidates billing");
    night.order("resign billing");
    night.transcript.say("Three hosts boot, web-1 first.");
    let web_1 = night.boot("web-1");
    night.led_by("web-1");
    let web_2 = night.boot("web-2");
    let web_3 = night.boot("web-3");
    let all = [web_1.name(), web_2.name(), web_3.name()];
    night.campaigning(&all);
    night.order("list");
    night.order("status billing");
    night.order("candidates billing");
    night.transcript.check("night/1-evening");

    night.transcript.say(
        "A deploy: the standbys are restarted, then the leader is moved, then web-1 is restarted.",
    );
    let before = night.status()["term"].clone();
    night.restart(&web_2);
    night.restart(&web_3);
    assert_eq!(night.status()["term"], before, "the leader has stayed");
    night.order("candidates billing");
    night.order("resign billing --to web-4 --wait");
    night.order("resign billing --to web-2 --wait");
    night.led_by("web-2");
    night.restart(&web_1);
    night.campaigning(&all);
    night.order("candidates billing");
    night.order("history billing");
    night.transcript.check("night/2-deploy");

    night.transcript.say("The leader is moved on to web-3.");
    night.order("resign billing --to web-3 --wait");
    night.led_by("web-3");
    night.campaigning(&all);
    night.order("status billing");
    night.transcript.check("night/3-moved");

    night
        .transcript
        .say("Redis is restarted, while the election is paused.");
    night.order("pause billing --reason \"Redis is restarted\" --for 1h");
    night.server.restart();
    let term = night.status()["term"].clone();
    let beat = night.status()["beat"].as_u64().unwrap();
    wait_until("the leader beats on", || {
        night.status()["beat"].as_u64().unwrap() > beat + 1
    });
    assert_eq!(night.status()["term"], term, "no one else leads");
    night.campaigning(&all);
    night.order("list");
    night.order("status billing");
    night.order("resume billing");
    night.order("resume billing");
    night.transcript.check("night/4-redis");

    night
        .transcript
        .say("web-1 is shut down for new disks. Then web-3, which leads, loses power.");
    web_1.shut_down();
    night.campaigning(&["web-2", "web-3"]);
    web_3.lose_power();
    night.order("depose billing");
    night.led_by("web-2");
    night.order("history billing -n 2");
    night.transcript.say("Both are back.");
    let web_1 = night.boot("web-1");
    let web_3 = night.boot("web-3");
    night.campaigning(&all);
    night.order("candidates billing");
    night.transcript.check("night/5-dead-host");

    night
        .transcript
        .say("The election is paused, and then its leader dies.");
    night.order("pause billing --reason \"the network of the racks\"");
    night.order("depose billing --yes");
    web_3.shut_down();
    night.campaigning(&["web-1", "web-2"]);
    web_2.lose_power();
    wait_until("the leader has stalled for its window", || {
        night.status()["stalled"] == true
    });
    night.order("status billing");
    night.order("list");
    let doctor = night.run("doctor billing");
    let about = doctor.stdout.split("danger: ");
    let about: Vec<&str> = about.filter(|found| found.contains("paused by")).collect();
    assert_eq!((doctor.status, about.len()), (2, 1), "{doctor:#?}");
    night.order("resign billing --to web-1");
    night.order("resume billing");
    night.led_by("web-1");
    night.order("history billing");
    night
        .transcript
        .say("The host that leads is shut down: no one is left.");
    web_1.shut_down();
    night.nobody_campaigns();
    night.order("status billing");
    night.order("candidates billing");
    night.order("resign billing");
    night.order("depose billing --yes");
    night.transcript.check("night/6-paused");
}

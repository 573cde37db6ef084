//! What an operator orders: `resign`, `pause`, `resume` and `depose`, with real processes.

use std::fs;

use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;

use super::home::{Home, Running, leader, wait_until};
use crate::support::redis::RedisServer;

const WINDOW_MS: u64 = 1200;

fn run<'a>(url: &'a str, id: &'a str, program: &'a str) -> Vec<&'a str> {
    let mut run = vec!["run", "job", "--store", url, "--id", id];
    run.extend([
        "--interval",
        "200ms",
        "--stall-polls",
        "6",
        "--stop-grace",
        "50ms",
    ]);
    run.extend(["--", "sh", "-c", program]);
    run
}

/// A Redis, and candidates of these names, the first of which leads.
struct Fleet {
    home: Home,
    url: String,
    running: Vec<Running>,
    _server: RedisServer,
}

impl Fleet {
    fn start(names: &[&str]) -> Self {
        let (home, server) = (Home::new(), RedisServer::start());
        let url = server.url();
        let program = leader(&home.path("led"));
        let mut fleet = Self {
            home,
            url,
            running: Vec::new(),
            _server: server,
        };
        for (count, name) in (1..).zip(names) {
            let running = fleet.home.start(&run(&fleet.url, name, &program));
            fleet.running.push(running);
            fleet.home.wait_for_lines("led", 1);
            wait_until("all campaign", || fleet.candidates().len() == count);
        }
        fleet
    }

    fn order(&self, arguments: &[&str]) -> super::home::Ended {
        let mut all = vec![arguments[0], "job", "--store", &self.url];
        all.extend(&arguments[1..]);
        self.home.run(&all)
    }

    fn status(&self) -> Value {
        self.order(&["status", "-o", "json"]).json()
    }

    fn candidates(&self) -> Vec<String> {
        let status = self.status();
        let all = status["candidates"].as_array().unwrap();
        all.iter()
            .map(|one| one["id"].as_str().unwrap().to_owned())
            .collect()
    }

    fn id_of(&self, name: &str) -> String {
        let prefix = format!("{name}:");
        let mut all = self.candidates().into_iter();
        all.find(|id| id.starts_with(&prefix)).unwrap()
    }

    /// Takes everything of the first candidate away at once, as if its host had lost power.
    fn lose_the_host_of_the_first(&mut self) {
        let mut first = self.running.remove(0);
        let elector = first.pid();
        first.signal(Signal::STOP);
        for child in children_of(elector) {
            kill_process(Pid::from_raw(child).unwrap(), Signal::KILL).unwrap();
        }
        first.signal(Signal::KILL);
        first.wait_killed();
    }
}

fn children_of(pid: u32) -> Vec<i32> {
    let listed = fs::read_to_string(format!("/proc/{pid}/task/{pid}/children")).unwrap();
    let pids = listed.split_whitespace();
    pids.map(|pid| pid.parse().unwrap()).collect()
}

fn is_led_by(status: &Value, name: &str) -> bool {
    let prefix = format!("{name}:");
    let holder = status["holder"]["id"].as_str();
    holder.is_some_and(|id| id.starts_with(&prefix))
}

#[test]
fn a_leader_is_moved_to_the_candidate_that_is_named_and_stands_by_again() {
    let fleet = Fleet::start(&["a", "b", "c"]);
    let to = fleet.id_of("c");
    let moved = fleet.order(&["resign", "--to", &to, "--wait", "-o", "json"]);
    assert_eq!(moved.status, 0, "{moved:#?}");
    let json = moved.json();
    assert_eq!(json["schema"], "incumbent.order.v1");
    assert_eq!(json["leader"]["id"], to.as_str());
    assert!(is_led_by(&fleet.status(), "c"));
    let tokens: Vec<u64> = fleet
        .home
        .wait_for_lines("led", 2)
        .iter()
        .map(|line| line.parse().unwrap())
        .collect();
    assert!(tokens[0] < tokens[1], "{tokens:?}");
    assert_eq!(json["term"], tokens[0]);
    // The one that resigned has not ended: it campaigns under a new id.
    wait_until("a stands by again", || fleet.candidates().len() == 3);
    let told = fleet.order(&["history"]);
    assert!(
        told.stdout
            .contains("an operator asked its leader to resign")
            && told.stdout.contains("asked-to-resign"),
        "{told:#?}"
    );
    // By its host anybody may be meant who runs there; here it is all of them.
    let host = fleet.status()["holder"]["host"]
        .as_str()
        .unwrap()
        .to_owned();
    let moved = fleet.order(&["resign", "--to", &host, "--wait"]);
    assert_eq!(moved.status, 0, "{moved:#?}");
    assert!(moved.stdout.contains(" leads"), "{moved:#?}");
}

#[test]
fn who_cannot_lead_next_is_refused_with_the_names_of_those_who_can() {
    let fleet = Fleet::start(&["a", "b"]);
    let refused = fleet.order(&["resign", "--to", "elsewhere"]);
    refused.assert(64, "no standby of election \"job\" is \"elsewhere\"");
    assert!(refused.stderr.contains(&fleet.id_of("b")), "{refused:#?}");
    fleet
        .order(&["resign", "--to", &fleet.id_of("a")])
        .assert(64, "no standby");
    assert!(is_led_by(&fleet.status(), "a"));
    let alive = fleet.order(&["depose", "--yes"]);
    alive.assert(75, "its holder is alive");
    fleet.order(&["depose"]).assert(64, "say --yes");
    assert!(is_led_by(&fleet.status(), "a"));
}

#[test]
fn orders_about_an_election_that_nobody_leads_say_so() {
    let (home, server) = (Home::new(), RedisServer::start());
    let url = server.url();
    for words in [
        vec!["resign"],
        vec!["depose", "--yes"],
        vec!["depose", "--yes", "--unsafe-now"],
    ] {
        let mut all = vec![words[0], "job", "--store", &url];
        all.extend(&words[1..]);
        home.run(&all)
            .assert(3, "nobody leads election \"job\": it is absent");
    }
    home.run(&["pause", "job", "--store", &url, "--for", "soon"])
        .assert(64, "--for \"soon\"");
    home.run(&["pause", "job", "--store", "redis://127.0.0.1:1/"])
        .assert(69, "0 of the 1 stores needed took the order");
}

#[test]
fn while_paused_a_dead_host_is_replaced_by_nobody_and_after_it_at_once() {
    let mut fleet = Fleet::start(&["a", "b"]);
    let paused = fleet.order(&["pause", "--reason", "new disks", "--for", "1h"]);
    assert_eq!(paused.status, 0, "{paused:#?}");
    assert!(paused.stdout.contains(": new disks"), "{paused:#?}");
    let status = fleet.status();
    assert_eq!(status["paused"]["reason"], "new disks");
    assert!(is_led_by(&status, "a"), "whoever leads goes on");
    let listed = fleet.home.run(&["list", "--store", &fleet.url]);
    assert!(listed.stdout.contains("held, paused"), "{listed:#?}");

    fleet.lose_the_host_of_the_first();
    wait_until("the record has stood still for three windows", || {
        let ago = fleet.status()["changed_ago_ms"].as_u64().unwrap();
        ago > 3 * WINDOW_MS
    });
    assert!(is_led_by(&fleet.status(), "a"));
    assert_eq!(fleet.home.lines("led").len(), 1, "nobody has taken over");
    assert_eq!(fleet.order(&["resume"]).status, 0);
    fleet.home.wait_for_lines("led", 2);
    assert!(is_led_by(&fleet.status(), "b"));
    assert_eq!(fleet.status()["paused"], Value::Null);
}

#[test]
fn a_campaign_that_does_not_wait_says_that_the_election_is_paused() {
    let (home, server) = (Home::new(), RedisServer::start());
    let url = server.url();
    let paused = home.run(&["pause", "job", "--store", &url, "--reason", "new disks"]);
    assert_eq!(paused.status, 0, "{paused:#?}");
    let told = home.run(&["run", "job", "--store", &url, "--no-wait", "--", "true"]);
    told.assert(75, "is paused by ");
    assert!(
        told.stderr.contains("until it is resumed: new disks"),
        "{told:#?}"
    );
    let resumed = home.run(&["resume", "job", "--store", &url]);
    assert!(
        resumed.stdout.contains("not paused any more"),
        "{resumed:#?}"
    );
    let again = home.run(&["resume", "job", "--store", &url]);
    assert!(again.stdout.contains("was not paused"), "{again:#?}");
}

#[test]
fn a_holder_that_stands_still_is_deposed_after_its_window() {
    let mut fleet = Fleet::start(&["a"]);
    fleet.lose_the_host_of_the_first();
    let asked = fleet.order(&[
        "depose",
        "--yes",
        "--interval",
        "200ms",
        "--stop-grace",
        "50ms",
    ]);
    assert_eq!(asked.status, 0, "{asked:#?}");
    let status = fleet.status();
    assert_eq!(status["state"], "vacant");
    let told = fleet.order(&["history"]);
    assert!(
        told.stdout.contains("an operator deposed its leader"),
        "{told:#?}"
    );
}

#[test]
fn a_leader_that_is_deposed_at_once_stops_its_program() {
    let mut fleet = Fleet::start(&["a"]);
    let asked = fleet.order(&["depose", "--yes", "--unsafe-now"]);
    assert_eq!(asked.status, 0, "{asked:#?}");
    assert!(
        asked.stdout.contains("may act beside the next one"),
        "{asked:#?}"
    );
    assert_eq!(fleet.running[0].wait(), 124);
}

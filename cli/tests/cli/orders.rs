//! What an operator orders: `resign`, `pause`, `resume` and `depose`, with real processes.

mod stores;

use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;

use super::home::{Ended, Home, Running, leader, wait_until};
use super::hosts::children_of;
use crate::support::redis::RedisServer;

/// The named candidate has a window to arrive, and may be late by a second or two on a busy machine.
const WINDOW_MS: u64 = 4000;

/// Redises, and candidates of these names, the first of which leads.
struct Fleet {
    stores: Vec<String>,
    running: Vec<Running>,
    servers: Vec<RedisServer>,
    home: Home,
}

impl Fleet {
    fn start(names: &[&str]) -> Self {
        Self::on(1, names)
    }

    fn on(stores: usize, names: &[&str]) -> Self {
        let home = Home::new();
        let program = leader(&home.path("led"));
        let mut fleet = Self::standing_by(stores, home);
        for (count, name) in (1..).zip(names) {
            fleet.add(name, &program);
            fleet.home.wait_for_lines("led", 1);
            wait_until("all campaign", || fleet.candidates().len() == count);
        }
        fleet
    }

    fn standing_by(stores: usize, home: Home) -> Self {
        let servers: Vec<RedisServer> = (0..stores).map(|_| RedisServer::start()).collect();
        Self {
            home,
            stores: servers
                .iter()
                .flat_map(|server| ["--store".to_owned(), server.url()])
                .collect(),
            running: Vec::new(),
            servers,
        }
    }

    /// Starts one more candidate.
    fn add(&mut self, name: &str, program: &str) {
        let mut run = vec!["run", "job", "--id", name, "--interval", "200ms"];
        run.extend(["--stall-polls", "20", "--stop-grace", "50ms"]);
        run.extend(self.stores.iter().map(String::as_str));
        run.extend(["--", "sh", "-c", program]);
        self.running.push(self.home.start(&run));
    }

    fn order(&self, arguments: &[&str]) -> Ended {
        let mut all = vec![arguments[0], "job"];
        all.extend(self.stores.iter().map(String::as_str));
        all.extend(&arguments[1..]);
        self.home.run(&all)
    }

    /// Deposes the leader, again when a heartbeat came between the look and the order.
    fn depose_at_once(&self, more: &[&str]) -> Ended {
        let order = [&["depose", "--yes", "--unsafe-now"], more].concat();
        let mut ended = self.order(&order);
        wait_until("no heartbeat came between", || {
            let overtaken = ended.stderr.contains("the record has changed meanwhile");
            if overtaken {
                ended.assert(69, "refused");
                ended = self.order(&order);
            }
            !overtaken
        });
        ended
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
            .contains("an operator asked the leader to resign")
            && told.stdout.contains("asked-to-resign"),
        "{told:#?}"
    );
    // By its host anyone may be meant who runs there; here it is all of them.
    let host = fleet.status()["holder"]["host"]
        .as_str()
        .unwrap()
        .to_owned();
    let moved = fleet.order(&["resign", "--to", &host, "--wait"]);
    assert_eq!(moved.status, 0, "{moved:#?}");
    assert!(moved.stdout.contains(" leads"), "{moved:#?}");
}

#[test]
fn a_label_names_the_standby_that_has_it_unless_several_have() {
    let fleet = Fleet::start(&["a", "b", "twin", "twin"]);
    let twins = fleet.candidates();
    let twins = twins.iter().filter(|id| id.starts_with("twin:"));
    let refused = fleet.order(&["resign", "--to", "twin"]);
    refused.assert(64, "\"twin\" names 2 standbys of election \"job\"");
    for id in twins {
        assert!(refused.stderr.contains(id.as_str()), "{refused:#?}");
    }
    let itself = fleet.order(&["resign", "--to", "a"]);
    itself.assert(64, "leads already");
    for look in ["status", "candidates"] {
        let table = fleet.order(&[look]).stdout;
        let id = fleet.id_of("b");
        let of_b = table.lines().find(|line| line.contains(&id)).unwrap();
        assert!(
            table.contains("LABEL") && of_b.split_whitespace().any(|word| word == "b"),
            "{table}"
        );
    }
    let moved = fleet.order(&["resign", "--to", "b", "--wait"]);
    assert_eq!(moved.status, 0, "{moved:#?}");
    assert!(is_led_by(&fleet.status(), "b"));
}

#[test]
fn who_cannot_lead_next_is_refused_with_the_names_of_those_who_can() {
    let fleet = Fleet::start(&["a", "b"]);
    let refused = fleet.order(&["resign", "--to", "elsewhere"]);
    refused.assert(64, "no standby of election \"job\" is \"elsewhere\"");
    assert!(refused.stderr.contains(&fleet.id_of("b")), "{refused:#?}");
    fleet
        .order(&["resign", "--to", &fleet.id_of("a")])
        .assert(64, "leads already");
    assert!(is_led_by(&fleet.status(), "a"));
    let alive = fleet.order(&["depose", "--yes"]);
    alive.assert(75, "its holder is alive");
    fleet.order(&["depose"]).assert(64, "add --yes");
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
            .assert(3, "no one leads election \"job\": it is absent");
    }
    home.run(&["pause", "job", "--store", &url, "--for", "soon"])
        .assert(64, "--for \"soon\"");
    for order in ["pause", "resume", "resign", "depose"] {
        home.run(&[order, "job", "--store", &url, "--stall-polls", "1"])
            .assert(78, "does not hold");
        home.run(&[order, "a{b", "--store", &url])
            .assert(64, "braces are not allowed");
    }
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
    assert!(is_led_by(&status, "a"), "the leader keeps leading");
    let listed = fleet.home.run(&["list", "--store", &fleet.stores[1]]);
    assert!(listed.stdout.contains("held, paused"), "{listed:#?}");

    fleet.lose_the_host_of_the_first();
    wait_until("the record has stalled for two windows", || {
        let ago = fleet.status()["changed_ago_ms"].as_u64().unwrap();
        ago > 2 * WINDOW_MS
    });
    assert!(is_led_by(&fleet.status(), "a"));
    assert_eq!(fleet.home.lines("led").len(), 1, "no one has taken over");
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
fn a_resignation_that_nobody_would_follow_is_refused_or_told() {
    let fleet = Fleet::start(&["a"]);
    assert_eq!(fleet.order(&["pause", "--reason", "new disks"]).status, 0);
    let refused = fleet.order(&["resign"]);
    refused.assert(75, "is paused by ");
    refused.assert(75, "; `incumbent resume job --store ");
    assert!(fleet.status()["handover"].is_null(), "no one was asked");
    let late = fleet.order(&["resign", "--anyway", "--wait-timeout", "6s"]);
    late.assert(75, "no one leads: the election is paused by ");
    late.assert(
        75,
        "warning: there is no standby: the same candidate leads again",
    );
    assert_eq!(fleet.order(&["resume"]).status, 0);
    fleet.home.wait_for_lines("led", 2);
    assert!(is_led_by(&fleet.status(), "a"));
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
    let asked = fleet.depose_at_once(&[]);
    assert_eq!(asked.status, 0, "{asked:#?}");
    assert!(
        asked.stdout.contains("may act beside the next one"),
        "{asked:#?}"
    );
    assert_eq!(fleet.running[0].wait(), 124);
}

#[test]
fn a_gap_that_nobody_lived_to_tell_is_told_as_the_most_that_it_can_have_been() {
    let mut fleet = Fleet::start(&["a", "b"]);
    assert_eq!(fleet.order(&["pause"]).status, 0);
    fleet.lose_the_host_of_the_first();
    let moved = std::thread::scope(|scope| {
        let asked = scope.spawn(|| fleet.order(&["resign", "--wait", "--anyway", "-o", "json"]));
        wait_until("the leader was asked", || {
            !fleet.status()["handover"].is_null()
        });
        assert_eq!(fleet.order(&["resume"]).status, 0);
        asked.join().unwrap()
    });
    assert_eq!(moved.status, 0, "{moved:#?}");
    let json = moved.json();
    assert_eq!(json["leader"]["id"], fleet.id_of("b").as_str());
    // From the last heartbeat of the one that died: no one takes over before a window has passed.
    assert!(json["gap_ms"].as_u64().unwrap() >= 1000, "{json}");
    assert_eq!(json["gap_at_most"], true);
}

#[test]
fn a_handover_is_shown_for_as_long_as_the_leader_takes_to_stop() {
    let (home, led) = (Home::new(), "led");
    let stubborn = format!(
        "trap '' TERM; echo $INCUMBENT_FENCING_TOKEN >> {}; while [ ! -e {} ]; do sleep 0.05; done",
        home.path(led).display(),
        home.path("enough").display()
    );
    let mut fleet = Fleet::standing_by(1, home);
    fleet.add("a", &stubborn);
    let token = fleet.home.wait_for_lines(led, 1).remove(0);
    fleet.add("b", &stubborn);
    wait_until("both campaign", || fleet.candidates().len() == 2);
    let to = fleet.id_of("b");
    let mut watching = fleet.home.start_printing(
        "watched",
        &[
            "watch",
            "job",
            "--store",
            &fleet.stores[1],
            "--interval",
            "50ms",
        ],
    );
    let asked = fleet.order(&["resign", "--to", &to]);
    assert_eq!(
        asked.stdout,
        format!(
            "job: the leader of term {token} was asked to resign, and {to} is preferred after it\n"
        )
    );
    let status = fleet.order(&["status"]);
    let line = format!("  handover   to {to}, after term {token}\n");
    assert!(status.stdout.contains(&line), "{status:#?}");
    let handover = &fleet.status()["handover"];
    assert_eq!(handover["to_candidate"], to.as_str());
    assert_eq!(handover["to_host"], Value::Null);
    assert_eq!(handover["term"].to_string(), token);
    wait_until("watch reports it", || {
        let told = fleet.home.lines("watched");
        told.iter()
            .any(|line| line.ends_with(&format!(", handing over to {to}")))
    });
    let late = fleet.order(&["resign", "--wait-timeout", "300ms"]);
    late.assert(75, "and after 300ms its work has not ended yet");
    fleet.home.write("enough", "");
    fleet.home.wait_for_lines(led, 2);
    watching.signal(Signal::TERM);
    assert_eq!(watching.wait(), 0);
    assert_eq!(fleet.status()["handover"], Value::Null);
}

/// The next leader may fail at once: then there was more than one gap, and the one asked may lead again.
#[test]
fn a_successor_that_does_not_last_is_told_and_its_gap_is_none() {
    let home = Home::new();
    let brisk = ["--interval", "200ms", "--stop-grace", "100ms"];
    let run = |options: &[&str], program: &[&str]| {
        let run = [&["run", "job"], &brisk[..], options, &["--"], program].concat();
        home.start(&run)
    };
    let first = run(&["--id", "first", "--restart"], &["sleep", "1000"]);
    first.wait_said("elected");
    let second = run(&["--id", "second"], &["false"]);
    second.wait_said("standing by");
    let moved = home.run(&["resign", "job", "--wait"]);
    assert_eq!(moved.status, 0, "{moved:#?}");
    // It may have been seen in the moment in which it led; then no one else has led in between.
    if moved.stdout.contains("second:") {
        assert!(!moved.stdout.contains("did not last"), "{moved:#?}");
        return;
    }
    assert!(
        moved.stdout.contains("; 1 elected before it did not last"),
        "{moved:#?}"
    );
    let leads = moved.stdout.contains("first:");
    assert!(
        leads && !moved.stdout.contains("without a leader"),
        "{moved:#?}"
    );
}

#[test]
fn who_may_not_write_cannot_order() {
    let (home, server) = (Home::new(), RedisServer::start());
    server.command(&[
        "ACL", "SETUSER", "reader", "on", ">pw", "~*", "&*", "+@all", "-hset", "-hdel",
    ]);
    let url = format!("redis://reader:pw@127.0.0.1:{}", server.port());
    let refused = home.run(&["pause", "job", "--store", &url]);
    refused.assert(77, "refuses access");
    refused.assert(77, "tries each permission for real");
    let wrong = format!("redis://reader:no@127.0.0.1:{}", server.port());
    for order in ["pause", "resume", "resign"] {
        let refused = home.run(&[order, "job", "--store", &wrong]);
        assert_eq!(refused.status, 77, "{order}: {refused:#?}");
        assert_eq!(refused.stdout, "");
        assert!(!refused.stderr.contains("reader:no"), "{refused:#?}");
        refused.assert(77, "tries each permission for real");
    }
}

#[test]
fn a_resignation_that_nobody_would_hear_of_says_so() {
    let (home, server) = (Home::new(), RedisServer::start());
    let url = server.url();
    super::readings::leave_a_leader_that_stands_still(&server);
    let resign = ["resign", "job", "--store", &url];
    let asked = home.run(&resign);
    asked.assert(0, "the leader has stalled for longer than its window");
    let depose = format!("`incumbent depose job --yes --store {url}` vacates what it has left");
    asked.assert(0, &depose);
    let waits = home.run(&[&resign[..], &["--wait-timeout", "100ms"]].concat());
    waits.assert(
        75,
        "it has not received the order: its heartbeat has stalled",
    );
    server.command(&["SET", "incumbent:job", "7"]);
    let foreign = home.run(&resign);
    foreign.assert(
        3,
        "it is foreign, held by a program that speaks only the bare protocol",
    );
    // Without a standby there is no one to name, and the error says only that.
    let fleet = Fleet::start(&["a"]);
    let named = fleet.order(&["resign", "--to", "web-2"]);
    named.assert(64, "\"web-2\": it has no standby");
    assert!(!named.stderr.contains("warning"), "{named:#?}");
}

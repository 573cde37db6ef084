//! `incumbent once`: one run per tick over all hosts, whatever befalls the host that runs it.

use rustix::process::Signal;
use serde_json::Value;

use super::home::{Ended, Home, Running, leader, wait_until};
use super::hosts::Host;
use crate::support::redis::RedisServer;

/// A window of 3 s: a host that died is replaced within 4 s.
const TIMING: [&str; 6] = [
    "--interval",
    "500ms",
    "--stall-polls",
    "6",
    "--stop-grace",
    "200ms",
];
const SHORT: &str = "5s";
/// Longer than any test takes.
const LONG: &str = "1h";

struct Job {
    home: Home,
    stores: Vec<String>,
    _servers: Vec<RedisServer>,
}

impl Job {
    /// In an embedded store, or on this number of Redises.
    fn on(redises: usize) -> Self {
        let servers: Vec<RedisServer> = (0..redises).map(|_| RedisServer::start()).collect();
        let stores = servers
            .iter()
            .flat_map(|server| ["--store".to_owned(), server.url()]);
        Self {
            home: Home::new(),
            stores: stores.collect(),
            _servers: servers,
        }
    }

    fn words<'a>(&'a self, at_least: &'a str, more: &[&'a str], program: &'a str) -> Vec<&'a str> {
        let mut words = vec!["once", "job", "--at-least", at_least];
        words.extend(TIMING);
        words.extend(self.stores.iter().map(String::as_str));
        words.extend(more);
        words.extend(["--", "sh", "-c", program]);
        words
    }

    fn once(&self, at_least: &str, more: &[&str], program: &str) -> Ended {
        self.home.run(&self.words(at_least, more, program))
    }

    fn start(&self, at_least: &str, program: &str) -> Running {
        self.home.start(&self.words(at_least, &[], program))
    }

    fn status(&self) -> Value {
        let mut words = vec!["status", "job", "-o", "json"];
        words.extend(self.stores.iter().map(String::as_str));
        self.home.run(&words).json()
    }

    /// When the pause in force ends, by the clock of the stores.
    fn paused_until(&self) -> Option<u64> {
        self.status()["paused"]["until_ms"].as_u64()
    }

    /// Starts it again and again, as cron does, until it has run, and returns the token of that run.
    fn until_it_runs(&self, at_least: &str) -> u64 {
        let before = self.home.lines("ran").len();
        wait_until("it runs again", || {
            let ended = self.once(at_least, &[], RAN);
            assert_eq!(ended.status, 0, "{ended:#?}");
            self.home.lines("ran").len() > before
        });
        self.home.lines("ran")[before].parse().unwrap()
    }
}

const RAN: &str = "echo $INCUMBENT_FENCING_TOKEN >> ran";

#[test]
fn five_hosts_that_start_it_at_the_same_tick_run_it_once() {
    for redises in [0, 1, 3] {
        let job = Job::on(redises);
        let mut hosts: Vec<Running> = (0..5).map(|_| job.start(LONG, RAN)).collect();
        for host in &mut hosts {
            assert_eq!(host.wait(), 0);
        }
        assert_eq!(job.home.lines("ran").len(), 1, "{redises}");
    }
}

/// The clocks of the hosts differ: each starts it when the run before is over already.
#[test]
fn hosts_that_start_it_late_in_the_tick_skip_it() {
    for redises in [0, 1] {
        let job = Job::on(redises);
        for host in 0..3 {
            let ended = job.once(LONG, &["--skip-status", "9"], RAN);
            assert_eq!(ended.status, if host == 0 { 0 } else { 9 }, "{ended:#?}");
        }
        job.once(LONG, &[], RAN)
            .assert(0, "skipped: election \"job\" is paused by");
        assert_eq!(job.home.lines("ran").len(), 1);
    }
}

#[test]
fn the_next_tick_runs_it_again_and_not_before_the_time_is_over() {
    let job = Job::on(1);
    job.once(SHORT, &[], RAN).assert(0, "");
    let until = job.paused_until().unwrap();
    let token = job.until_it_runs(SHORT);
    // A token is at least the store's clock when it was claimed.
    assert!(token >= until, "{token} {until}");
    let tokens = job.home.lines("ran");
    assert_eq!(tokens.len(), 2);
    assert!(job.paused_until().unwrap() > until);
}

#[test]
fn a_program_that_fails_has_run() {
    let job = Job::on(0);
    let program = format!("{RAN}; exit 5");
    assert_eq!(job.once(LONG, &[], &program).status, 5);
    assert_eq!(job.once(LONG, &[], &program).status, 0);
    assert_eq!(job.home.lines("ran").len(), 1);
}

#[test]
fn a_run_that_is_interrupted_has_run() {
    let job = Job::on(0);
    let program = leader(&job.home.path("led"));
    let mut running = job.start(LONG, &program);
    job.home.wait_for_lines("led", 1);
    running.signal(Signal::INT);
    assert_eq!(running.wait(), 0);
    job.once(LONG, &[], RAN).assert(0, "skipped");
    assert_eq!(job.home.lines("ran").len(), 0);
}

/// The pause is over while it still runs.
#[test]
fn a_run_that_takes_longer_than_a_tick_is_not_joined_by_another_one() {
    let job = Job::on(1);
    let mut running = job.start(SHORT, &leader(&job.home.path("led")));
    job.home.wait_for_lines("led", 1);
    wait_until("the pause is over", || job.paused_until().is_none());
    job.once(SHORT, &[], RAN).assert(0, "it is held by");
    assert_eq!(job.home.lines("ran").len(), 0);
    running.signal(Signal::TERM);
    assert_eq!(running.wait(), 0);
    job.once(SHORT, &[], RAN).assert(0, "elected leader");
    assert_eq!(job.home.lines("ran").len(), 1);
}

#[test]
fn a_host_that_died_in_its_run_has_run_and_the_next_tick_takes_over() {
    let job = Job::on(1);
    let led = job.home.path("led");
    let program = leader(&led);
    let host = Host::boot(&job.home, "web-1", &job.words(SHORT, &[], &program));
    job.home.wait_for_lines("led", 1);
    let until = job.paused_until().unwrap();
    host.lose_power();
    job.once(SHORT, &[], RAN)
        .assert(0, "ran on web-1, at least 5s");
    assert!(job.until_it_runs(SHORT) >= until);
}

/// Its keeper ends the program and releases; the pause stays.
#[test]
fn a_killed_run_has_run() {
    let job = Job::on(0);
    let mut running = job.start(LONG, &leader(&job.home.path("led")));
    job.home.wait_for_lines("led", 1);
    running.signal(Signal::KILL);
    running.wait_killed();
    job.once(LONG, &[], RAN).assert(0, "skipped");
    assert_eq!(job.home.lines("ran").len(), 0);
}

/// It holds the election without a pause, as one does that died between the two.
#[test]
fn a_dead_holder_without_a_pause_is_taken_over_in_the_same_tick() {
    let job = Job::on(1);
    let led = job.home.path("led");
    let program = leader(&led);
    let mut run = job.words(SHORT, &[], &program);
    run[0] = "run";
    run.drain(2..4);
    let host = Host::boot(&job.home, "web-1", &run);
    job.home.wait_for_lines("led", 1);
    job.once(LONG, &[], RAN).assert(0, "it is held by web-1");
    host.lose_power();
    job.once(LONG, &[], RAN).assert(0, "elected leader");
    assert_eq!(job.home.lines("ran").len(), 1);
}

#[test]
fn an_operator_who_pauses_it_skips_it_and_who_resumes_it_lets_it_run_again() {
    let job = Job::on(0);
    job.home.run(&["lock", "job", "--", "true"]).assert(0, "");
    job.home
        .run(&["pause", "job", "--reason", "new disks"])
        .assert(0, "");
    job.once(LONG, &[], RAN).assert(0, "new disks");
    job.home.run(&["resume", "job"]).assert(0, "");
    for _ in 0..2 {
        job.once(LONG, &[], RAN).assert(0, "elected leader");
        job.home.run(&["resume", "job"]).assert(0, "");
    }
    assert_eq!(job.home.lines("ran").len(), 2);
}

#[test]
fn what_cannot_run_uses_up_no_tick() {
    let job = Job::on(0);
    let run = |words: &[&str]| job.home.run(&[&["once", "job"], words].concat());
    run(&["--", "true"]).assert(64, "--at-least is missing");
    run(&["--at-least", "7s", "--", "true"]).assert(64, "--at-least: 7s is too short");
    run(&["--at-least", "55", "--", "true"]).assert(64, "is not a duration");
    run(&["--at-least", "55s", "--no-wait", "--", "true"]).assert(64, "--no-wait");
    run(&["--at-least", "55s", "--", "no-such-program"]).assert(127, "was not found");
    run(&["--at-least", "55s", "true"]).assert(64, "go after --");
    let file = job.home.write("c.toml", "at_least = \"1s\"\n");
    run(&["--config", &file, "--", "true"]).assert(78, "c.toml:1: 1s is too short");
    run(&[
        "--at-least",
        "55s",
        "--store",
        "redis://127.0.0.1:1",
        "--",
        "true",
    ])
    .assert(69, "");
    job.home.write(
        "c.toml",
        "at_least = \"55s\"\nrestart = true\nno_wait = true\nskip_status = 3\n",
    );
    assert_eq!(
        run(&["--config", &file, "--", "sh", "-c", "exit 4"]).status,
        4
    );
    assert_eq!(
        run(&["--config", &file, "--", "sh", "-c", "exit 4"]).status,
        3
    );
}

//! A program that ends is started again in place, or its candidate stands by again.

use rustix::process::{Pid, Signal, kill_process};

use super::home::{Home, leader, wait_until};
use super::hosts::children_of;
use crate::support::redis::RedisServer;

#[test]
fn it_is_restarted_in_place_and_then_left_to_others() {
    let home = Home::new();
    let log = home.text_path("log");
    let failing = format!("echo $INCUMBENT_FENCING_TOKEN >> {log}; exit 1");
    let mut run = home.start(&[
        "run",
        "job",
        "--restart",
        "--sit-out",
        "100ms",
        "--",
        "sh",
        "-c",
        &failing,
    ]);
    let lines = home.wait_for_lines("log", 8);
    let (first, second) = (&lines[..4], &lines[4..8]);
    assert!(first.iter().all(|token| *token == first[0]), "{lines:?}");
    assert!(second.iter().all(|token| *token == second[0]), "{lines:?}");
    assert!(first[0] < second[0], "{lines:?}");
    run.signal(Signal::TERM);
    assert!([1, 143].contains(&run.wait()));
}

#[test]
fn a_restarted_program_that_is_asked_to_stop_is_not_started_again() {
    let home = Home::new();
    let program = leader(&home.path("led"));
    let mut run = home.start(&["run", "job", "--restart", "--", "sh", "-c", &program]);
    home.wait_for_lines("led", 1);
    run.signal(Signal::TERM);
    assert_eq!(run.wait(), 0);
    assert_eq!(home.lines("led").len(), 1);
}

#[test]
fn after_an_outage_that_cost_the_leadership_restart_stands_by_again_and_leads() {
    let home = Home::new();
    let server = RedisServer::start();
    let url = server.url();
    let program = format!(
        "echo $INCUMBENT_FENCING_TOKEN >> {}; exec sleep 1000",
        home.text_path("log")
    );
    let lead = |election, options: &[&str]| {
        let timing = ["--interval", "200ms", "--stop-grace", "100ms"];
        let run = ["run", election, "--store", &url];
        let words = ["--", "sh", "-c", &program];
        home.start(&[&run[..], &timing, options, &words].concat())
    };
    let mut lost = lead("once", &[]);
    home.wait_for_lines("log", 1);
    let mut again = lead("again", &["--restart"]);
    home.wait_for_lines("log", 2);
    server.freeze();
    assert_eq!(lost.wait(), 124);
    again.wait_said("standing by again");
    server.thaw();
    let lines = home.wait_for_lines("log", 3);
    assert!(lines[2] > lines[1], "{lines:?}");
    again.signal(Signal::TERM);
    assert_eq!(again.wait(), 143);
}

/// It does not stand by again, although a stop was under way already when it was asked to.
#[test]
fn a_stop_that_is_asked_for_while_a_leadership_is_lost_is_not_forgotten() {
    let home = Home::new();
    let server = RedisServer::start();
    let [led, stopping, go] = ["led", "stopping", "go"].map(|name| home.text_path(name));
    let program = format!(
        "trap 'echo > {stopping}; while ! [ -e {go} ]; do sleep 0.1; done; exit 0' TERM; echo > {led}; \
         while :; do sleep 0.1; done"
    );
    let timing = ["--interval", "2s", "--stop-grace", "5s"];
    let run = ["run", "job", "--restart", "--store", &server.url()];
    let mut run = home.start(&[&run[..], &timing, &["--", "sh", "-c", &program]].concat());
    home.wait_for_lines("led", 1);
    server.freeze();
    run.wait_said("no heartbeat acknowledged for too long");
    home.wait_for_lines("stopping", 1);
    run.signal(Signal::TERM);
    run.wait_said("asked to stop: ");
    std::fs::write(&go, "").unwrap();
    assert_eq!(run.wait(), 124);
}

/// Its keeper is frozen meanwhile, as on a machine that has too much to do.
#[test]
fn a_leadership_that_has_no_time_left_for_a_program_is_lost_and_with_restart_it_stands_by_again() {
    // Six seconds, of which all but five have passed after a few heartbeats.
    let timing = "--interval 200ms --stall-polls 30 --stop-grace 5s --restart";
    let timing: Vec<&str> = timing.split(' ').collect();
    let (home, server) = (Home::new(), RedisServer::start());
    let url = server.url();
    let run = |log: &str| {
        let program = leader(&home.path(log));
        let words = [&["run", "job", "--store", &url], &timing[..]].concat();
        home.start(&[&words[..], &["--", "sh", "-c", &program]].concat())
    };
    let mut first = run("first");
    home.wait_for_lines("first", 1);
    let second = run("second");
    second.wait_said("standing by");
    let keeper = Pid::from_raw(children_of(second.pid())[0]).unwrap();
    kill_process(keeper, Signal::STOP).unwrap();
    first.signal(Signal::TERM);
    first.wait();
    second.wait_said("elected leader");
    let beats = || {
        server
            .text(&["GET", "incumbent:job"])
            .parse::<u64>()
            .unwrap_or(0)
    };
    let begun = beats();
    wait_until("it has sent seven heartbeats", || beats() >= begun + 7);
    kill_process(keeper, Signal::CONT).unwrap();
    second.wait_said("lost leadership: standing by again");
    home.wait_for_lines("second", 1);
}

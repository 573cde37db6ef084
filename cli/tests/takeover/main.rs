//! Whatever dies of `incumbent run`, the next program runs soon (`L2`), and never before the last one is
//! dead.
//!
//! The programs themselves are the witnesses: each appends its token and the time to one file, some fifty
//! times a second. The times from each event to the first report of the next program are printed as a
//! table on standard error.

#![allow(missing_docs, reason = "tests are named by what they claim")]

mod field;
#[path = "../../../tests/support/mod.rs"]
mod support;
mod survivors;

use std::io::Write;
use std::time::Duration;

use field::{Elector, Field};
use rustix::process::{Pid, Signal, kill_process};

/// How often each event is brought about.
const ROUNDS: usize = 5;

/// A window of three seconds: shorter than the default, and far longer than a busy machine stalls.
const BRISK: [&str; 4] = ["--interval", "600ms", "--stop-grace", "600ms"];

/// The timing of a standby that must lead because it was woken: its next poll is far away.
const RARE: [&str; 2] = ["--interval", "10s"];
const RARELY: Duration = Duration::from_secs(10);

/// Brings an event about again and again, each time to the leader of the moment, and prints how long the
/// next program took to report. The history must record the reason of each.
fn takeovers(event: &str, why: &str, rounds: usize, strike: impl Fn(&Elector)) -> Vec<Duration> {
    let mut field = Field::new(&BRISK);
    let mut leader = field.elector();
    leader.wait_until_leading();
    // A candidate that waits for long wants an old memory.
    field.server.grow_old();
    field.set_options(&RARE);
    let mut times = Vec::new();
    for round in 1..=rounds {
        let standby = field.elector();
        standby.wait_until_standing_by();
        let terms = field.terms_once_there_are(round);
        let struck = field::now();
        strike(&leader);
        let next = field.wait_for_term(terms + 1);
        times.push(next.first - struck);
        standby.wait_until_leading();
        leader = standby;
    }
    field.witness().assert_no_overlap();
    assert_eq!(field.endings(), vec![why; rounds]);
    times.sort();
    let (median, worst) = (times[times.len() / 2], times[times.len() - 1]);
    print_row(&format!(
        "| {event} | median {median:.1?} | worst of {rounds} {worst:.1?} |"
    ));
    // Without a push it would take until the next poll, and without a proof of death a window.
    assert!(worst < RARELY / 4, "{times:?}");
    times
}

/// Prints past the test harness, which keeps what a passing test prints to itself.
fn print_row(row: &str) {
    std::io::stderr()
        .write_all(format!("{row}\n").as_bytes())
        .unwrap();
}

#[test]
fn a_program_that_ends_is_followed_at_once() {
    takeovers("the program exits", "work-ended 0", ROUNDS, |leader| {
        leader.signal_program(Signal::USR1)
    });
}

#[test]
fn a_program_that_is_killed_is_followed_at_once() {
    takeovers(
        "the program is killed -9",
        "work-ended 137",
        ROUNDS,
        |leader| {
            leader.signal_program(Signal::KILL);
        },
    );
}

#[test]
fn an_elector_that_is_stopped_is_followed_at_once() {
    takeovers("the elector is stopped", "resigned", ROUNDS, |leader| {
        leader.signal(Signal::TERM)
    });
}

#[test]
fn an_elector_that_is_killed_is_followed_at_once() {
    takeovers(
        "the elector is killed -9",
        "elector-died",
        ROUNDS,
        |leader| leader.signal(Signal::KILL),
    );
}

#[test]
fn a_keeper_that_is_killed_is_followed_at_once() {
    takeovers("the keeper is killed -9", "keeper-died", ROUNDS, |leader| {
        leader.signal_keeper(Signal::KILL);
    });
}

/// A shell may have started others before it became `incumbent`.
#[test]
fn a_keeper_that_is_killed_takes_nothing_with_it_that_was_there_before() {
    let field = Field::new(&BRISK);
    let note = field.file("earlier");
    let script = "sleep 1000 & echo $! > $0.new && mv $0.new $0 && exec \"$@\"";
    let words = ["bash", "-c", script, note.to_str().unwrap()];
    let mut leader = field.elector_by(&words, &["bash", "-c"]);
    leader.wait_until_leading();
    let earlier = std::fs::read_to_string(&note).unwrap();
    let earlier = Pid::from_raw(earlier.trim().parse().unwrap()).unwrap();
    leader.signal_keeper(Signal::KILL);
    assert_eq!(leader.status(), Some(125), "a half of incumbent failed");
    assert!(!leader.is_program_alive());
    // It is ours to end, and it must be there for that.
    kill_process(earlier, Signal::KILL).unwrap();
    let standby = field.elector();
    standby.wait_until_leading();
    field.witness().assert_no_overlap();
}

#[test]
fn a_frozen_keeper_does_not_outlast_a_lost_leadership() {
    let field = Field::new(&BRISK);
    let mut leader = field.elector();
    leader.wait_until_leading();
    let standby = field.elector();
    standby.wait_until_standing_by();
    leader.signal_keeper(Signal::STOP);
    // No heartbeat gets through any more, and no one but the elector can enforce the deadline.
    field.server.freeze();
    leader.hear("did not act in time");
    leader.hear("leadership over");
    assert!(!leader.is_program_alive());
    field.server.thaw();
    assert_eq!(leader.status(), Some(124), "the leadership was lost");
    field.wait_for_term(2);
    field.witness().assert_no_overlap();
}

/// A frozen keeper is found out although every heartbeat succeeds: it accepts no deadline.
#[test]
fn a_frozen_keeper_is_replaced_while_heartbeats_go_on() {
    let field = Field::new(&BRISK);
    let mut leader = field.elector();
    leader.wait_until_leading();
    let standby = field.elector();
    standby.wait_until_standing_by();
    leader.signal_keeper(Signal::STOP);
    leader.hear("did not act in time");
    field.wait_for_term(2);
    assert!(!leader.is_program_alive());
    assert_eq!(leader.status(), Some(125), "a half of incumbent failed");
    assert_eq!(field.endings(), ["keeper-died"]);
    field.witness().assert_no_overlap();
}

//! `--seats`: at most as many lead as there are seats, each in its own.

use std::collections::BTreeSet;

use rustix::process::Signal;

use super::home::{Ended, Home, Running, wait_until};
use crate::support::redis::RedisServer;

/// Appends its seat, election and token, and runs until it is asked to stop. It fails if another one has its seat.
const SEATED: &str = "mkdir seat$INCUMBENT_SEAT || exit 9; \
                      trap 'rmdir seat$INCUMBENT_SEAT; exit 0' TERM; \
                      echo $INCUMBENT_SEAT $INCUMBENT_ELECTION $INCUMBENT_FENCING_TOKEN >> led; \
                      while :; do sleep 0.05; done";

fn start(home: &Home, store: &[&str]) -> Running {
    let run = ["run", "job", "--seats", "3"];
    home.start(&[&run, store, &["--", "sh", "-c", SEATED]].concat())
}

fn seats(home: &Home) -> Vec<String> {
    let lines = home.lines("led");
    lines
        .iter()
        .map(|line| line.rsplit_once(' ').unwrap().0.to_owned())
        .collect()
}

#[test]
fn at_most_as_many_lead_as_there_are_seats_and_a_killed_holder_is_replaced_in_its_seat() {
    let server = RedisServer::start();
    for store in [&[][..], &["--store", &server.url()]] {
        let home = Home::new();
        let mut running: Vec<Running> = (0..5).map(|_| start(&home, store)).collect();
        home.wait_for_lines("led", 3);
        let led: BTreeSet<String> = seats(&home).into_iter().collect();
        let all = ["0 job#0", "1 job#1", "2 job#2"].map(str::to_owned);
        assert_eq!(led, all.into());
        // Its pid is in the status of its seat.
        let status = |seat: &str| {
            home.run(&[&["status", seat, "-o", "json"], store].concat())
                .json()
        };
        let pid = status("job#1")["holder"]["pid"].as_u64().unwrap();
        let at = running
            .iter()
            .position(|one| u64::from(one.pid()) == pid)
            .unwrap();
        let mut holder = running.remove(at);
        std::fs::remove_dir(home.path("seat1")).unwrap();
        holder.signal(Signal::KILL);
        holder.wait_killed();
        let lines = home.wait_for_lines("led", 4);
        assert_eq!(seats(&home)[3], "1 job#1");
        let tokens = lines.iter().filter(|line| line.starts_with('1'));
        let tokens: Vec<u64> = tokens
            .map(|line| line.rsplit_once(' ').unwrap().1.parse().unwrap())
            .collect();
        assert!(tokens[0] < tokens[1], "{tokens:?}");
        let shown = home.run(&[&["status", "job"], store].concat());
        assert_eq!(shown.status, 0, "{shown:#?}");
        let names = shown
            .stdout
            .lines()
            .skip(1)
            .map(|line| line.split(' ').next().unwrap());
        assert_eq!(names.collect::<Vec<_>>(), ["job#0", "job#1", "job#2"]);
        for one in &mut running {
            one.signal(Signal::TERM);
        }
        for one in &mut running {
            let status = one.wait();
            assert!([0, 143].contains(&status), "{status}");
        }
        assert_eq!(home.run(&[&["status", "job"], store].concat()).status, 3);
    }
}

#[test]
fn without_a_free_seat_it_does_not_wait_unless_it_may() {
    let home = Home::new();
    let lock = |options: &[&str], program: &str| {
        home.run(
            &[
                &["lock", "job", "--seats", "2"],
                options,
                &["--", "sh", "-c", program],
            ]
            .concat(),
        )
    };
    let mut holders: Vec<Running> = (1..=2)
        .map(|count| {
            let holder = home.start(&["lock", "job", "--seats", "2", "--", "sh", "-c", SEATED]);
            home.wait_for_lines("led", count);
            holder
        })
        .collect();
    let taken: BTreeSet<String> = seats(&home).into_iter().collect();
    assert_eq!(taken, ["0 job#0", "1 job#1"].map(str::to_owned).into());
    lock(&["-n"], "true").assert(75, "is held");
    lock(&["-w", "100ms"], "true").assert(75, "is held");
    holders[0].signal(Signal::TERM);
    assert_eq!(holders[0].wait(), 0);
    let free: i32 = seats(&home)[0][..1].parse().unwrap();
    assert_eq!(lock(&["-n"], "exit $INCUMBENT_SEAT").status, free);
    assert_eq!(lock(&["-w", "30s"], "exit $INCUMBENT_SEAT").status, free);
    holders[1].signal(Signal::TERM);
    assert_eq!(holders[1].wait(), 0);
    wait_until("nothing is left", || {
        home.run(&["list"]).stdout == "no elections yet\n"
    });
}

#[test]
fn seats_are_shown_although_the_election_was_held_without_them_before() {
    let home = Home::new();
    assert_eq!(home.run(&["run", "job", "--", "true"]).status, 0);
    let shown = home.run(&["status", "job"]);
    assert_eq!(shown.status, 3, "{shown:#?}");
    let mut leader = start(&home, &[]);
    home.wait_for_lines("led", 1);
    let shown = home.run(&["status", "job"]);
    assert_eq!(shown.status, 0, "{shown:#?}");
    assert!(shown.stdout.contains("job#"), "{shown:#?}");
    let json = home.run(&["status", "job", "-o", "json"]).json();
    let seats = json["seats"].as_array().unwrap();
    let mut held = seats.iter().filter(|seat| seat["state"] == "held");
    assert_eq!(
        held.next().unwrap()["holder"]["pid"],
        leader.pid(),
        "{json:#}"
    );
    assert!(held.next().is_none(), "{json:#}");
    leader.signal(Signal::TERM);
    assert_eq!(leader.wait(), 0);
    let shown = home.run(&["status", "job"]);
    assert_eq!(shown.status, 3, "{shown:#?}");
    assert!(
        shown.stdout.contains("not held: the last holder"),
        "{shown:#?}"
    );
}

#[test]
fn a_number_of_seats_that_makes_no_sense_is_refused() {
    let home = Home::new();
    let run = |words: &[&str]| home.run(&[&["run", "job"], words, &["--", "true"]].concat());
    run(&["--seats", "0"]).assert(64, "--seats: there cannot be 0 seats");
    run(&["--seats", "65"]).assert(64, "is not a number from 0 to 64");
    run(&["--seats", "3", "--listen", "0"]).assert(64, "--listen");
    let name = "x".repeat(200);
    home.run(&["run", &name, "--seats", "1", "--", "true"])
        .assert(64, "--seats: the name with its seat has 202 bytes");
    home.run(&[
        "once",
        "job",
        "--at-least",
        "55s",
        "--seats",
        "3",
        "--",
        "true",
    ])
    .assert(64, "--seats");
    let check = |words: &[&str]| home.run(&[&["config", "check", "job"], words].concat());
    let unit = |words: &[&str]| home.run(&[&["unit", "job"], words, &["--", "true"]].concat());
    for command in [&check as &dyn Fn(&[&str]) -> Ended, &unit] {
        command(&["--seats", "0"]).assert(64, "--seats: there cannot be 0 seats");
        command(&["--seats", "3", "--listen", "0"]).assert(64, "--listen");
        command(&["--seats", "3"]).assert(0, "");
    }
    let file = home.write("c.toml", "seats = 0\n");
    run(&["--config", &file]).assert(78, "c.toml:1: there cannot be 0 seats");
}

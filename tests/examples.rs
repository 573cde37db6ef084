//! The examples do what their first lines say.

use std::process::Command;

use rustix::process::Signal;
use support::environment;
use support::program::{Program, example};
use tempfile::TempDir;

mod support;

/// Starts an example with an election file and a scratch directory of the test's own.
fn start(directory: &TempDir, name: &str, arguments: &[&str]) -> Program {
    let mut command = Command::new(example(name));
    environment::clear(&mut command);
    let store = format!("sqlite:{}", directory.path().join("elections.db").display());
    command.args(arguments);
    command.env("INCUMBENT_STORE", store);
    command.env("TMPDIR", directory.path());
    Program::start(command)
}

/// The number behind `token ` in a line.
fn token(line: &str) -> u64 {
    let (_, rest) = line.split_once("token ").unwrap();
    let digits: String = rest.chars().take_while(char::is_ascii_digit).collect();
    digits.parse().unwrap()
}

#[test]
fn one_producer_is_at_work_and_the_next_goes_on_when_it_is_told_to_stop() {
    let directory = TempDir::new().unwrap();
    let mut first = start(&directory, "producer", &[]);
    let one = token(&first.hear("item 1,"));
    let mut second = start(&directory, "producer", &[]);
    let leader = second.hear("standing by:");
    assert_eq!(token(&leader), one);
    first.signal(Signal::TERM);
    let (status, _) = first.end();
    assert!(status.success(), "{status}");
    assert!(token(&second.hear("item 1,")) > one);
    second.signal(Signal::INT);
    let (status, said) = second.end();
    assert!(status.success(), "{status}");
    assert!(said.iter().all(|line| !line.contains("over")), "{said:?}");
}

#[test]
fn the_lock_is_waited_for_not_waited_for_or_waited_for_a_while() {
    let directory = TempDir::new().unwrap();
    let lock = |mode| start(&directory, "critical_section", &[mode]);
    let mut holder = lock("blocking");
    holder.hear("acquired");
    let mut waiting = lock("blocking");
    for mode in ["non-blocking", "timeout"] {
        let (status, said) = lock(mode).end();
        assert_eq!(status.code(), Some(75), "{mode}: {said:?}");
        assert!(said[0].starts_with("not acquired: "), "{mode}: {said:?}");
    }
    holder.enter();
    holder.hear("counted to 1");
    waiting.hear("acquired");
    waiting.enter();
    waiting.hear("counted to 2");
    // The holder releases the lock after it has counted.
    waiting.end();
    let mut free = lock("non-blocking");
    free.enter();
    free.hear("counted to 3");
}

#[test]
fn no_count_is_lost_by_sections_that_contend() {
    let directory = TempDir::new().unwrap();
    let mut sections: Vec<Program> = (0..6)
        .map(|_| start(&directory, "critical_section", &["blocking"]))
        .collect();
    sections.iter_mut().for_each(Program::close_input);
    for section in sections {
        let (status, said) = section.end();
        assert!(status.success(), "{said:?}");
    }
    let counter = directory.path().join("incumbent-example.counter");
    assert_eq!(std::fs::read_to_string(counter).unwrap(), "6");
}

#[test]
fn the_job_of_a_slot_runs_once_however_many_hosts_start_it() {
    let directory = TempDir::new().unwrap();
    for slot in ["2026-11-21T09:30", "2026-11-21T09:31"] {
        let hosts: Vec<Program> = (0..5).map(|_| start(&directory, "cron", &[slot])).collect();
        let mut done = 0;
        for host in hosts {
            let (status, said) = host.end();
            assert!(status.success(), "{said:?}");
            let outcome = &said[0];
            done += usize::from(outcome.contains("done, token"));
            assert!(
                ["done, token", "skipped: ", "is done already"]
                    .iter()
                    .any(|known| outcome.contains(known)),
                "{outcome}"
            );
        }
        assert_eq!(done, 1, "{slot}");
        let (_, late) = start(&directory, "cron", &[slot]).end();
        assert!(late[0].contains("is done already"), "{late:?}");
    }
}

#[test]
fn locks_do_what_those_of_python_redis_lock_do() {
    let directory = TempDir::new().unwrap();
    let (status, said) = start(&directory, "locks", &[]).end();
    assert!(status.success(), "{said:?}");
    let window = "kept, and free after 5s if this process dies";
    let expected = [
        "got the lock",
        "got the lock, doing some work",
        window,
        "done, and still held: true",
        "timed out: true",
        "held by this process: true",
        "computed 1 times",
    ];
    assert_eq!(said, expected);
}

#[test]
fn no_two_snowflakes_are_alike_even_if_a_worker_dies_and_its_seat_moves() {
    let directory = TempDir::new().unwrap();
    let worker = |ids| start(&directory, "snowflake", &[ids]);
    // Killed while it counts: its seat is free a window later.
    let mut killed = worker("1000000");
    killed.hear("");
    let workers: Vec<Program> = (0..3).map(|_| worker("1000")).collect();
    killed.signal(Signal::KILL);
    let (_, mut ids) = killed.end();
    // The last line may be cut off.
    ids.retain(|id| id.len() >= 18);
    for worker in workers {
        let (status, said) = worker.end();
        assert!(status.success(), "{said:?}");
        assert_eq!(said.len(), 1000);
        ids.extend(said);
    }
    let made = ids.len();
    ids.sort_unstable();
    ids.dedup();
    assert_eq!(ids.len(), made);
}

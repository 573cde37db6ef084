//! The resource's side of the token: when two programs do overlap, nothing of the old one is written
//! after anything of the new one.

use std::fs;
use std::process::Command;
use std::sync::Barrier;
use std::thread;

use incumbent::fence::{FenceError, FencedLog, FencingToken, SqlFence};
use ledger::{Entry, Ledger};
use rustix::process::Signal;
use support::environment;
use support::program::{Program, example};
use support::redis::RedisServer;
use tempfile::TempDir;

#[path = "../../examples/fenced_log/ledger.rs"]
mod ledger;
#[path = "../support/mod.rs"]
mod support;

mod files;
mod postgres;
mod redis;
mod sql;

fn term(number: u64) -> FencingToken {
    FencingToken::new(number).unwrap()
}

/// A log of each kind, and what must live as long as it.
fn on_each_resource(check: impl Fn(&str)) {
    let directory = TempDir::new().unwrap();
    let path = |name: &str| directory.path().join(name).display().to_string();
    check(&format!("file:{}", path("log")));
    check(&format!("sqlite:{}", path("log.db")));
    check(&RedisServer::start().url());
}

fn open(address: &str) -> Ledger {
    Ledger::open(address).unwrap()
}

/// What the fenced log promises: no token after a higher one, and each number once, in order.
fn violations(entries: &[Entry]) -> Vec<String> {
    let mut found = Vec::new();
    for pair in entries.windows(2) {
        if pair[1].token < pair[0].token {
            found.push(format!("{:?} stands after {:?}", pair[1], pair[0]));
        }
    }
    for (entry, number) in entries.iter().zip(1..) {
        if entry.number != number {
            found.push(format!("{entry:?} stands where number {number} should"));
        }
    }
    found
}

/// A leader that never looks at its lease: it writes until the log refuses it, or it has written enough.
fn write_regardless(address: &str, token: FencingToken, entries: u64) -> u64 {
    let mut ledger = open(address);
    if let Err(refused) = ledger.raise(token) {
        assert!(refused.is_stale(), "{refused}");
        return 0;
    }
    let first = ledger.last().unwrap().map_or(1, |last| last.number + 1);
    for number in first..first + entries {
        if let Err(refused) = ledger.append(token, number) {
            assert!(refused.is_stale(), "{refused}");
            return number - first;
        }
    }
    entries
}

#[test]
fn a_lower_token_is_refused_and_writes_nothing() {
    on_each_resource(|address| {
        let mut ledger = open(address);
        ledger.append(term(7), 1).unwrap();
        ledger.append(term(7), 2).unwrap();
        ledger.raise(term(9)).unwrap();
        match ledger.append(term(8), 3) {
            Err(FenceError::Stale { token, highest, .. }) => {
                assert_eq!((token, highest), (term(8), term(9)), "{address}");
            }
            other => panic!("{address}: {other:?}"),
        }
        assert!(ledger.raise(term(8)).unwrap_err().is_stale(), "{address}");
        ledger.append(term(9), 3).unwrap();
        ledger.append(FencingToken::MAX, 4).unwrap();
        assert!(ledger.append(term(9), 5).unwrap_err().is_stale());
        let written: Vec<(u64, u64)> = ledger
            .entries()
            .unwrap()
            .iter()
            .map(|entry| (entry.token.get(), entry.number))
            .collect();
        let expected = [(7, 1), (7, 2), (9, 3), (FencingToken::MAX.get(), 4)];
        assert_eq!(written, expected, "{address}");
    });
}

#[test]
fn leaders_that_overlap_leave_one_log_in_order_without_a_gap_or_a_double() {
    const LEADERS: u64 = 12;
    on_each_resource(|address| {
        // All are let loose together, so each of them is overtaken by some newer one as it writes.
        let start = Barrier::new(LEADERS as usize);
        let written: u64 = thread::scope(|scope| {
            let leaders: Vec<_> = (1..=LEADERS)
                .map(|token| {
                    let start = &start;
                    scope.spawn(move || {
                        start.wait();
                        write_regardless(address, term(token), 10)
                    })
                })
                .collect();
            leaders
                .into_iter()
                .map(|leader| leader.join().unwrap())
                .sum()
        });
        let entries = open(address).entries().unwrap();
        assert_eq!(violations(&entries), Vec::<String>::new(), "{address}");
        assert_eq!(entries.len() as u64, written, "{address}");
        let of_the_last = entries.iter().filter(|entry| entry.token.get() == LEADERS);
        assert_eq!(of_the_last.count(), 10, "{address}");
    });
}

/// The frozen machine, with real programs: the leader is stopped in its tracks past its window, another
/// takes over, and the first wakes up and goes on without a look at its lease.
fn a_frozen_leader_wakes_up_beside_its_successor(directory: &TempDir, log: &str) {
    let start = || {
        let mut command = Command::new(example("fenced_log"));
        environment::clear(&mut command);
        command.args([log, "--careless"]);
        let store = format!("sqlite:{}", directory.path().join("elections.db").display());
        command.env("INCUMBENT_STORE", store);
        Program::start(command)
    };
    let mut first = start();
    let old = token(&first.hear("leading with token"));
    freeze_between_two_writes(&mut first, log);

    let mut second = start();
    let new = token(&second.hear("leading with token"));
    assert!(new > old, "{new} follows {old}");
    second.hear("wrote");
    first.signal(Signal::CONT);
    let refused = first.hear("refused");
    assert!(
        refused.contains(&format!("{old} is older than {new}")),
        "{refused}"
    );
    second.hear("wrote");
    drop((first, second));

    let entries = open(log).entries().unwrap();
    assert_eq!(violations(&entries), Vec::<String>::new());
    for token in [old, new] {
        assert!(
            entries.iter().any(|entry| entry.token == term(token)),
            "{token}"
        );
    }
}

/// Stops the program while it holds no lock on the log, if there is one.
fn freeze_between_two_writes(program: &mut Program, log: &str) {
    for _ in 0..20 {
        program.hear("wrote");
        program.signal(Signal::STOP);
        // A token of zero is refused by a log that is free to be asked.
        let asked = open(log).append(FencingToken::ZERO, 0);
        if asked.is_err_and(|error| error.is_stale()) {
            return;
        }
        program.signal(Signal::CONT);
    }
    panic!("the program was in the middle of a write each time");
}

/// The number behind `token ` in a line.
fn token(line: &str) -> u64 {
    let (_, rest) = line.split_once("token ").unwrap();
    let digits: String = rest.chars().take_while(char::is_ascii_digit).collect();
    digits.parse().unwrap()
}

#[test]
fn a_file_refuses_the_leader_that_was_frozen() {
    let directory = TempDir::new().unwrap();
    let log = format!("file:{}", directory.path().join("log").display());
    a_frozen_leader_wakes_up_beside_its_successor(&directory, &log);
}

#[test]
fn a_database_refuses_the_leader_that_was_frozen() {
    let directory = TempDir::new().unwrap();
    let log = format!("sqlite:{}", directory.path().join("log.db").display());
    a_frozen_leader_wakes_up_beside_its_successor(&directory, &log);
}

#[test]
fn a_redis_refuses_the_leader_that_was_frozen() {
    let directory = TempDir::new().unwrap();
    let server = RedisServer::start();
    a_frozen_leader_wakes_up_beside_its_successor(&directory, &server.url());
}

/// The control: the same judgement finds fault with the same two leaders when nothing is fenced.
#[test]
fn without_the_fence_the_same_overlap_is_seen_to_break_the_log() {
    let mut log = Vec::new();
    let mut write = |token, number| {
        log.push(Entry {
            token: term(token),
            number,
        })
    };
    write(1, 1);
    write(1, 2);
    // The second leader reads up to 2 and goes on from there; the first thaws and does as well.
    write(2, 3);
    write(1, 3);
    let found = violations(&log);
    assert_eq!(found.len(), 2, "{found:?}");
}

#[test]
fn a_fence_that_holds_no_token_lets_nothing_through() {
    let mut database = rusqlite::Connection::open_in_memory().unwrap();
    database.execute_batch(SqlFence::CREATE).unwrap();
    let fence = SqlFence::new("ledger");
    for garbage in ["'seven'", "9007199254740992", "9e99", "x'ff'"] {
        let put = format!("INSERT OR REPLACE INTO incumbent_fence VALUES ('ledger', {garbage})");
        database.execute_batch(&put).unwrap();
        let refused = fence.transaction(&mut database, FencingToken::MAX, |_| Ok(()));
        assert!(
            matches!(refused, Err(FenceError::Garbled { .. })),
            "{garbage}: {refused:?}"
        );
    }

    let directory = TempDir::new().unwrap();
    let path = directory.path().join("log");
    let log = FencedLog::new(&path);
    log.append(term(1), b"one\n").unwrap();
    fs::write(directory.path().join("log.fence"), "seven").unwrap();
    let refused = log.append(term(2), b"two\n");
    assert!(
        matches!(refused, Err(FenceError::Garbled { .. })),
        "{refused:?}"
    );
    assert_eq!(fs::read(&path).unwrap(), b"one\n");
}

//! The resource's side of the token: when two programs do overlap, nothing of the old one is written
//! after anything of the new one.

use std::fs;
use std::path::Path;
use std::process::Command;
use std::sync::Barrier;
use std::thread;

use incumbent::fence::{FenceError, FencedFile, FencedLog, FencingToken, RedisFence, SqlFence};
use ledger::{Entry, Ledger};
use rustix::process::Signal;
use support::environment;
use support::program::{Program, example};
use support::redis::RedisServer;
use tempfile::TempDir;

#[path = "../examples/fenced_log/ledger.rs"]
mod ledger;
mod support;

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

/// SQLite numbers `$1` and `$2` by their first appearance, so it reads both texts in the same way.
#[test]
fn the_statements_for_postgres_are_those_for_sqlite_with_other_placeholders() {
    let database = rusqlite::Connection::open_in_memory().unwrap();
    database.execute_batch(SqlFence::CREATE).unwrap();
    for (ours, theirs) in [
        (SqlFence::RAISE, SqlFence::POSTGRES_RAISE),
        (SqlFence::HIGHEST, SqlFence::POSTGRES_HIGHEST),
    ] {
        assert_eq!(ours.replace('?', "$"), theirs);
    }
    let raise = |token: i64| {
        database
            .execute(SqlFence::POSTGRES_RAISE, ("ledger", token))
            .unwrap()
    };
    assert_eq!([7, 7, 6, 8, 7].map(raise), [1, 1, 0, 1, 0]);
    let highest: i64 = database
        .query_one(SqlFence::POSTGRES_HIGHEST, ("ledger",), |row| row.get(0))
        .unwrap();
    assert_eq!(highest, 8);
}

#[test]
fn a_failed_transaction_is_rolled_back_with_its_token() {
    let mut database = rusqlite::Connection::open_in_memory().unwrap();
    database.execute_batch(SqlFence::CREATE).unwrap();
    let fence = SqlFence::new("ledger");
    let failed = fence.transaction(&mut database, term(5), |ledger| {
        ledger.execute("INSERT INTO nowhere VALUES (1)", ())
    });
    assert!(
        matches!(failed, Err(FenceError::Sqlite { .. })),
        "{failed:?}"
    );
    fence
        .transaction(&mut database, term(4), |_| Ok(()))
        .unwrap();
}

#[tokio::test]
async fn a_redis_fence_guards_any_command_and_hands_back_its_reply() {
    let server = RedisServer::start();
    let client = redis::Client::open(server.url()).unwrap();
    let mut connection = client.get_multiplexed_async_connection().await.unwrap();
    let fence = RedisFence::new("{book}:token");
    fence.raise(&mut connection, term(4)).await.unwrap();
    assert_eq!(server.text(&["GET", "{book}:token"]), "4");

    let put = redis::cmd("HSET")
        .arg("{book}")
        .arg("a b")
        .arg(&b"\0\xff"[..])
        .to_owned();
    let added: u32 = fence
        .run(&mut connection, term(4), &["{book}"], &put)
        .await
        .unwrap();
    assert_eq!(added, 1);
    server.command(&["SCRIPT", "FLUSH"]);
    let get = redis::cmd("HGET").arg("{book}").arg("a b").to_owned();
    let kept: Vec<u8> = fence
        .run(&mut connection, term(5), &["{book}"], &get)
        .await
        .unwrap();
    assert_eq!(kept, b"\0\xff");
    let missing = redis::cmd("HGET").arg("{book}").arg("c").to_owned();
    let nothing: Option<String> = fence
        .run(&mut connection, term(5), &["{book}"], &missing)
        .await
        .unwrap();
    assert_eq!(nothing, None);
    let late: Result<u32, _> = fence.run(&mut connection, term(4), &["{book}"], &put).await;
    assert!(late.unwrap_err().is_stale());

    // A command that fails leaves the fence up, and says what the server said.
    let wrong = redis::cmd("INCR").arg("{book}").to_owned();
    let failed: Result<u64, _> = fence
        .run(&mut connection, term(6), &["{book}"], &wrong)
        .await;
    let message = failed.unwrap_err().to_string();
    assert!(message.contains("WRONGTYPE"), "{message}");
    assert_eq!(server.text(&["GET", "{book}:token"]), "6");

    let mut long = redis::cmd("RPUSH");
    long.arg("{list}")
        .arg(vec!["x"; RedisFence::MAX_ARGUMENTS - 2]);
    let pushed: usize = fence
        .run(&mut connection, term(6), &["{list}"], &long)
        .await
        .unwrap();
    assert_eq!(pushed, RedisFence::MAX_ARGUMENTS - 2);
    long.arg("one too many");
    let refused: Result<usize, _> = fence
        .run(&mut connection, term(6), &["{list}"], &long)
        .await;
    assert!(
        matches!(refused, Err(FenceError::Command { .. })),
        "{refused:?}"
    );

    for garbage in [
        "seven",
        "-1",
        "7.5",
        "",
        "90071992547409920",
        "9007199254740992",
    ] {
        server.command(&["SET", "{book}:token", garbage]);
        let refused: Result<u32, _> = fence
            .run(&mut connection, FencingToken::MAX, &["{book}"], &put)
            .await;
        assert!(
            matches!(refused, Err(FenceError::Garbled { .. })),
            "{garbage:?}: {refused:?}"
        );
    }
}

#[test]
fn one_database_fences_each_resource_by_itself() {
    let mut database = rusqlite::Connection::open_in_memory().unwrap();
    database.execute_batch(SqlFence::CREATE).unwrap();
    let (one, other) = (SqlFence::new("one"), SqlFence::new("other"));
    one.transaction(&mut database, term(9), |_| Ok(())).unwrap();
    other
        .transaction(&mut database, term(3), |_| Ok(()))
        .unwrap();
    assert!(one.transaction(&mut database, term(3), |_| Ok(())).is_err());
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

#[test]
fn a_replaced_file_is_the_one_of_the_newest_leader() {
    let directory = TempDir::new().unwrap();
    let path = directory.path().join("routes");
    let file = FencedFile::new(&path);
    file.replace(term(1), b"first").unwrap();
    file.replace(term(1), b"second").unwrap();
    file.raise(term(3)).unwrap();
    assert!(file.replace(term(2), b"late").unwrap_err().is_stale());
    assert_eq!(fs::read(&path).unwrap(), b"second");
    file.replace(term(3), b"third").unwrap();
    assert_eq!(fs::read(&path).unwrap(), b"third");
    // What a crash in the middle of a replacement leaves behind is in no one's way.
    fs::write(directory.path().join("routes.new"), "torn").unwrap();
    file.replace(term(3), b"fourth").unwrap();
    assert_eq!(fs::read(&path).unwrap(), b"fourth");
}

/// A crash may leave any part of the guard's new slot on disk, and any part of the entry.
#[test]
fn an_append_torn_at_any_byte_by_a_crash_is_undone_or_whole() {
    let directory = TempDir::new().unwrap();
    let (path, guard) = (
        directory.path().join("log"),
        directory.path().join("log.fence"),
    );
    let log = FencedLog::new(&path);
    log.append(term(1), b"one\n").unwrap();
    log.append(term(2), b"two\n").unwrap();
    let (text_before, guard_before) = (fs::read(&path).unwrap(), fs::read(&guard).unwrap());
    log.append(term(3), b"three\n").unwrap();
    let (text_after, guard_after) = (fs::read(&path).unwrap(), fs::read(&guard).unwrap());

    // Where the bytes are the same it makes no difference that they are torn apart.
    let differs =
        |torn: usize| torn == 0 || guard_before.get(torn - 1) != guard_after.get(torn - 1);
    let mut outcomes = Vec::new();
    for torn in (0..=guard_after.len()).filter(|torn| differs(*torn)) {
        // The entry is on disk before the guard is touched; the guard's bytes are the old and the new.
        let mut mixed = guard_after[..torn].to_vec();
        mixed.extend(guard_before.iter().skip(torn));
        fs::write(&guard, &mixed).unwrap();
        fs::write(&path, &text_after).unwrap();
        outcomes.push(read(&log));
        log.append(term(4), b"four\n").unwrap();
        let told = if outcomes.last().unwrap() == "one\ntwo\n" {
            "one\ntwo\nfour\n"
        } else {
            "one\ntwo\nthree\nfour\n"
        };
        assert_eq!(read(&log), told, "torn at byte {torn}");
    }
    outcomes.dedup();
    assert_eq!(outcomes, ["one\ntwo\n", "one\ntwo\nthree\n"]);

    for torn in text_before.len()..text_after.len() {
        fs::write(&guard, &guard_before).unwrap();
        fs::write(&path, &text_after[..torn]).unwrap();
        assert_eq!(read(&log), "one\ntwo\n", "torn at byte {torn}");
    }
}

#[test]
fn a_log_that_was_cut_from_outside_is_not_appended_to() {
    let directory = TempDir::new().unwrap();
    let path = directory.path().join("log");
    let log = FencedLog::new(&path);
    log.append(term(1), b"one\n").unwrap();
    fs::write(&path, "on").unwrap();
    let refused = log.append(term(1), b"two\n");
    assert!(
        matches!(
            refused,
            Err(FenceError::Cut {
                expected: 4,
                found: 2,
                ..
            })
        ),
        "{refused:?}"
    );
}

#[test]
fn a_log_that_is_there_already_is_kept() {
    let directory = TempDir::new().unwrap();
    let path = directory.path().join("log");
    fs::write(&path, "before\n").unwrap();
    let log = FencedLog::new(&path);
    log.append(term(1), b"one\n").unwrap();
    assert_eq!(read(&log), "before\none\n");
    assert_eq!(names(directory.path()), ["log", "log.fence"]);
}

fn read(log: &FencedLog) -> String {
    use std::io::Read;

    let mut text = String::new();
    log.reader().unwrap().read_to_string(&mut text).unwrap();
    text
}

fn names(directory: &Path) -> Vec<String> {
    let entries = fs::read_dir(directory).unwrap();
    let mut names: Vec<String> = entries
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    names.sort();
    names
}

/// Tokens of one name count under every other.
#[test]
fn a_file_has_one_fence_whatever_links_lead_to_it() {
    let directory = tempfile::tempdir().unwrap();
    let real = directory.path().join("real");
    std::fs::create_dir(&real).unwrap();
    // Nothing is behind the link at first.
    std::os::unix::fs::symlink("real/data", directory.path().join("link")).unwrap();
    std::os::unix::fs::symlink(&real, directory.path().join("folder")).unwrap();
    let names = ["link", "real/data", "folder/data", "real/../folder/../link"];
    let term = |token| FencingToken::new(token).unwrap();
    for log in [true, false] {
        for (token, name) in (10..).zip(names) {
            let path = directory.path().join(name);
            let write = |token| match log {
                true => FencedLog::new(&path).append(term(token), b"a line\n"),
                false => FencedFile::new(&path).replace(term(token), b"a line\n"),
            };
            write(token).unwrap();
            for other in names {
                let other = directory.path().join(other);
                let outdated = match log {
                    true => FencedLog::new(&other).append(term(token - 1), b"late\n"),
                    false => FencedFile::new(&other).replace(term(token - 1), b"late\n"),
                };
                assert!(outdated.unwrap_err().is_stale(), "{other:?} after {name}");
            }
        }
        assert!(real.join("data.fence").exists());
        assert!(!directory.path().join("link.fence").exists());
        assert!(directory.path().join("link").is_symlink());
        std::fs::remove_file(real.join("data")).unwrap();
        std::fs::remove_file(real.join("data.fence")).unwrap();
    }
    std::fs::write(real.join("data"), "").unwrap();
    std::fs::hard_link(real.join("data"), real.join("second")).unwrap();
    for name in ["link", "real/second"] {
        let refused = FencedLog::new(directory.path().join(name)).append(term(20), b"a line\n");
        let refused = refused.unwrap_err().to_string();
        assert!(refused.contains("several names (hard links)"), "{refused}");
    }
}

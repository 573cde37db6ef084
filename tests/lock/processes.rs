//! Locks of several processes, over a real Redis.

use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use incumbent::lock::Locks;
use incumbent::protocol::FencingToken;
use redis::Value;
use tokio::sync::Barrier;

use super::{PATIENCE, lock, steady, warm_up};
use crate::support::redis::RedisServer;

/// Set in a process that this test starts: the address of its server, and what it is to do.
const ROLE: &str = "INCUMBENT_TEST_LOCK_ROLE";

/// Runs `test` of this program in another process, in a role.
pub(crate) fn start(test: &str, server: &RedisServer, role: &str) -> Child {
    start_at(test, &server.url(), role)
}

/// The same with a store that is no server.
pub(crate) fn start_at(test: &str, url: &str, role: &str) -> Child {
    Command::new(std::env::current_exe().unwrap())
        .args(["--exact", test, "--nocapture"])
        .env(ROLE, format!("{url} {role}"))
        .stdout(Stdio::piped())
        .spawn()
        .unwrap()
}

pub(crate) fn role() -> Option<(String, String)> {
    let role = std::env::var(ROLE).ok()?;
    let (url, role) = role.split_once(' ').unwrap();
    Some((url.to_owned(), role.to_owned()))
}

fn locks(url: &str) -> Locks {
    Locks::builder()
        .store(url)
        .timing(steady())
        .build()
        .unwrap()
}

const SECTIONS: usize = 25;

#[tokio::test]
async fn mutual_exclusion_over_processes() {
    if let Some((url, folder)) = role() {
        return count_up(&url, Path::new(&folder)).await;
    }
    let test = "processes::mutual_exclusion_over_processes";
    let server = RedisServer::start();
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().to_str().unwrap();
    std::fs::write(folder.path().join("count"), "0").unwrap();
    let counting = (0..4).map(|_| start(test, &server, path));
    let counting: Vec<Child> = counting.collect();
    for process in counting {
        let output = process.wait_with_output().unwrap();
        let printed = String::from_utf8_lossy(&output.stdout);
        assert!(output.status.success(), "{printed}");
    }
    let counted = std::fs::read_to_string(folder.path().join("count")).unwrap();
    assert_eq!(counted, (4 * SECTIONS).to_string());
}

/// Sections that only a lock keeps from overlapping: a folder can be made once, and a file be read before it is written.
async fn count_up(url: &str, folder: &Path) {
    let locks = locks(url);
    let lock = lock(&locks, "order:42");
    for _ in 0..SECTIONS {
        let guard = lock.acquire().await.unwrap();
        guard.check().unwrap();
        std::fs::create_dir(folder.join("someone is here")).unwrap();
        let count = std::fs::read_to_string(folder.join("count")).unwrap();
        tokio::task::yield_now().await;
        let next = count.parse::<usize>().unwrap() + 1;
        std::fs::write(folder.join("count"), next.to_string()).unwrap();
        std::fs::remove_dir(folder.join("someone is here")).unwrap();
        guard.release().await;
    }
}

#[tokio::test]
async fn expiry_against_deadlock_the_lock_of_a_killed_holder_is_free_after_a_window() {
    if let Some((url, _)) = role() {
        let locks = locks(&url);
        warm_up(&locks).await;
        let guard = lock(&locks, "order:42").acquire().await.unwrap();
        println!("token {}", guard.fencing_token());
        return std::future::pending().await;
    }
    let test =
        "processes::expiry_against_deadlock_the_lock_of_a_killed_holder_is_free_after_a_window";
    let server = RedisServer::start();
    let mut holder = start(test, &server, "hold");
    let lines = BufReader::new(holder.stdout.take().unwrap()).lines();
    let tokens = lines.map_while(Result::ok);
    let token = tokens.filter_map(|line| line.strip_prefix("token ")?.parse().ok());
    let token: u64 = token.take(1).next().unwrap();
    let locks = locks(&server.url());
    let lock = lock(&locks, "order:42");
    assert!(lock.try_acquire().await.unwrap_err().is_held());
    holder.kill().unwrap();
    holder.wait().unwrap();
    let guard = lock.acquire_timeout(PATIENCE).await.unwrap();
    assert!(guard.fencing_token() > FencingToken::new(token).unwrap());
}

/// How many scripts the server has run.
fn scripts(server: &RedisServer) -> u64 {
    let Value::BulkString(bytes) = server.command(&["INFO", "commandstats"]) else {
        panic!("INFO is text");
    };
    let text = String::from_utf8(bytes).unwrap();
    let calls = text
        .lines()
        .find_map(|line| line.strip_prefix("cmdstat_evalsha:calls="))
        .and_then(|rest| rest.split(',').next());
    calls.map_or(0, |calls| calls.parse().unwrap())
}

#[tokio::test]
async fn a_free_lock_takes_one_request_and_so_does_its_release() {
    let server = RedisServer::start();
    // No heartbeat disturbs the count.
    let locks = Locks::builder().store(server.url()).build().unwrap();
    warm_up(&locks).await;
    server.grow_old();
    warm_up(&locks).await;
    let before = scripts(&server);
    for number in 0..100 {
        let lock = locks.lock(format!("order:{number}")).unwrap();
        lock.acquire().await.unwrap().release().await;
    }
    assert_eq!(scripts(&server) - before, 200);
}

#[tokio::test]
async fn no_one_starves_of_those_that_want_one_lock_all_the_time() {
    const WANTING: usize = 10;
    const TURNS: usize = 30 * WANTING;
    let server = RedisServer::start();
    let taken = Arc::new(AtomicUsize::new(0));
    let begin = Arc::new(Barrier::new(WANTING));
    let wanting: Vec<_> = (0..WANTING)
        .map(|_| {
            let (locks, taken, begin) = (locks(&server.url()), taken.clone(), begin.clone());
            tokio::spawn(async move {
                warm_up(&locks).await;
                begin.wait().await;
                let mut turns = 0;
                while taken.load(Ordering::Relaxed) < TURNS {
                    let lock = lock(&locks, "order:42");
                    let guard = lock.acquire_timeout(PATIENCE).await.unwrap();
                    taken.fetch_add(1, Ordering::Relaxed);
                    turns += 1;
                    tokio::time::sleep(Duration::from_millis(1)).await;
                    guard.release().await;
                }
                turns
            })
        })
        .collect();
    let turns = futures_util::future::join_all(wanting).await;
    let turns: Vec<usize> = turns.into_iter().map(Result::unwrap).collect();
    let fewest = turns.iter().min().unwrap();
    // A fair share is 30.
    assert!(*fewest >= 5, "{turns:?}");
}

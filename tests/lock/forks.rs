//! A process that forks: its child shares its memory as it was, its descriptors, and none of its threads.

use std::io::{Read, Write, pipe};
use std::process::Child;
use std::time::Duration;

use incumbent::lock::{BlockingGuard, Locks};
use incumbent::protocol::TimingConfig;
use nix::libc;

use super::processes::{role, start, start_at};
use super::{PATIENCE, hasty};
use crate::support::redis::RedisServer;

/// A request that gets no answer waits for longer than the test.
fn calm() -> TimingConfig {
    TimingConfig {
        interval: PATIENCE * 2,
        op_timeout: Some(PATIENCE * 2),
        stall_polls: 100,
        ..TimingConfig::default()
    }
}

/// Its holder is kept by the thread of the elections soon.
fn lively() -> TimingConfig {
    TimingConfig {
        interval: Duration::from_secs(1),
        stall_polls: 100,
        stop_grace: Duration::from_millis(50),
        ..TimingConfig::default()
    }
}

fn locks(url: &str, timing: TimingConfig) -> Locks {
    let locks = Locks::builder().store(url).timing(timing);
    locks.build().unwrap()
}

fn acquire(locks: &Locks, name: &str) -> BlockingGuard {
    let lock = locks.lock(name).unwrap().blocking();
    lock.acquire_timeout(PATIENCE).unwrap()
}

#[test]
fn a_forked_child_holds_nothing_locks_anew_and_leaves_its_parent_alone() {
    if let Some((url, _)) = role() {
        return fork_with_a_lock(&url);
    }
    let server = RedisServer::start();
    acquire(&locks(&server.url(), hasty()), "first").release();
    server.grow_old();
    let test = "forks::a_forked_child_holds_nothing_locks_anew_and_leaves_its_parent_alone";
    let forking: Child = start(test, &server, "fork");
    let output = forking.wait_with_output().unwrap();
    let printed = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success(), "{printed}");
}

#[expect(unsafe_code, reason = "the library wraps no fork")]
fn fork_with_a_lock(url: &str) {
    let parents = locks(url, calm());
    // Once it has acquired one, it acquires the next over a connection of this thread.
    acquire(&parents, "first").release();
    let held = acquire(&parents, "order:42");
    let (mut told, mut tell) = pipe().unwrap();
    // SAFETY: the child uses only what is its own, and ends with this thread.
    match unsafe { libc::fork() } {
        0 => {
            live_as_a_child(url, &parents, held);
            tell.write_all(b"done").unwrap();
            // As at the end of any thread, what belongs to it is dropped.
        }
        child => {
            drop(tell);
            let mut done = String::new();
            told.read_to_string(&mut done).unwrap();
            assert_eq!(done, "done");
            // Its other threads go on without the one that was forked.
            until_ended(child);
            // SAFETY: it takes numbers, and a null pointer, and the process is a child of this one.
            unsafe {
                libc::kill(child, libc::SIGKILL);
                libc::waitpid(child, std::ptr::null_mut(), 0);
            }
            let others = locks(url, calm()).lock("order:42").unwrap().blocking();
            assert!(others.try_acquire().unwrap_err().is_held());
            held.check().unwrap();
            acquire(&parents, "order:44").release();
            held.release();
            others.try_acquire().unwrap().release();
        }
    }
}

fn live_as_a_child(url: &str, parents: &Locks, held: BlockingGuard) {
    drop(held);
    let refused = parents.lock("order:42").unwrap().blocking().try_acquire();
    assert!(
        !refused.unwrap_err().is_held(),
        "its client is that of the parent"
    );
    let own = locks(url, lively());
    let parents = own.lock("order:42").unwrap().blocking();
    let error = parents.try_acquire().unwrap_err();
    assert!(error.is_held(), "{error}");
    let free = acquire(&own, "order:43");
    let deadline = free.lease().deadline();
    while free.lease().deadline() < deadline + Duration::from_secs(1) {
        free.check().unwrap();
        std::thread::yield_now();
    }
    free.release();
    // Behind one that waits, and so by the thread of the elections.
    let first = acquire(&own, "order:43");
    let waiting = std::thread::spawn(move || acquire(&own, "order:43").release());
    first.release();
    waiting.join().unwrap();
}

/// Waits until the first thread of a process has ended, and all that belonged to it is dropped.
fn until_ended(process: i32) {
    let stat = format!("/proc/{process}/stat");
    while !std::fs::read_to_string(&stat).unwrap().contains(") Z ") {
        std::thread::sleep(Duration::from_millis(2));
    }
}

#[test]
fn a_forked_child_of_a_process_that_uses_sqlite_is_refused_every_file() {
    if let Some((url, _)) = role() {
        return fork_with_a_file(&url);
    }
    let folder = tempfile::tempdir().unwrap();
    let url = format!("sqlite:{}", folder.path().join("locks.db").display());
    let test = "forks::a_forked_child_of_a_process_that_uses_sqlite_is_refused_every_file";
    let output = start_at(test, &url, "fork").wait_with_output().unwrap();
    let printed = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success(), "{printed}");
}

#[expect(unsafe_code, reason = "the library wraps no fork")]
fn fork_with_a_file(url: &str) {
    let parents = locks(url, calm());
    acquire(&parents, "first").release();
    let (mut told, mut tell) = pipe().unwrap();
    // SAFETY: the child uses only what is its own, and is killed.
    match unsafe { libc::fork() } {
        0 => {
            for url in [url.to_owned(), format!("{url}-other")] {
                let lock = locks(&url, calm()).lock("second").unwrap().blocking();
                let error = lock.try_acquire().unwrap_err().to_string();
                tell.write_all(error.as_bytes()).unwrap();
                tell.write_all(b"\n").unwrap();
            }
        }
        child => {
            drop(tell);
            let mut refused = String::new();
            told.read_to_string(&mut refused).unwrap();
            // SAFETY: it takes numbers, and a null pointer, and the process is a child of this one.
            unsafe {
                libc::kill(child, libc::SIGKILL);
                libc::waitpid(child, std::ptr::null_mut(), 0);
            }
            let lines = refused
                .lines()
                .filter(|line| line.contains("was forked from"));
            assert_eq!(lines.count(), 2, "{refused}");
            acquire(&parents, "second").release();
        }
    }
}

//! The end of the process, when nothing else keeps two from acting.

use std::io::stderr;
use std::sync::mpsc;
use std::time::Duration;

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::process::{Signal, getpid, kill_process};

use super::clock;

/// How long the last words may take, out of a margin of 50 ms at the least.
const LAST_WORDS: Duration = Duration::from_millis(5);

/// Ends the process by SIGKILL, whatever its log, its signal handlers or its other threads do. The reason is
/// written to stderr and to the log, and `hook` is called, if that takes no time: work that blocks may hold a lock
/// that either needs.
pub(super) fn end_process(why: String, hook: impl FnOnce() + Send + 'static) -> ! {
    let (told, is_told) = mpsc::sync_channel::<()>(2);
    let hooked = told.clone();
    let words = std::thread::Builder::new().spawn(move || {
        print(&format!("incumbent: {why}\n"));
        tracing::error!("{why}");
        // Nobody waits for it any more when it took longer.
        told.send(()).unwrap_or_default();
    });
    let hook = std::thread::Builder::new().spawn(move || {
        hook();
        hooked.send(()).unwrap_or_default();
    });
    let until = clock::now() + LAST_WORDS;
    for _ in [words, hook].iter().filter(|begun| begun.is_ok()) {
        // When it takes too long, or has panicked, there is nobody to tell that either.
        let left = until.since(clock::now());
        is_told.recv_timeout(left).unwrap_or_default();
    }
    // It fails for nobody but PID 1 of a container, which the kernel spares its own signals.
    kill_process(getpid(), Signal::KILL).unwrap_or_default();
    std::process::abort();
}

/// Writes to stderr past the lock of the standard library, which blocked work may hold, and only if the write
/// does not block: the log still has its turn.
fn print(line: &str) {
    let stderr = stderr();
    let mut polled = [PollFd::new(&stderr, PollFlags::OUT)];
    let now = Timespec {
        tv_sec: 0,
        tv_nsec: 0,
    };
    let writable = poll(&mut polled, Some(&now)).is_ok_and(|ready| ready == 1)
        && polled[0].revents().contains(PollFlags::OUT);
    if writable {
        // A process about to be killed has no one to report a failed write to.
        rustix::io::write(&stderr, line.as_bytes()).unwrap_or_default();
    }
}

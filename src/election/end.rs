//! Kills the process when nothing else keeps two candidates from acting.

use std::io::{IoSlice, stderr};
use std::sync::mpsc;
use std::time::Duration;

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::io::{ReadWriteFlags, pwritev2};
use rustix::process::{Signal, getpid, kill_process};

use super::clock;

/// How long the last message may take, out of a margin of at least 50 ms.
const LAST_WORDS: Duration = Duration::from_millis(5);

/// Kills the process with SIGKILL, whatever its log, its signal handlers or its other threads do. Before that it
/// writes the reason to stderr and to the log, and calls `hook`, but does not wait for them: blocked work may hold
/// a lock that either needs.
pub(super) fn end_process(why: String, hook: impl FnOnce() + Send + 'static) -> ! {
    let line = format!("incumbent: {why}\n");
    let printed = print_at_once(&line);
    let (done, finished) = mpsc::sync_channel::<()>(2);
    let hooked = done.clone();
    let words = std::thread::Builder::new().spawn(move || {
        if !printed {
            print(&line);
        }
        tracing::error!("{why}");
        // After the timeout below, no one receives it.
        done.send(()).unwrap_or_default();
    });
    let hook = std::thread::Builder::new().spawn(move || {
        hook();
        hooked.send(()).unwrap_or_default();
    });
    let until = clock::now() + LAST_WORDS;
    for _ in [words, hook].iter().filter(|begun| begun.is_ok()) {
        // If it takes too long or panics, there is no one to report that to.
        let left = until.since(clock::now());
        finished.recv_timeout(left).unwrap_or_default();
    }
    // It fails only for PID 1 of a container, which the kernel protects from its own signals.
    kill_process(getpid(), Signal::KILL).unwrap_or_default();
    std::process::abort();
}

/// Writes to stderr where that cannot block, and returns whether it did: on a busy machine the time for the last words
/// can be over before a thread begins. Kernels know that of pipes and sockets, but not of terminals.
fn print_at_once(line: &str) -> bool {
    // As for writev(2), the place is where the file is.
    let place = u64::MAX;
    let words = [IoSlice::new(line.as_bytes())];
    pwritev2(stderr(), &words, place, ReadWriteFlags::NOWAIT).is_ok()
}

/// Writes to stderr without the standard library's lock, which blocked work may hold, and only if the write does
/// not block, because the log comes next.
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

//! The end of the process, when nothing else keeps two from acting.

use std::sync::mpsc;
use std::time::Duration;

use rustix::process::{Signal, getpid, kill_process};

/// How long the last words may take, out of a margin of 50 ms at the least.
const LAST_WORDS: Duration = Duration::from_millis(5);

/// Ends the process by SIGKILL, whatever its log, its handlers of signals or its other threads do. The reason
/// is logged if that takes no time: work that blocks may well hold what the log waits for.
pub(super) fn end_process(tell: impl FnOnce() + Send + 'static) -> ! {
    let (told, is_told) = mpsc::sync_channel::<()>(1);
    let words = std::thread::Builder::new().spawn(move || {
        tell();
        // Nobody waits for it any more when it took longer.
        told.send(()).unwrap_or_default();
    });
    if words.is_ok() {
        // When it takes too long, or the log has panicked, there is nobody to tell that either.
        is_told.recv_timeout(LAST_WORDS).unwrap_or_default();
    }
    // It fails for nobody but PID 1 of a container, which the kernel spares its own signals.
    kill_process(getpid(), Signal::KILL).unwrap_or_default();
    std::process::abort();
}

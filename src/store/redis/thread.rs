//! Work that blocks, such as looking up a name, on a separate thread.
//!
//! The runtime's own pool panics when the system has no thread left, which must not end a leader.

use std::io;
use std::sync::atomic::{AtomicUsize, Ordering};

use tokio::sync::oneshot;

/// How many such threads there may be: one that hangs cannot be stopped.
const MOST: usize = 32;

static RUNNING: AtomicUsize = AtomicUsize::new(0);

struct Place;

impl Drop for Place {
    fn drop(&mut self) {
        RUNNING.fetch_sub(1, Ordering::AcqRel);
    }
}

/// Runs `work` on a separate thread. `what` names the work in an error.
///
/// # Errors
///
/// When there is no thread for it.
pub(super) async fn on_thread<T: Send + 'static>(
    what: &str,
    work: impl FnOnce() -> T + Send + 'static,
) -> io::Result<T> {
    let place = Place;
    if RUNNING.fetch_add(1, Ordering::AcqRel) >= MOST {
        return Err(io::Error::other(format!(
            "{MOST} threads are busy already; one for the {what} is not started"
        )));
    }
    let (done, outcome) = oneshot::channel();
    std::thread::Builder::new()
        .name(format!("incumbent-{what}"))
        .spawn(move || {
            let _place = place;
            // The caller may have given up.
            drop(done.send(work()));
        })
        .map_err(|error| io::Error::other(format!("no thread for the {what}: {error}")))?;
    outcome
        .await
        .map_err(|_| io::Error::other(format!("the thread for the {what} has panicked")))
}

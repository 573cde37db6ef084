//! The one thread of the process on which all elections run: user code, blocking or not, cannot starve
//! a heartbeat.

use std::future::Future;
use std::sync::OnceLock;
use std::sync::mpsc;

use tokio::runtime::{Builder, Handle};

use super::end::end_process;

static HANDLE: OnceLock<Handle> = OnceLock::new();

/// The runtime of the elections, started on first use.
///
/// # Panics
///
/// When the operating system refuses a thread or the file descriptors of an event loop: there is no
/// election without them.
pub(crate) fn handle() -> &'static Handle {
    HANDLE.get_or_init(|| {
        let runtime = Builder::new_current_thread()
            .enable_all()
            .build()
            .expect("an event loop for the elections can be created");
        let handle = runtime.handle().clone();
        std::thread::Builder::new()
            .name("incumbent".to_owned())
            .spawn(move || runtime.block_on(std::future::pending::<()>()))
            .expect("a thread for the elections can be started");
        handle
    })
}

/// Runs a future on the thread of the elections. Should it panic, the process ends: a candidate that has
/// contradicted itself is not to be trusted with a leadership, nor is anybody to wait for it for ever.
pub(super) fn spawn_vital(future: impl Future<Output = ()> + Send + 'static) {
    struct Vital;
    impl Drop for Vital {
        fn drop(&mut self) {
            if std::thread::panicking() {
                end_process("a candidacy has contradicted itself: killing the process".to_owned());
            }
        }
    }
    handle().spawn(async move {
        let _vital = Vital;
        future.await;
    });
}

/// Runs a future on the thread of the elections, and waits for it on this one.
pub(crate) fn block_on<F>(future: F) -> F::Output
where
    F: Future + Send + 'static,
    F::Output: Send + 'static,
{
    let (sender, receiver) = mpsc::sync_channel(1);
    handle().spawn(async move {
        // The receiver waits below for as long as this task lives.
        if sender.send(future.await).is_err() {
            tracing::trace!("nobody waits for this outcome any more");
        }
    });
    receiver
        .recv()
        .expect("the thread of the elections runs as long as the process")
}

//! The one thread of the process on which all elections run, so that user code, blocking or not, cannot
//! starve a heartbeat.

use std::cell::RefCell;
use std::future::Future;
use std::io;
use std::sync::mpsc;

use tokio::runtime::{Builder, Handle, Runtime};

use super::alarm;
use super::end::end_process;
use crate::once::Once;

static HANDLE: Once<Handle> = Once::new();

/// Starts the thread on which all elections of this process run, and their heartbeat timer. Both also start at
/// first use; call it early to learn early that the system has no room for them.
///
/// # Errors
///
/// When the system refuses a thread, a timer or an event loop. It can be retried.
pub fn start() -> io::Result<()> {
    started()?;
    alarm::start()
}

/// The runtime of the elections, started on first use.
pub(super) fn started() -> io::Result<&'static Handle> {
    HANDLE.get_or_make(|| {
        let runtime = Builder::new_current_thread().enable_all().build()?;
        let handle = runtime.handle().clone();
        std::thread::Builder::new()
            .name("incumbent".to_owned())
            .spawn(move || runtime.block_on(std::future::pending::<()>()))?;
        Ok(handle)
    })
}

/// The runtime of an election that has begun.
pub(super) fn handle() -> &'static Handle {
    started().expect("a campaign starts the runtime before anything else")
}

/// Runs a future on the election thread. If it panics, the process ends: a candidate that has contradicted
/// itself must not lead, and nothing should wait for it forever.
pub(super) fn spawn_vital(future: impl Future<Output = ()> + Send + 'static) {
    struct Vital;
    impl Drop for Vital {
        fn drop(&mut self) {
            if std::thread::panicking() {
                let why = "a candidacy has contradicted itself: killing the process";
                end_process(why.to_owned(), || {});
            }
        }
    }
    handle().spawn(async move {
        let _vital = Vital;
        future.await;
    });
}

/// Runs a future on the election thread, and waits for it on this one.
pub(super) fn block_on<F>(future: F) -> F::Output
where
    F: Future + Send + 'static,
    F::Output: Send + 'static,
{
    let (sender, receiver) = mpsc::sync_channel(1);
    handle().spawn(async move {
        // The receiver waits below for as long as this task lives.
        if sender.send(future.await).is_err() {
            tracing::trace!("the caller no longer waits for this outcome");
        }
    });
    receiver
        .recv()
        .expect("the election thread runs as long as the process")
}

/// Ends a task with what waits for it.
pub(super) struct AbortOnDrop(pub(super) tokio::task::AbortHandle);

impl Drop for AbortOnDrop {
    fn drop(&mut self) {
        self.0.abort();
    }
}

/// Runs a future on this thread, on the thread's own runtime, or on the election thread if this one belongs to a runtime
/// already.
pub(crate) fn block_on_here<F>(future: F) -> F::Output
where
    F: Future + Send + 'static,
    F::Output: Send + 'static,
{
    thread_local! {
        static HERE: RefCell<Here> = RefCell::new(Here::new());
    }
    let mut future = Some(future);
    let here = match Handle::try_current() {
        Ok(_) => Ok(None),
        // A thread that is ending has no runtime any more.
        Err(_) => HERE.try_with(|here| {
            let mut here = here.borrow_mut();
            if here.is_forked() {
                *here = Here::new();
            }
            Some(here.runtime.as_ref()?.block_on(future.take()?))
        }),
    };
    match (here, future) {
        (Ok(Some(output)), _) => output,
        (_, Some(future)) => block_on(future),
        (_, None) => unreachable!("a future that is run has an output"),
    }
}

/// The runtime of one thread.
struct Here {
    runtime: Option<Runtime>,
    process: u32,
}

impl Here {
    fn new() -> Self {
        Self {
            runtime: Builder::new_current_thread().enable_all().build().ok(),
            process: std::process::id(),
        }
    }

    /// Whether the process in which it was made is the parent of this one.
    fn is_forked(&self) -> bool {
        self.process != std::process::id()
    }
}

impl Drop for Here {
    /// A child shares the epoll of the parent, which would no longer hear of a connection that the child has closed.
    fn drop(&mut self) {
        if self.is_forked() {
            std::mem::forget(self.runtime.take());
        }
    }
}

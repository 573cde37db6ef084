//! A task that runs on any available runtime, and ends with its owner.

use std::future::Future;
use std::sync::{Mutex, PoisonError};

use tokio::runtime::Handle;
use tokio::task::JoinHandle;

/// At most one running task.
#[derive(Default)]
pub(super) struct Task(Mutex<Option<JoinHandle<()>>>);

impl Task {
    /// Starts the task if none runs: for the first time, after it has ended, or after its runtime has.
    /// Outside a runtime, the next call from inside one starts it.
    pub(super) fn keep_running<F>(&self, start: impl FnOnce() -> Option<F>)
    where
        F: Future<Output = ()> + Send + 'static,
    {
        let mut task = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if task.as_ref().is_some_and(|task| !task.is_finished()) {
            return;
        }
        if let Ok(runtime) = Handle::try_current()
            && let Some(future) = start()
        {
            *task = Some(runtime.spawn(future));
        }
    }
}

impl Drop for Task {
    fn drop(&mut self) {
        let task = self.0.get_mut().unwrap_or_else(PoisonError::into_inner);
        if let Some(task) = task.take() {
            task.abort();
        }
    }
}

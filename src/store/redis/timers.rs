//! The timers of requests.

use std::pin::{Pin, pin};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use futures_util::FutureExt;
use futures_util::future::{Either, select};
use tokio::runtime::{Handle, Id};
use tokio::time::error::Elapsed;
use tokio::time::{Instant, Sleep, sleep_until, timeout_at};

use crate::store::let_others_go_first;

/// How many are kept at most.
const MOST: usize = 64;

/// What ends a request that takes too long.
pub(super) enum Timers {
    /// Each request sets its own timer, which ends with the request.
    Fresh,
    /// Timers are kept for the next request. To set a timer that is earlier than all others wakes the runtime, which
    /// costs some system calls; to put one off costs nothing. In exchange, one that is kept wakes a task for nothing
    /// when its time comes, so this is for those who send many requests in a row.
    Kept(Kept),
}

/// Timers that are set, and the runtime of each.
#[derive(Default)]
pub(super) struct Kept(Mutex<Vec<(Id, Pin<Box<Sleep>>)>>);

impl Timers {
    /// The outcome of a request that ends within `time`.
    pub(super) async fn run<T>(
        &self,
        time: Duration,
        request: impl Future<Output = T>,
    ) -> Result<T, Elapsed> {
        let until = Instant::now() + time;
        let mut request = pin!(request);
        // The connection writes it before a timer is set, which may poll all others.
        if let Some(outcome) = request.as_mut().now_or_never() {
            return Ok(outcome);
        }
        let Self::Kept(kept) = self else {
            let_others_go_first().await;
            return timeout_at(until, request).await;
        };
        let runtime = Handle::current().id();
        let timer = match kept.take(runtime) {
            Some(mut timer) => {
                timer.as_mut().reset(until);
                timer
            }
            None => Box::pin(sleep_until(until)),
        };
        match select(request, timer).await {
            Either::Left((outcome, timer)) => {
                kept.put(runtime, timer);
                Ok(outcome)
            }
            // That moment is over: this only says so.
            Either::Right(((), request)) => timeout_at(until, request).await,
        }
    }
}

impl Kept {
    fn lock(&self) -> MutexGuard<'_, Vec<(Id, Pin<Box<Sleep>>)>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn take(&self, runtime: Id) -> Option<Pin<Box<Sleep>>> {
        let mut timers = self.lock();
        let place = timers.iter().rposition(|(of, _)| *of == runtime)?;
        Some(timers.swap_remove(place).1)
    }

    fn put(&self, runtime: Id, timer: Pin<Box<Sleep>>) {
        let mut timers = self.lock();
        if timers.len() < MOST {
            timers.push((runtime, timer));
        }
    }
}

//! The one connection of this process to a server: made when it is needed, shared, and replaced when
//! it is stuck.
//!
//! ```text
//!   idle ──first request──▶ connecting ──▶ connected ──ended, stuck, wrong server──▶ idle
//!    ▲                          │ failed       │ every now and then: would a new connection be let in,
//!    │                          ▼              └── and reach the same server? If not, say so
//!    └──────after a pause───── refused         everyone who asks meanwhile gets the same answer
//! ```
//!
//! Connecting goes on when the request that began it has run out of time: one that is ready a moment too late
//! serves the next request.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use futures_util::FutureExt;
use futures_util::future::{BoxFuture, Shared};
use tokio::time::{Instant, timeout};

use super::connection::Connection;
use super::dial::{ConnectError, Dialed};
use super::script;

/// How long everyone gets the error of a failed attempt before the next one is made.
const PAUSE: Duration = Duration::from_millis(20);
/// How long connecting may take, in times of one request.
const ATTEMPT: u32 = 2;
/// How long a connection serves before it is tried whether another one could be made, in times of one request.
const REHEARSAL: u32 = 10;

/// How a server is found and logged in to.
pub(super) type Dial =
    Box<dyn Fn() -> BoxFuture<'static, Result<Dialed, ConnectError>> + Send + Sync>;

/// The shared connection to one server.
pub(super) struct Link {
    /// What is shown of the server in the log.
    label: Arc<str>,
    dial: Dial,
    state: Mutex<State>,
    rehearsing: AtomicBool,
}

type Attempt = Shared<BoxFuture<'static, Result<Connection, ConnectError>>>;

struct State {
    now: Now,
    /// Counts attempts to connect: the result of one that was given up changes nothing.
    attempt: u64,
    /// The server that was last connected to.
    run_id: Option<String>,
    /// When another server than before was found.
    changed: Option<Instant>,
    /// When it was last known that a connection can be made.
    rehearsed: Instant,
    /// Whether the last rehearsal failed.
    refused: bool,
}

enum Now {
    Idle,
    Connecting(Attempt),
    Connected(Connection),
    Refused { error: ConnectError, until: Instant },
}

impl Link {
    pub(super) fn new(label: Arc<str>, dial: Dial) -> Self {
        Self {
            label,
            dial,
            state: Mutex::new(State {
                now: Now::Idle,
                attempt: 0,
                run_id: None,
                changed: None,
                rehearsed: Instant::now(),
                refused: false,
            }),
            rehearsing: AtomicBool::new(false),
        }
    }

    /// The connection, for a request that may take as long as `op_timeout`.
    pub(super) async fn connection(
        self: &Arc<Self>,
        op_timeout: Duration,
    ) -> Result<Connection, ConnectError> {
        let attempt = {
            let mut state = self.lock();
            match &state.now {
                Now::Connected(connection) if connection.is_alive() => {
                    let connection = connection.clone();
                    if state.rehearsed.elapsed() > op_timeout * REHEARSAL {
                        state.rehearsed = Instant::now();
                        self.rehearse(op_timeout);
                    }
                    return Ok(connection);
                }
                Now::Refused { error, until } if Instant::now() < *until => {
                    return Err(error.clone());
                }
                Now::Connecting(attempt) => attempt.clone(),
                Now::Idle | Now::Connected(_) | Now::Refused { .. } => {
                    state.attempt += 1;
                    let attempt = self.attempt(state.attempt, op_timeout);
                    state.now = Now::Connecting(attempt.clone());
                    attempt
                }
            }
        };
        let result = attempt.clone().await;
        // If its runtime has ended under it, the result was never recorded.
        let mut state = self.lock();
        if matches!(&state.now, Now::Connecting(current) if current.ptr_eq(&attempt)) {
            state.now = Now::Idle;
        }
        drop(state);
        result
    }

    /// Connects in the background.
    ///
    /// A server that has restarted has lost its scripts. It is taught them here, once, or else every election
    /// would send them along.
    fn attempt(self: &Arc<Self>, number: u64, op_timeout: Duration) -> Attempt {
        let link = Arc::clone(self);
        let connecting = tokio::spawn(async move {
            let connect = async {
                let mut connection = Connection::new((link.dial)().await?).await?;
                script::load_all(&mut connection)
                    .await
                    .map_err(ConnectError::Answered)?;
                Ok(connection)
            };
            let result = within(op_timeout * ATTEMPT, connect).await;
            link.connected(number, &result);
            result
        });
        let result = async move {
            connecting.await.unwrap_or_else(|error| {
                Err(ConnectError::unreachable(format!(
                    "connecting was given up: {error}"
                )))
            })
        };
        result.boxed().shared()
    }

    fn connected(&self, number: u64, result: &Result<Connection, ConnectError>) {
        let mut state = self.lock();
        if state.attempt != number {
            return;
        }
        state.rehearsed = Instant::now();
        state.refused = false;
        if let Ok(connection) = result
            && let Some(run_id) = &connection.server().run_id
        {
            let before = state.run_id.replace(run_id.clone());
            if before.is_some_and(|before| before != *run_id) {
                state.changed = Some(Instant::now());
            }
        }
        state.now = match result {
            Ok(connection) => Now::Connected(connection.clone()),
            Err(error) => Now::Refused {
                error: error.clone(),
                until: Instant::now() + PAUSE,
            },
        };
    }

    /// Whether another server than before was found less than `within` ago: after a restart, or elsewhere. It
    /// may know an older record, or none, of a leader that still acts.
    pub(super) fn has_changed(&self, within: Duration) -> bool {
        let changed = self.lock().changed;
        changed.is_some_and(|at| at.elapsed() < within)
    }

    /// Tries in the background whether a new connection could be made, while the present one still serves: a
    /// password that was changed, a certificate that has expired, or a name that leads elsewhere shows before
    /// the connection is needed.
    fn rehearse(self: &Arc<Self>, op_timeout: Duration) {
        if self.rehearsing.swap(true, Ordering::AcqRel) {
            return;
        }
        let rehearsal = Rehearsal(Arc::clone(self));
        tokio::spawn(async move {
            let link = &rehearsal.0;
            let dialed = within(op_timeout * ATTEMPT, (link.dial)()).await;
            link.rehearsed(dialed);
        });
    }

    fn rehearsed(&self, dialed: Result<Dialed, ConnectError>) {
        let mut state = self.lock();
        let failed = dialed.as_ref().err();
        match failed {
            Some(error) if !state.refused => tracing::warn!(
                store = %self.label,
                %error,
                "a new connection to the store would fail: mend that before the present one ends",
            ),
            None if state.refused => {
                tracing::info!(store = %self.label, "new connections to the store can be made again");
            }
            Some(_) | None => {}
        }
        state.refused = failed.is_some();
        let elsewhere = match &dialed {
            Ok(dialed) => dialed.server.run_id.is_some() && dialed.server.run_id != state.run_id,
            Err(ConnectError::SeveralServers(_)) => true,
            Err(_) => false,
        };
        if elsewhere && matches!(state.now, Now::Connected(_)) {
            state.now = Now::Idle;
        }
    }

    /// Connects anew for the next request: the server is not the right one any more.
    pub(super) fn move_on(&self) {
        let mut state = self.lock();
        state.attempt += 1;
        state.now = Now::Idle;
    }

    /// Connects anew for the next request, unless somebody has done so since `used` was the connection.
    pub(super) fn drop_connection(&self, used: &Connection) {
        let mut state = self.lock();
        if matches!(&state.now, Now::Connected(current) if current.is(used)) {
            state.now = Now::Idle;
        }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The one rehearsal under way. It is over when its task ends, even if the runtime ends it.
struct Rehearsal(Arc<Link>);

impl Drop for Rehearsal {
    fn drop(&mut self) {
        self.0.rehearsing.store(false, Ordering::Release);
    }
}

async fn within<T>(
    time: Duration,
    connecting: impl Future<Output = Result<T, ConnectError>>,
) -> Result<T, ConnectError> {
    let late = |_| {
        Err(ConnectError::unreachable(format!(
            "no connection within {time:?}"
        )))
    };
    timeout(time, connecting).await.unwrap_or_else(late)
}

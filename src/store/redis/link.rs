//! The one connection of this process to a server: made when it is needed, shared, and replaced when
//! it is stuck.
//!
//! ```text
//!   idle ──first request──▶ connecting ──▶ connected ──ended, stuck, wrong server──▶ idle
//!    ▲                          │ failed       │ every now and then: would a new connection be let in,
//!    │                          ▼              │ and reach the same server? If not, warn
//!    └──────after a pause───── refused ◀──moved┘ everyone who asks meanwhile gets the same answer
//! ```
//!
//! Connecting continues when the request that began it has timed out: a connection that is ready a moment too
//! late serves the next request.
//!
//! An address that was moved to another server leaves some candidates on the old one, whose connections still
//! work, and brings others to the new one. A process that finds out therefore uses neither until every other one
//! has found out and a leader on the old server has stopped.
//!
//! A runtime with a separate link, beside the main one of the process, uses no other server than that. It may be
//! stopped between two requests, so the main link looks where the address leads.

use std::io;
use std::mem::{self, Discriminant};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use futures_util::FutureExt;
use futures_util::future::{BoxFuture, Shared};
use redis::aio::ConnectionLike;
use redis::{FromRedisValue, cmd};
use tokio::runtime::Handle;
use tokio::sync::Notify;
use tokio::time::{Instant, timeout};

use super::connection::Connection;
use super::dial::{ConnectError, Dialed, ServerInfo};
use super::{failure, script};

/// How long all requests get the error of a failed attempt before the next attempt.
const PAUSE: Duration = Duration::from_millis(20);
/// How long connecting may take, in request timeouts.
const ATTEMPT: u32 = 2;
/// How long a connection serves before a rehearsal tries whether a new one could be made. Every candidate uses
/// the same value, because the next one depends on it.
const REHEARSAL: Duration = Duration::from_secs(5);
/// The longest a rehearsal may take, and a check whether the server in use still serves.
const REHEARSING: Duration = Duration::from_secs(2);
const LOOKING: Duration = Duration::from_secs(1);
/// How long an address that was moved is not used: by then every candidate has found out, and a leader on the
/// old server has sent its last heartbeat there. A claimant on the new one then also waits for a window.
const MOVED: Duration = REHEARSAL.saturating_add(REHEARSING).saturating_add(LOOKING);

/// How much is compared before a connection is used, if an address must lead to one server.
#[derive(Clone, Copy)]
pub(super) struct Looks {
    /// The least number of connections.
    pub(super) connections: usize,
    /// How long to wait at least for an address of the other family, which often does not work.
    pub(super) patience: Duration,
}

impl Looks {
    /// Beside a connection in use.
    pub(super) const ONE: Self = Self::of(1);
    /// At first. A proxy that picks one of two servers for each connection goes unnoticed in one of eight attempts.
    const FIRST: Self = Self::of(4);
    /// Once the address is known to have led to several servers.
    const SUSPICIOUS: Self = Self::of(16);

    const fn of(connections: usize) -> Self {
        Self {
            connections,
            patience: Duration::ZERO,
        }
    }
}

/// How to find a server and log in to it.
pub(super) type Dial =
    Box<dyn Fn(Looks) -> BoxFuture<'static, Result<Dialed, ConnectError>> + Send + Sync>;

/// What an address may lead to over time.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum LeadsTo {
    /// One server, which may be restarted, or replaced when it is gone.
    OneServer,
    /// The server that has the role now: the master that sentinels name, a node of a cluster.
    CurrentRole,
}

/// The shared connection to one server.
pub(super) struct Link {
    /// How the log shows the server.
    label: Arc<str>,
    dial: Dial,
    leads_to: LeadsTo,
    /// The main link, if this is one of a single runtime.
    main: Option<Arc<Self>>,
    state: Mutex<State>,
    rehearsing: AtomicBool,
    /// Notified when the next connection goes to another server.
    pub(super) elsewhere: Notify,
}

type Attempt = Shared<BoxFuture<'static, Result<Connection, ConnectError>>>;

struct State {
    now: Now,
    /// Counts attempts to connect: the result of an abandoned one changes nothing.
    attempt: u64,
    /// The server that was last connected to.
    run_id: Option<String>,
    /// Whether the address has led to several servers at once.
    suspicious: bool,
    /// When to try whether a connection can be made.
    rehearsal: Instant,
    /// How the last rehearsal failed.
    refused: Option<Discriminant<ConnectError>>,
    /// Where the main link was last connected.
    runtime: Option<Handle>,
    /// How often the main link has found that the address led elsewhere; of a separate link, when it last connected.
    moves: u64,
}

enum Now {
    Idle,
    Connecting(Attempt),
    Connected(Connection),
    Refused { error: ConnectError, until: Instant },
}

impl Link {
    pub(super) fn new(
        label: Arc<str>,
        leads_to: LeadsTo,
        main: Option<Arc<Self>>,
        dial: Dial,
    ) -> Self {
        Self {
            label,
            dial,
            leads_to,
            main,
            state: Mutex::new(State {
                now: Now::Idle,
                attempt: 0,
                run_id: None,
                suspicious: false,
                rehearsal: Instant::now() + REHEARSAL,
                refused: None,
                runtime: None,
                moves: 0,
            }),
            rehearsing: AtomicBool::new(false),
            elsewhere: Notify::new(),
        }
    }

    /// The connection, for a request that may take as long as `op_timeout`.
    pub(super) async fn connection(
        self: &Arc<Self>,
        op_timeout: Duration,
    ) -> Result<Connection, ConnectError> {
        let moves = self.main.as_ref().map(|main| main.moves()).transpose()?;
        let attempt = {
            let mut state = self.lock();
            match &state.now {
                Now::Connected(connection)
                    if connection.is_alive()
                        && moves.is_none_or(|(moves, _)| state.moves >= moves)
                        && self.is_as_main(connection) =>
                {
                    let connection = connection.clone();
                    if Instant::now() > state.rehearsal {
                        state.rehearsal = Instant::now() + REHEARSAL;
                        match &self.main {
                            Some(main) => main.look_on_its_runtime(op_timeout),
                            None => self.look(&Handle::current(), op_timeout),
                        }
                    }
                    return Ok(connection);
                }
                Now::Refused { error, until } if Instant::now() < *until => {
                    return Err(error.clone());
                }
                Now::Connecting(attempt) => attempt.clone(),
                Now::Idle | Now::Connected(_) | Now::Refused { .. } => {
                    state.attempt += 1;
                    state.suspicious |= moves.is_some_and(|(_, suspicious)| suspicious);
                    let looks = match state.suspicious {
                        true => Looks::SUSPICIOUS,
                        false => Looks::FIRST,
                    };
                    let attempt = self.attempt(state.attempt, looks, op_timeout);
                    state.now = Now::Connecting(attempt.clone());
                    attempt
                }
            }
        };
        let result = attempt.clone().await;
        // If its runtime has ended meanwhile, the result was never recorded.
        let mut state = self.lock();
        if matches!(&state.now, Now::Connecting(current) if current.ptr_eq(&attempt)) {
            state.now = Now::Idle;
        }
        drop(state);
        result
    }

    /// Connects in the background.
    ///
    /// A server that has restarted has lost its scripts. They are loaded here, once; otherwise every election
    /// would send them along.
    fn attempt(self: &Arc<Self>, number: u64, looks: Looks, op_timeout: Duration) -> Attempt {
        let link = Arc::clone(self);
        let connecting = tokio::spawn(async move {
            let mut is_uncompared = false;
            let connect = async {
                let dialed = (link.dial)(looks).await?;
                is_uncompared = dialed.is_uncompared;
                if let Some(main) = &link.main {
                    let (moves, _) = link.compare(main, &dialed.server, op_timeout).await?;
                    link.lock().moves = moves;
                }
                let mut connection = Connection::new(dialed).await?;
                script::load_all(&mut connection)
                    .await
                    .map_err(ConnectError::Answered)?;
                Ok(connection)
            };
            let result = within(op_timeout * ATTEMPT, connect).await;
            link.connected(number, &result, is_uncompared);
            result
        });
        let result = async move {
            connecting.await.unwrap_or_else(|error| {
                Err(ConnectError::unreachable(format!(
                    "connecting failed: {error}"
                )))
            })
        };
        result.boxed().shared()
    }

    /// How often the address has led elsewhere, and whether it is suspicious; an error while it is not used for that.
    fn moves(&self) -> Result<(u64, bool), ConnectError> {
        let state = self.lock();
        match &state.now {
            Now::Refused {
                error: error @ ConnectError::SeveralServers(_),
                until,
            } if Instant::now() < *until => Err(error.clone()),
            _ => Ok((state.moves, state.suspicious)),
        }
    }

    /// The connection, if it may be used.
    fn used(&self) -> Option<Connection> {
        match &self.lock().now {
            Now::Connected(used) if used.is_alive() => Some(used.clone()),
            _ => None,
        }
    }

    /// Whether the main link, if it is connected, uses this server too.
    fn is_as_main(&self, connection: &Connection) -> bool {
        let used = self.main.as_ref().and_then(|main| main.used());
        used.is_none_or(|used| !connection.server().is_another_than(used.server()))
    }

    /// Compares the server that was found with the one that the main link uses. Returns [`Link::moves`] of that.
    async fn compare(
        &self,
        main: &Self,
        server: &ServerInfo,
        op_timeout: Duration,
    ) -> Result<(u64, bool), ConnectError> {
        let another = |used: &Connection| server.is_another_than(used.server());
        if let Some(used) = main.used().filter(another) {
            let serves = self.leads_to == LeadsTo::OneServer
                && still_serves(&used, op_timeout.min(LOOKING)).await;
            main.moved(&used, serves.then(|| moved_to(server, &used)));
        }
        main.moves()
    }

    fn connected(
        &self,
        number: u64,
        result: &Result<Connection, ConnectError>,
        is_uncompared: bool,
    ) {
        let mut state = self.lock();
        if state.attempt != number {
            return;
        }
        let soon = match is_uncompared {
            true => Duration::ZERO,
            false => REHEARSAL,
        };
        state.rehearsal = Instant::now() + soon;
        state.refused = None;
        if self.main.is_none() {
            state.runtime = Handle::try_current().ok();
        }
        if let Ok(connection) = result
            && let Some(run_id) = &connection.server().run_id
        {
            let before = state.run_id.replace(run_id.clone());
            if before.is_some_and(|before| before != *run_id) {
                self.elsewhere.notify_one();
            }
        }
        let several = matches!(result, Err(ConnectError::SeveralServers(_)));
        state.suspicious |= several;
        if let Some(main) = &self.main {
            main.lock().suspicious |= several;
        }
        // A process that has used none of the servers has no one to wait for.
        let pause = match several && state.run_id.is_some() {
            true => MOVED,
            false => PAUSE,
        };
        state.now = match result {
            Ok(connection) => Now::Connected(connection.clone()),
            Err(error) => Now::Refused {
                error: error.clone(),
                until: Instant::now() + pause,
            },
        };
    }

    fn look_on_its_runtime(self: &Arc<Self>, op_timeout: Duration) {
        let runtime = self.lock().runtime.clone();
        if let Some(runtime) = runtime {
            self.look(&runtime, op_timeout);
        }
    }

    /// Tries in the background whether a new connection could be made, while the current one still serves: a
    /// changed password, an expired certificate, or a name that leads elsewhere shows before the connection is
    /// needed.
    pub(super) fn look(self: &Arc<Self>, runtime: &Handle, op_timeout: Duration) {
        if self.rehearsing.swap(true, Ordering::AcqRel) {
            return;
        }
        let rehearsal = Rehearsal(Arc::clone(self));
        runtime.spawn(async move { rehearsal.0.rehearse(op_timeout).await });
    }

    async fn rehearse(self: &Arc<Self>, op_timeout: Duration) {
        if self.used().is_none() {
            // What is not connected is compared when it is. An error is that of the next request too.
            return drop(self.connection(op_timeout).await);
        }
        let time = (op_timeout * ATTEMPT).min(REHEARSING);
        let looks = Looks {
            patience: time * 3 / 4,
            ..Looks::ONE
        };
        let dialed = within(time, (self.dial)(looks)).await;
        if let Some((used, found)) = self.rehearsed(dialed) {
            let serves = self.leads_to == LeadsTo::OneServer
                && still_serves(&used, op_timeout.min(LOOKING)).await;
            self.moved(&used, serves.then_some(found));
        }
    }

    /// Records how a rehearsal ended. If it reached another server than the one in use, returns the
    /// connection to that, and what was found.
    fn rehearsed(&self, dialed: Result<Dialed, ConnectError>) -> Option<(Connection, String)> {
        let mut state = self.lock();
        let failed = dialed
            .as_ref()
            .err()
            .map(|error| (error, mem::discriminant(error)));
        match failed {
            Some((error, kind)) if state.refused != Some(kind) => tracing::warn!(
                store = %self.label,
                %error,
                "a new connection to the store would fail: fix this before the current one ends",
            ),
            None if state.refused.is_some() => {
                tracing::info!(store = %self.label, "new connections to the store can be made again");
            }
            Some(_) | None => {}
        }
        state.refused = failed.map(|(_, kind)| kind);
        let Now::Connected(used) = &state.now else {
            return None;
        };
        let found = match dialed {
            Ok(Dialed { server, .. }) if server.is_another_than(used.server()) => {
                moved_to(&server, used)
            }
            Err(ConnectError::SeveralServers(found)) => found,
            Ok(_) | Err(_) => return None,
        };
        Some((used.clone(), found))
    }

    /// The address leads elsewhere. While the server in use still serves, other processes may use it too, so
    /// neither is used for a while; otherwise the next request goes to the new one.
    fn moved(&self, used: &Connection, found: Option<String>) {
        let mut state = self.lock();
        if !matches!(&state.now, Now::Connected(current) if current.is(used)) {
            return;
        }
        state.moves += 1;
        self.elsewhere.notify_one();
        state.now = match found {
            None => Now::Idle,
            Some(found) => {
                state.suspicious = true;
                let error = format!("{found}. Neither is used for {MOVED:?}");
                tracing::warn!(store = %self.label, %error, "the address of the store leads to another server");
                Now::Refused {
                    error: ConnectError::SeveralServers(error),
                    until: Instant::now() + MOVED,
                }
            }
        };
    }

    /// Reconnects for the next request: the server is no longer the right one.
    pub(super) fn move_on(&self) {
        let mut state = self.lock();
        state.attempt += 1;
        state.moves += 1;
        state.now = Now::Idle;
        self.elsewhere.notify_one();
    }

    /// Reconnects for the next request, unless that has been done since `used` was the connection.
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

/// The one rehearsal in progress. It is over when its task ends, even if the runtime ends it.
struct Rehearsal(Arc<Link>);

impl Drop for Rehearsal {
    fn drop(&mut self) {
        self.0.rehearsing.store(false, Ordering::Release);
    }
}

fn moved_to(found: &ServerInfo, used: &Connection) -> String {
    let [found, known] = [found, used.server()].map(ServerInfo::short_id);
    format!(
        "it led to the server with run_id {known}, which still serves, and leads to the one with run_id {found} now: \
         a store is one server, and each of these could have a leader"
    )
}

/// Whether the server at the other end of a connection still accepts writes.
async fn still_serves(used: &Connection, time: Duration) -> bool {
    let mut used = used.clone();
    let info = cmd("INFO");
    let asking = async { script::value(used.req_packed_command(&info).await) };
    match timeout(time, asking).await {
        Ok(Ok(said)) => {
            String::from_redis_value(said).is_ok_and(|said| !ServerInfo::read(&said).is_replica)
        }
        // The user may have lost the permission since.
        Ok(Err(error)) => failure::is_refusal(&error),
        Err(_elapsed) => false,
    }
}

async fn within<T>(
    time: Duration,
    connecting: impl Future<Output = Result<T, ConnectError>>,
) -> Result<T, ConnectError> {
    let late = |_| {
        let error = io::Error::new(
            io::ErrorKind::TimedOut,
            format!("no connection within {time:?}"),
        );
        Err(ConnectError::Unreachable(Arc::new(error)))
    };
    timeout(time, connecting).await.unwrap_or_else(late)
}

/// Whether connecting took too long, so that what it waited for is the reason.
pub(super) fn is_timeout(error: &(dyn std::error::Error + Send + Sync + 'static)) -> bool {
    let error = error.downcast_ref::<io::Error>();
    error.is_some_and(|error| error.kind() == io::ErrorKind::TimedOut)
}

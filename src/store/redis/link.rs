//! The one connection of this process to a server: made when it is needed, shared, and replaced when
//! it is stuck.
//!
//! ```text
//!   idle ──first request──▶ connecting ──▶ connected ──ended, stuck, wrong server──▶ idle
//!    ▲                          │ failed
//!    └──────after a pause───── refused         everyone who asks meanwhile gets the same answer
//! ```
//!
//! The client library would wait for a stuck connection for ever; here one timeout spans connecting and
//! the request, and whoever runs into it drops the connection for all.

use std::future::Future;
use std::pin::{Pin, pin};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use futures_util::FutureExt;
use futures_util::future::Shared;
use redis::{RedisError, RedisResult};
use tokio::time::Instant;
use tokio::time::error::Elapsed;

use super::connection::Connection;
use super::failure::{Stage, spoils_connection, store_error, timed_out};
use super::topology::Topology;
use crate::store::{StoreError, let_others_go_first};

/// How long everyone is told of a failed attempt before the next one is made.
const PAUSE: Duration = Duration::from_millis(20);

/// The shared connection to one server.
pub(super) struct Link {
    topology: Arc<Topology>,
    state: Mutex<State>,
}

type Attempt = Shared<Pin<Box<dyn Future<Output = RedisResult<Connection>> + Send>>>;

enum State {
    Idle,
    Connecting(Attempt),
    Connected(Connection),
    Refused { error: RedisError, until: Instant },
}

impl Link {
    pub(super) const fn new(topology: Arc<Topology>) -> Self {
        Self {
            topology,
            state: Mutex::new(State::Idle),
        }
    }

    /// Carries out one request within `timeout`, connecting included.
    pub(super) async fn request<T, F>(
        &self,
        store: &Arc<str>,
        timeout: Duration,
        request: impl FnOnce(Connection) -> F,
    ) -> Result<T, StoreError>
    where
        F: Future<Output = RedisResult<T>>,
    {
        let mut used = None;
        let outcome = in_time(timeout, async {
            let connection = self.connection().await?;
            request(used.insert(connection).clone()).await
        })
        .await;
        let stage = match &used {
            Some(used) if used.is_cluster() => Stage::SentToCluster,
            Some(_) => Stage::Sent,
            None => Stage::Connecting,
        };
        match outcome {
            Ok(Ok(value)) => Ok(value),
            Ok(Err(error)) => {
                if let Some(used) = used.filter(|_| spoils_connection(&error)) {
                    self.drop_connection(&used);
                }
                Err(store_error(store, error, stage))
            }
            Err(_elapsed) => {
                match used {
                    Some(used) => self.drop_connection(&used),
                    None => self.drop_attempt(),
                }
                Err(timed_out(store, stage))
            }
        }
    }

    async fn connection(&self) -> RedisResult<Connection> {
        let attempt = match &mut *self.lock() {
            State::Connected(connection) if connection.is_alive() => {
                return Ok(connection.clone());
            }
            State::Refused { error, until } if Instant::now() < *until => {
                return Err(error.clone());
            }
            State::Connecting(attempt) => attempt.clone(),
            state => {
                let topology = Arc::clone(&self.topology);
                let attempt = async move { topology.connect().await }.boxed().shared();
                *state = State::Connecting(attempt.clone());
                attempt
            }
        };
        let result = attempt.clone().await;
        // The first of those who waited records the result, unless the attempt was given up meanwhile.
        let mut state = self.lock();
        if matches!(&*state, State::Connecting(current) if current.ptr_eq(&attempt)) {
            *state = match &result {
                Ok(connection) => State::Connected(connection.clone()),
                Err(error) => State::Refused {
                    error: error.clone(),
                    until: Instant::now() + PAUSE,
                },
            };
        }
        result
    }

    /// Connects anew for the next request: the server is not the right one any more.
    #[cfg(feature = "sentinel")]
    pub(super) fn move_on(&self) {
        *self.lock() = State::Idle;
    }

    fn drop_connection(&self, used: &Connection) {
        let mut state = self.lock();
        if matches!(&*state, State::Connected(current) if current.is(used)) {
            *state = State::Idle;
        }
    }

    /// Others may still wait for the attempt; who comes next begins a new one.
    fn drop_attempt(&self) {
        let mut state = self.lock();
        if matches!(&*state, State::Connecting(_)) {
            *state = State::Idle;
        }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// What comes of a request within `timeout`. The connection writes it before a timer is set, which may take
/// a look at all others.
async fn in_time<T>(timeout: Duration, request: impl Future<Output = T>) -> Result<T, Elapsed> {
    let until = Instant::now() + timeout;
    let mut request = pin!(request);
    if let Some(outcome) = request.as_mut().now_or_never() {
        return Ok(outcome);
    }
    let_others_go_first().await;
    tokio::time::timeout_at(until, request).await
}

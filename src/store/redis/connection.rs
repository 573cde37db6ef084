//! One connection that many requests share at once.

use std::sync::Arc;

use redis::aio::{ConnectionLike, MultiplexedConnection};
use redis::{
    AsyncConnectionConfig, Cmd, Pipeline, ProtocolVersion, RedisConnectionInfo, RedisFuture,
    RedisResult, Value,
};
use tokio::task::AbortHandle;

use super::dial::{ConnectError, Dialed, ServerInfo};
use super::stream::Alive;

/// How many requests may wait to be written before callers wait.
const PIPELINE: usize = 1024;

/// A connection to a server, which ends with the last clone of it.
#[derive(Clone)]
pub(super) struct Connection {
    wire: MultiplexedConnection,
    driver: Arc<Driver>,
    /// Whether each command follows a redirection to a node that is about to own the slot.
    asking: bool,
}

/// The task that moves the bytes.
struct Driver {
    task: AbortHandle,
    alive: Alive,
    server: ServerInfo,
}

impl Drop for Driver {
    fn drop(&mut self) {
        self.task.abort();
    }
}

/// The settings of a connection that is logged in already.
pub(super) fn logged_in() -> RedisConnectionInfo {
    RedisConnectionInfo::default()
        .set_protocol(ProtocolVersion::RESP2)
        .set_skip_set_lib_name()
}

impl Connection {
    pub(super) async fn new(dialed: Dialed) -> Result<Self, ConnectError> {
        let Dialed { stream, server, .. } = dialed;
        let alive = stream.alive();
        // The caller of a request keeps time.
        let config = AsyncConnectionConfig::new()
            .set_connection_timeout(None)
            .set_response_timeout(None)
            .set_pipeline_buffer_size(PIPELINE);
        let (wire, driver) = MultiplexedConnection::new_with_config(&logged_in(), stream, config)
            .await
            .map_err(ConnectError::Answered)?;
        let task = tokio::spawn(driver).abort_handle();
        Ok(Self {
            wire,
            driver: Arc::new(Driver {
                task,
                alive,
                server,
            }),
            asking: false,
        })
    }

    /// Whether it is not known to have ended.
    pub(super) fn is_alive(&self) -> bool {
        self.driver.alive.get()
    }

    /// Whether two are the same connection.
    pub(super) fn is(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.driver, &other.driver)
    }

    /// The server at the other end.
    pub(super) fn server(&self) -> &ServerInfo {
        &self.driver.server
    }

    /// The same connection, for a slot that is about to move to this node.
    pub(super) fn asking(mut self) -> Self {
        self.asking = true;
        self
    }
}

impl ConnectionLike for Connection {
    fn req_packed_command<'a>(&'a mut self, cmd: &'a Cmd) -> RedisFuture<'a, Value> {
        if !self.asking {
            return self.wire.req_packed_command(cmd);
        }
        Box::pin(async move {
            let mut both = Pipeline::with_capacity(2);
            both.cmd("ASKING").add_command(cmd.clone());
            let answers: RedisResult<Vec<Value>> = self.wire.req_packed_commands(&both, 1, 1).await;
            Ok(answers?.pop().unwrap_or(Value::Nil))
        })
    }

    fn req_packed_commands<'a>(
        &'a mut self,
        pipeline: &'a Pipeline,
        offset: usize,
        count: usize,
    ) -> RedisFuture<'a, Vec<Value>> {
        self.wire.req_packed_commands(pipeline, offset, count)
    }

    fn get_db(&self) -> i64 {
        self.wire.get_db()
    }
}

//! A fence around any command of a Redis.

use std::fmt;
use std::sync::{Arc, LazyLock};

use redis::aio::ConnectionLike as AsyncConnection;
use redis::{
    Arg, Cmd, ConnectionLike, FromRedisValue, RedisError, Script, ScriptInvocation, Value,
};

use super::FenceError;
use crate::protocol::FencingToken;

/// A key of a Redis that holds the highest fencing token seen, and lets commands through that carry no
/// lower one.
///
/// Comparison, raise and command are one script, so nothing comes in between. The server must keep the
/// key as safely as the data it guards: on the same server, and in a Cluster in the same slot, which a
/// common `{tag}` in the names brings about.
///
/// Programs in other languages evaluate [`RedisFence::SCRIPT`]: its head says how.
///
/// # Examples
///
/// ```no_run
/// use incumbent::fence::RedisFence;
/// # async fn example(lease: incumbent::Lease) -> Result<(), Box<dyn std::error::Error>> {
/// let client = redis::Client::open("redis://127.0.0.1/")?;
/// let mut connection = client.get_multiplexed_async_connection().await?;
/// let fence = RedisFence::new("{ledger}:token");
///
/// fence.raise(&mut connection, lease.fencing_token()).await?;
/// let append = redis::cmd("RPUSH").arg("{ledger}").arg("entry").to_owned();
/// let entries: u64 = fence
///     .run(&mut connection, lease.fencing_token(), &["{ledger}"], &append)
///     .await?;
/// # Ok(())
/// # }
/// ```
#[derive(Clone)]
pub struct RedisFence {
    key: Arc<str>,
}

impl RedisFence {
    /// The script: `EVAL SCRIPT n fence-key [key …] token [command argument …]`.
    pub const SCRIPT: &'static str = include_str!("fence.lua");
    /// The most arguments that a fenced command may have: what Lua's stack holds, with room to spare.
    pub const MAX_ARGUMENTS: usize = 4096;

    /// A fence whose highest token stands in `key`.
    #[must_use]
    pub fn new(key: &str) -> Self {
        Self { key: key.into() }
    }

    /// Carries out `command`, which touches `keys`, unless a token higher than `token` was seen.
    ///
    /// A command that is not idempotent must not be repeated after [`FenceError::Redis`] before its
    /// effect was looked for: it may have been carried out.
    ///
    /// # Errors
    ///
    /// [`FenceError::Stale`] when a newer leader was seen; [`FenceError::Redis`] when the server failed
    /// or refused the command itself; [`FenceError::Command`] when it has too many arguments.
    pub async fn run<C, T>(
        &self,
        connection: &mut C,
        token: FencingToken,
        keys: &[&str],
        command: &Cmd,
    ) -> Result<T, FenceError>
    where
        C: AsyncConnection,
        T: FromRedisValue,
    {
        let invocation = self.invocation(token, keys, Some(command))?;
        let answer = invocation.invoke_async(connection).await;
        self.outcome(token, answer)
    }

    /// As [`RedisFence::run`], over a connection that blocks.
    ///
    /// # Errors
    ///
    /// As [`RedisFence::run`].
    pub fn run_blocking<T: FromRedisValue>(
        &self,
        connection: &mut dyn ConnectionLike,
        token: FencingToken,
        keys: &[&str],
        command: &Cmd,
    ) -> Result<T, FenceError> {
        let answer = self
            .invocation(token, keys, Some(command))?
            .invoke(connection);
        self.outcome(token, answer)
    }

    /// Shows the fence the token of a new leader, so that nothing of its predecessors gets through any
    /// more. To be done before reading what they left.
    ///
    /// # Errors
    ///
    /// As [`RedisFence::run`].
    pub async fn raise(
        &self,
        connection: &mut impl AsyncConnection,
        token: FencingToken,
    ) -> Result<(), FenceError> {
        let invocation = self.invocation(token, &[], None)?;
        let answer = invocation.invoke_async(connection).await;
        self.outcome(token, answer)
    }

    /// As [`RedisFence::raise`], over a connection that blocks.
    ///
    /// # Errors
    ///
    /// As [`RedisFence::run`].
    pub fn raise_blocking(
        &self,
        connection: &mut dyn ConnectionLike,
        token: FencingToken,
    ) -> Result<(), FenceError> {
        let answer = self.invocation(token, &[], None)?.invoke(connection);
        self.outcome(token, answer)
    }

    fn invocation(
        &self,
        token: FencingToken,
        keys: &[&str],
        command: Option<&Cmd>,
    ) -> Result<ScriptInvocation<'static>, FenceError> {
        static PREPARED: LazyLock<Script> = LazyLock::new(|| Script::new(RedisFence::SCRIPT));
        let mut invocation = PREPARED.key(&*self.key);
        for key in keys {
            invocation.key(*key);
        }
        invocation.arg(token.get());
        let arguments = command.into_iter().flat_map(Cmd::args_iter);
        for (index, argument) in arguments.enumerate() {
            let Arg::Simple(bytes) = argument else {
                let reason = "it is a cursor, which only reads";
                return Err(FenceError::Command { reason });
            };
            if index == Self::MAX_ARGUMENTS {
                let reason = "it has more than 4096 arguments: split it";
                return Err(FenceError::Command { reason });
            }
            invocation.arg(bytes);
        }
        Ok(invocation)
    }

    fn outcome<T: FromRedisValue>(
        &self,
        token: FencingToken,
        answer: Result<(String, Value), RedisError>,
    ) -> Result<T, FenceError> {
        let failed = |source| FenceError::Redis {
            resource: Arc::clone(&self.key),
            source: Arc::new(source),
        };
        let (verdict, value) = answer.map_err(failed)?;
        if verdict == "done" {
            return T::from_redis_value(value).map_err(|error| failed(error.into()));
        }
        let seen = String::from_redis_value(value).map_err(|error| failed(error.into()))?;
        match seen.parse() {
            Ok(highest) if verdict == "stale" => Err(FenceError::Stale {
                token,
                highest,
                resource: Arc::clone(&self.key),
            }),
            Ok(_) | Err(_) => Err(FenceError::garbled(&self.key, seen.as_bytes())),
        }
    }
}

impl fmt::Debug for RedisFence {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "RedisFence({})", self.key)
    }
}

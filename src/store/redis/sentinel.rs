//! The sentinels of a deployment: which server is the master, and when that changes.
//!
//! All of them are asked at once, and the first answer that leads to a master counts, so one that hangs delays
//! nothing.

use std::fmt::Display;
use std::time::Duration;

use futures_util::StreamExt;
use futures_util::future::join_all;
use futures_util::stream::FuturesUnordered;
use redis::aio::{ConnectionLike, PubSub};
use redis::{FromRedisValue, RedisResult};

use super::connection::{Connection, logged_in};
use super::dial::{ConnectError, Dialed, Dialer};
use super::pause::Pauses;
use super::{failure, names, script};
use crate::store::address::Endpoint;

/// How long connecting to a sentinel for its messages may take.
pub(super) const TIMEOUT: Duration = Duration::from_secs(2);
const CHANNEL: &str = "+switch-master";

/// The sentinels that know the master of a service.
pub(super) struct Sentinels {
    pub(super) endpoints: Vec<Endpoint>,
    pub(super) service: String,
    /// The log-in for them, separate from that for the servers.
    pub(super) dialer: Dialer,
}

impl Sentinels {
    /// Connects to the master, with the log-in `servers`.
    pub(super) async fn master(&self, servers: &Dialer) -> Result<Dialed, ConnectError> {
        let mut asking: FuturesUnordered<_> = self
            .endpoints
            .iter()
            .map(|sentinel| self.master_known_to(sentinel, servers))
            .collect();
        let mut failed = Vec::new();
        while let Some(answer) = asking.next().await {
            match answer {
                Ok(dialed) => return Ok(dialed),
                Err(error) => failed.push(error),
            }
        }
        // A refusal decides nothing while another sentinel may find a master in a moment.
        let may_pass = |error: &ConnectError| matches!(error, ConnectError::Unreachable(_));
        let at = failed.iter().position(may_pass).unwrap_or(0);
        Err(failed.swap_remove(at))
    }

    async fn master_known_to(
        &self,
        sentinel: &Endpoint,
        servers: &Dialer,
    ) -> Result<Dialed, ConnectError> {
        let by = |error| by_way_of("a sentinel", sentinel, error);
        let master = self.ask(sentinel).await.map_err(by)?;
        let by = |error| by_way_of("the master", &master, error);
        let dialed = names::any(servers, &master).await.map_err(by)?;
        if dialed.server.is_replica {
            return Err(ConnectError::unreachable(format!(
                "{master}, which the sentinel {sentinel} names as the master, is a replica"
            )));
        }
        Ok(dialed)
    }

    async fn ask(&self, sentinel: &Endpoint) -> Result<Endpoint, ConnectError> {
        let mut connection = Connection::new(names::any(&self.dialer, sentinel).await?).await?;
        let mut question = redis::cmd("SENTINEL");
        question.arg("GET-MASTER-ADDR-BY-NAME").arg(&self.service);
        let answer = script::value(connection.req_packed_command(&question).await);
        let answer = answer.map_err(|error| match failure::is_unknown_command(&error) {
            true => ConnectError::Misconfigured(format!(
                "it is no sentinel ({}): use redis://, or the address of a sentinel",
                failure::words(&error)
            )),
            false => ConnectError::Answered(error),
        })?;
        let master = Option::<(String, u16)>::from_redis_value(answer)
            .map_err(|error| ConnectError::Answered(error.into()))?;
        let (host, port) = master.ok_or_else(|| {
            ConnectError::unreachable(format!("it knows no master of {:?}", self.service))
        })?;
        Ok(Endpoint { host, port })
    }
}

/// The same error, with its origin.
pub(super) fn by_way_of(what: &str, endpoint: impl Display, error: ConnectError) -> ConnectError {
    let message = format!("{what} ({endpoint}): {error}");
    match error {
        ConnectError::Unreachable(_) => ConnectError::unreachable(message),
        ConnectError::Denied(_) => ConnectError::Denied(message),
        ConnectError::Misconfigured(_) => ConnectError::Misconfigured(message),
        ConnectError::SeveralServers(_) => ConnectError::SeveralServers(message),
        ConnectError::Answered(error) => match failure::is_refusal(&error) {
            true => ConnectError::Denied(message),
            false => ConnectError::unreachable(message),
        },
    }
}

/// Calls `switched` whenever a sentinel names a new master. Every sentinel counts, because one that has not
/// heard yet still leads to the old master. What a sentinel announced before is not heard, so `listening` is called as
/// soon as one is listened to.
///
/// After a failover the old master may keep answering for more than ten seconds, and what it acknowledges then is
/// lost. A leader that stayed with it would not see its successor on the new one.
pub(super) async fn watch(
    sentinels: &Sentinels,
    switched: impl Fn() + Send + Sync,
    listening: impl Fn() + Send + Sync,
) {
    let hear = |message: &[u8]| {
        if is_about(message, &sentinels.service) {
            tracing::debug!(service = sentinels.service, "a sentinel names a new master");
            switched();
        }
    };
    let each = sentinels.endpoints.iter();
    join_all(each.map(|sentinel| listen(sentinels, sentinel, &hear, &listening))).await;
}

async fn listen(
    sentinels: &Sentinels,
    sentinel: &Endpoint,
    hear: &(impl Fn(&[u8]) + Sync),
    listening: &(impl Fn() + Sync),
) {
    let mut pauses = Pauses::new();
    loop {
        let connecting = tokio::time::timeout(TIMEOUT, subscribe(sentinels, sentinel));
        match connecting.await {
            Ok(Ok(connection)) => {
                listening();
                let mut messages = connection.into_on_message();
                while let Some(message) = messages.next().await {
                    hear(message.get_payload_bytes());
                }
            }
            Ok(Err(error)) => tracing::debug!(%sentinel, %error, "cannot listen to a sentinel"),
            Err(_elapsed) => tracing::debug!(%sentinel, "a sentinel does not answer"),
        }
        pauses.wait().await;
    }
}

async fn subscribe(sentinels: &Sentinels, sentinel: &Endpoint) -> Result<PubSub, ConnectError> {
    let dialed = names::any(&sentinels.dialer, sentinel).await?;
    let subscribing: RedisResult<PubSub> = async {
        let mut connection = PubSub::new(&logged_in(), dialed.stream).await?;
        connection.subscribe(CHANNEL).await?;
        Ok(connection)
    }
    .await;
    subscribing.map_err(ConnectError::Answered)
}

/// Whether a message, `service old-host old-port new-host new-port`, is about this service.
fn is_about(message: &[u8], service: &str) -> bool {
    let after = message.strip_prefix(service.as_bytes());
    after.is_some_and(|after| after.starts_with(b" "))
}

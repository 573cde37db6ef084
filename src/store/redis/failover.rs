//! The sentinels' word that a service has a new master.
//!
//! After a failover the old master may go on answering for ten seconds and more, and what it
//! acknowledges then is lost. A leader that stayed with it would not see its successor on the new one.
//! So every sentinel that the address names is listened to, and the connections are replaced at once.

use std::time::Duration;

use futures_util::StreamExt;
use futures_util::future::join_all;
use redis::{Client, ConnectionAddr, Msg, RedisResult};

use super::pause::Pauses;
use super::sentinel::Sentinels;

/// How long connecting to a sentinel may take.
const TIMEOUT: Duration = Duration::from_secs(2);
const CHANNEL: &str = "+switch-master";

/// Calls `switched` whenever a sentinel names a new master for `service`. Every sentinel counts, for one
/// that has not heard yet still leads to the old master.
pub(super) async fn watch(sentinels: Sentinels, switched: impl Fn() + Send + Sync) {
    let hear = |message: &[u8]| {
        if is_about(message, &sentinels.service) {
            tracing::debug!(service = sentinels.service, "a sentinel names a new master");
            switched();
        }
    };
    let each = sentinels.addresses.iter();
    join_all(each.map(|sentinel| listen(&sentinels, sentinel, &hear))).await;
}

async fn listen(sentinels: &Sentinels, sentinel: &ConnectionAddr, hear: &(impl Fn(&[u8]) + Sync)) {
    let mut pauses = Pauses::new();
    loop {
        let heard = |message: Msg| hear(message.get_payload_bytes());
        if let Err(error) = listen_once(sentinels, sentinel, heard).await {
            tracing::debug!(%sentinel, %error, "a sentinel is not listened to for now");
        }
        pauses.wait().await;
    }
}

async fn listen_once(
    sentinels: &Sentinels,
    sentinel: &ConnectionAddr,
    heard: impl Fn(Msg),
) -> RedisResult<()> {
    let info = sentinels.connection_info(sentinel)?;
    let connecting = async {
        let mut connection = Client::open(info)?.get_async_pubsub().await?;
        connection.subscribe(CHANNEL).await?;
        RedisResult::Ok(connection)
    };
    let connection = match tokio::time::timeout(TIMEOUT, connecting).await {
        Ok(connection) => connection?,
        Err(_elapsed) => return Err(std::io::Error::from(std::io::ErrorKind::TimedOut).into()),
    };
    let mut messages = connection.into_on_message();
    while let Some(message) = messages.next().await {
        heard(message);
    }
    Ok(())
}

/// Whether a message, `service old-host old-port new-host new-port`, is about this service.
fn is_about(message: &[u8], service: &str) -> bool {
    let after = message.strip_prefix(service.as_bytes());
    after.is_some_and(|after| after.starts_with(b" "))
}

//! The releases of all elections on one server, over a connection of their own.
//!
//! ```text
//!   RELEASE ──PUBLISH {K}:events──▶ connection ──▶ Listeners ──▶ WakeUps of each standby, bounded
//!                                       │ ended
//!                                       └──▶ connect again, after a pause that doubles up to a second
//! ```
//!
//! A release that happens while there is no connection is not told of: the standbys' polls find it.

use std::collections::HashMap;
use std::future::Future;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use redis::{PushInfo, PushKind, RedisResult, Value};
use tokio::runtime::Handle;
use tokio::sync::{Notify, mpsc};
use tokio::task::JoinHandle;

use super::connection::{Connection, PushSender};
use super::reply;
use super::topology::Topology;
use crate::protocol::{Record, WallMillis};
use crate::store::WakeUps;

/// How long connecting and subscribing may take.
const TIMEOUT: Duration = Duration::from_secs(2);
/// The pause before the second attempt; it doubles with each.
const FIRST_PAUSE: Duration = Duration::from_millis(10);
/// The longest pause between two attempts.
const LONGEST_PAUSE: Duration = Duration::from_secs(1);
/// How often elections are looked for that nobody waits for any more.
const HOUSEKEEPING: Duration = Duration::from_secs(5);
/// How many channels one request subscribes to.
const BATCH: usize = 1000;

/// Where the standbys of this process wait for releases on one server.
pub(super) struct Subscription {
    topology: Arc<Topology>,
    listeners: Arc<Listeners>,
    task: Mutex<Option<JoinHandle<()>>>,
}

impl Subscription {
    pub(super) fn new(topology: Arc<Topology>) -> Self {
        Self {
            topology,
            listeners: Arc::default(),
            task: Mutex::new(None),
        }
    }

    /// The releases announced on `channel` from now on.
    pub(super) fn listen(&self, channel: String) -> WakeUps {
        let (sender, receiver) = mpsc::channel(WakeUps::CAPACITY);
        self.listeners.add(channel, sender);
        self.keep_running();
        WakeUps(receiver)
    }

    /// Starts the task when somebody listens and none runs. Outside of a runtime it is started by the
    /// next call from inside one.
    pub(super) fn keep_running(&self) {
        let mut task = self.task.lock().unwrap_or_else(PoisonError::into_inner);
        let runs = task.as_ref().is_some_and(|task| !task.is_finished());
        if runs || self.listeners.is_empty() {
            return;
        }
        if let Ok(runtime) = Handle::try_current() {
            let (topology, listeners) = (Arc::clone(&self.topology), Arc::clone(&self.listeners));
            *task = Some(runtime.spawn(run(topology, listeners)));
        }
    }
}

impl Drop for Subscription {
    fn drop(&mut self) {
        let task = self.task.get_mut().unwrap_or_else(PoisonError::into_inner);
        if let Some(task) = task.take() {
            task.abort();
        }
    }
}

/// Who waits for the releases of which channel.
#[derive(Default)]
struct Listeners {
    table: Mutex<Table>,
    /// Told of each change of the table, and of the end of the connection.
    changed: Notify,
}

#[derive(Default)]
struct Table {
    waiting: HashMap<String, Vec<mpsc::Sender<(Record, WallMillis)>>>,
    /// The channels added since the connection was told of all.
    added: Vec<String>,
}

impl Listeners {
    fn add(&self, channel: String, sender: mpsc::Sender<(Record, WallMillis)>) {
        let mut table = self.lock();
        if !table.waiting.contains_key(&channel) {
            table.added.push(channel.clone());
        }
        table.waiting.entry(channel).or_default().push(sender);
        drop(table);
        self.changed.notify_one();
    }

    fn is_empty(&self) -> bool {
        self.lock().waiting.is_empty()
    }

    /// All channels, for a new connection.
    fn all(&self) -> Vec<String> {
        let mut table = self.lock();
        table.added.clear();
        table.waiting.keys().cloned().collect()
    }

    fn take_added(&self) -> Vec<String> {
        std::mem::take(&mut self.lock().added)
    }

    /// Forgets who waits no more, and returns the channels that nobody waits for.
    fn take_deserted(&self) -> Vec<String> {
        let mut table = self.lock();
        for waiting in table.waiting.values_mut() {
            waiting.retain(|sender| !sender.is_closed());
        }
        let deserted = table.waiting.extract_if(|_, waiting| waiting.is_empty());
        deserted.map(|(channel, _)| channel).collect()
    }

    fn receive(&self, push: &PushInfo) {
        if push.kind == PushKind::Disconnection {
            self.changed.notify_one();
            return;
        }
        let (PushKind::Message, [Value::BulkString(channel), Value::BulkString(message)]) =
            (&push.kind, push.data.as_slice())
        else {
            return;
        };
        let Some(release) = reply::release(message) else {
            let channel = String::from_utf8_lossy(channel);
            tracing::debug!(%channel, "ignored a message that is not a release");
            return;
        };
        let Ok(channel) = std::str::from_utf8(channel) else {
            return;
        };
        if let Some(waiting) = self.lock().waiting.get_mut(channel) {
            // A full queue holds a release already; a closed one has nobody waiting.
            waiting.retain(|sender| {
                !matches!(
                    sender.try_send(release.clone()),
                    Err(mpsc::error::TrySendError::Closed(_))
                )
            });
        }
    }

    fn lock(&self) -> MutexGuard<'_, Table> {
        self.table.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Listens until nobody waits for anything.
async fn run(topology: Arc<Topology>, listeners: Arc<Listeners>) {
    let mut failures = 0;
    while !listeners.is_empty() {
        if let Some(mut connection) = connect(&topology, &listeners, failures).await {
            failures = 0;
            if serve(&mut connection, &listeners).await.is_none() {
                return;
            }
        }
        listeners.take_deserted();
        tokio::time::sleep(pause(failures)).await;
        failures = failures.saturating_add(1);
    }
}

async fn connect(
    topology: &Topology,
    listeners: &Arc<Listeners>,
    attempt: usize,
) -> Option<Connection> {
    let receiver = Arc::clone(listeners);
    let push = PushSender::new(move |info| receiver.receive(&info));
    let connection = in_time(topology.connect_subscriber(push, attempt)).await;
    let mut connection = connection?;
    subscribe(&mut connection, &listeners.all()).await?;
    Some(connection)
}

/// Follows the table until the connection ends, or `None` when nobody waits any more.
async fn serve(connection: &mut Connection, listeners: &Listeners) -> Option<()> {
    while connection.is_alive() {
        // A quiet spell is the time for housekeeping.
        let changed = tokio::time::timeout(HOUSEKEEPING, listeners.changed.notified()).await;
        let done = match changed {
            Ok(()) => subscribe(connection, &listeners.take_added()).await,
            Err(_elapsed) => {
                let deserted = listeners.take_deserted();
                if listeners.is_empty() {
                    return None;
                }
                unsubscribe(connection, &deserted).await
            }
        };
        if done.is_none() {
            break;
        }
    }
    Some(())
}

async fn subscribe(connection: &mut Connection, channels: &[String]) -> Option<()> {
    let server = connection.server()?;
    for batch in channels.chunks(BATCH) {
        in_time(server.subscribe(batch)).await?;
    }
    Some(())
}

async fn unsubscribe(connection: &mut Connection, channels: &[String]) -> Option<()> {
    let server = connection.server()?;
    for batch in channels.chunks(BATCH) {
        in_time(server.unsubscribe(batch)).await?;
    }
    Some(())
}

/// What came of a step, or `None`. Its error is worth a word to whoever looks for one: polling goes on
/// without wake-ups, and tells what is wrong with the server.
async fn in_time<T>(step: impl Future<Output = RedisResult<T>>) -> Option<T> {
    match tokio::time::timeout(TIMEOUT, step).await {
        Ok(Ok(value)) => Some(value),
        Ok(Err(error)) => {
            tracing::debug!(%error, "no wake-ups for now");
            None
        }
        Err(_elapsed) => {
            tracing::debug!("no wake-ups for now: no answer within {TIMEOUT:?}");
            None
        }
    }
}

/// The pause before the next attempt, with a jitter, so that many processes do not come back at once.
fn pause(failures: usize) -> Duration {
    let doublings = u32::try_from(failures).unwrap_or(u32::MAX).min(10);
    let pause = FIRST_PAUSE
        .saturating_mul(1 << doublings)
        .min(LONGEST_PAUSE);
    pause.mul_f64(fastrand::f64().mul_add(0.5, 0.5))
}

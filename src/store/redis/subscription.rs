//! The releases of all elections on one server, over a connection of their own. A standby listens to two channels: one
//! of the election, on which all are woken, and its own, because a release wakes only the standby that it calls.
//!
//! ```text
//!   RELEASE ──PUBLISH {K}:events:ID──▶ connection ──▶ Listeners ──▶ WakeUps of each standby, bounded
//!                                       │ ended
//!                                       └──▶ connect again, after a pause that doubles up to a second
//! ```
//!
//! No notification reaches a standby of a release that happens before it subscribes. Therefore every record is
//! read once as soon as its channel is subscribed, and one that is free by then is passed on as if just released:
//! otherwise a new standby would find it only at its next poll.

use std::collections::{HashMap, HashSet};
use std::fmt::Display;
use std::future::{Future, pending};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use futures_util::FutureExt;
use futures_util::future::BoxFuture;
use futures_util::stream::{self, FuturesUnordered, StreamExt};
use redis::Msg;
use redis::aio::{PubSub, PubSubSink};
use tokio::sync::{Notify, mpsc};
use tokio::time::Instant;

use super::pause::Pauses;
use super::reply;
use super::servers::Servers;
use super::task::Task;
use crate::store::{WakeUp, WakeUps};

/// How long connecting and subscribing may take.
const TIMEOUT: Duration = Duration::from_secs(2);
/// How long after a listener has stopped waiting to unsubscribe channels that have none left. Until one has
/// stopped, no timer runs: a standby wakes only for its polls.
const HOUSEKEEPING: Duration = Duration::from_secs(5);
/// How many channels one request subscribes to.
const BATCH: usize = 1000;
/// How many records are read at a time.
const LOOKS: usize = 32;

/// Checks whether the record of a channel is free, and calls all its listeners if so.
pub(super) type Look = Arc<dyn Fn() -> BoxFuture<'static, Option<WakeUp>> + Send + Sync>;

/// Where the standbys of this process wait for releases on one server.
pub(super) struct Subscription {
    servers: Arc<Servers>,
    listeners: Arc<Listeners>,
    task: Task,
}

impl Subscription {
    pub(super) fn new(servers: Arc<Servers>) -> Self {
        Self {
            servers,
            listeners: Arc::default(),
            task: Task::default(),
        }
    }

    /// The releases announced from now on to `all` who wait, or to `one` of them, and what `look` finds once they are
    /// heard.
    pub(super) fn listen(&self, all: String, one: String, look: Option<Look>) -> WakeUps {
        let (sender, receiver) = mpsc::channel(WakeUps::CAPACITY);
        self.listeners.add(one, sender.clone(), None);
        self.listeners.add(all, sender, look);
        self.listeners.changed.notify_one();
        self.keep_running();
        WakeUps(receiver)
    }

    /// Keeps a task listening while there are listeners.
    pub(super) fn keep_running(&self) {
        self.task.keep_running(|| {
            let (servers, listeners) = (Arc::clone(&self.servers), Arc::clone(&self.listeners));
            (!listeners.is_empty()).then(|| run(servers, listeners))
        });
    }
}

/// The listeners for the releases of each channel.
#[derive(Default)]
struct Listeners {
    table: Mutex<Table>,
    /// Notified of each change of the table.
    changed: Notify,
}

#[derive(Default)]
struct Table {
    waiting: HashMap<String, Waiting>,
    /// The channels added since the connection last saw all of them.
    added: HashSet<String>,
}

/// The listeners for the releases of one channel.
struct Waiting {
    waiters: Vec<Waiter>,
    look: Option<Look>,
}

struct Waiter {
    sender: mpsc::Sender<WakeUp>,
    /// Whether the connection notices when this one leaves.
    watched: bool,
}

impl Waiting {
    fn pass_on(&mut self, release: &WakeUp) {
        // A full queue holds a release already; a closed one has no receiver.
        self.waiters.retain(|waiter| {
            !matches!(
                waiter.sender.try_send(release.clone()),
                Err(mpsc::error::TrySendError::Closed(_))
            )
        });
    }

    fn forget_the_gone(&mut self) {
        self.waiters.retain(|waiter| !waiter.sender.is_closed());
    }
}

impl Listeners {
    /// Subscribing to a channel again does no harm, and makes its record be read again.
    fn add(&self, channel: String, sender: mpsc::Sender<WakeUp>, look: Option<Look>) {
        let waiter = Waiter {
            sender,
            watched: false,
        };
        let mut table = self.lock();
        match table.waiting.get_mut(&channel) {
            Some(waiting) => {
                // An election may be campaigned for repeatedly without ever being released.
                waiting.forget_the_gone();
                waiting.waiters.push(waiter);
                waiting.look = look;
            }
            None => {
                let waiters = vec![waiter];
                let waiting = Waiting { waiters, look };
                table.waiting.insert(channel.clone(), waiting);
            }
        }
        table.added.insert(channel);
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
        self.lock().added.drain().collect()
    }

    /// Removes listeners that no longer wait, and returns the channels without any.
    fn take_deserted(&self) -> Vec<String> {
        let mut table = self.lock();
        for waiting in table.waiting.values_mut() {
            waiting.forget_the_gone();
        }
        let deserted = table
            .waiting
            .extract_if(|_, waiting| waiting.waiters.is_empty());
        deserted.map(|(channel, _)| channel).collect()
    }

    /// Those that leave unnoticed; `anew` counts all of them.
    fn take_unwatched(&self, anew: bool) -> Vec<mpsc::Sender<WakeUp>> {
        let mut table = self.lock();
        let waiters = table.waiting.values_mut().flat_map(|it| &mut it.waiters);
        waiters
            .filter_map(|waiter| {
                let known = std::mem::replace(&mut waiter.watched, true);
                (anew || !known).then(|| waiter.sender.clone())
            })
            .collect()
    }

    fn look_of(&self, channel: &str) -> Option<Look> {
        self.lock().waiting.get(channel)?.look.clone()
    }

    /// Passes on the records of channels that are free already. What takes longer than one step may is left
    /// to the polls.
    async fn look_at(&self, channels: Vec<String>) {
        let all = stream::iter(channels).for_each_concurrent(LOOKS, |channel| async move {
            let look = self.look_of(&channel);
            if let Some(look) = look
                && let Some(release) = look().await
                && let Some(waiting) = self.lock().waiting.get_mut(&channel)
            {
                waiting.pass_on(&release);
            }
        });
        if tokio::time::timeout(TIMEOUT, all).await.is_err() {
            tracing::debug!("some records were not read: no answer within {TIMEOUT:?}");
        }
    }

    fn receive(&self, message: &Msg) {
        let channel = message.get_channel_name();
        let Some(release) = reply::release(message.get_payload_bytes()) else {
            tracing::debug!(%channel, "ignored a message that is not a release");
            return;
        };
        if let Some(waiting) = self.lock().waiting.get_mut(channel) {
            waiting.pass_on(&release);
        }
    }

    fn lock(&self) -> MutexGuard<'_, Table> {
        self.table.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Listens until there are no listeners left.
async fn run(servers: Arc<Servers>, listeners: Arc<Listeners>) {
    let mut pauses = Pauses::new();
    while !listeners.is_empty() {
        // This connection goes to where the requests went last.
        let _known = servers.elsewhere().now_or_never();
        let connection = in_time(async {
            let connection = servers.subscriber().await;
            connection.map_err(|error| error.to_string())
        });
        if let Some(connection) = connection.await
            && serve(connection, &servers, &listeners).await.is_none()
        {
            return;
        }
        listeners.take_deserted();
        pauses.wait().await;
    }
}

/// Follows the table until the connection ends, or `None` when no listeners are left.
async fn serve(connection: PubSub, servers: &Servers, listeners: &Listeners) -> Option<()> {
    let (mut sink, mut messages) = connection.split();
    if follow(&mut sink, listeners, listeners.all())
        .await
        .is_none()
    {
        return Some(());
    }
    let left = async |sender: mpsc::Sender<WakeUp>| sender.closed().await;
    let mut leaving: FuturesUnordered<_> = listeners
        .take_unwatched(true)
        .into_iter()
        .map(left)
        .collect();
    let mut housekeeping = None;
    loop {
        let done = tokio::select! {
            message = messages.next() => {
                message.map(|message| listeners.receive(&message))
            }
            () = listeners.changed.notified() => {
                leaving.extend(listeners.take_unwatched(false).into_iter().map(left));
                follow(&mut sink, listeners, listeners.take_added()).await
            }
            () = servers.elsewhere() => None,
            Some(()) = leaving.next() => {
                housekeeping.get_or_insert_with(|| Instant::now() + HOUSEKEEPING);
                Some(())
            }
            () = until(housekeeping) => {
                housekeeping = None;
                let deserted = listeners.take_deserted();
                if listeners.is_empty() {
                    return None;
                }
                unsubscribe(&mut sink, &deserted).await
            }
        };
        if done.is_none() {
            return Some(());
        }
    }
}

async fn until(moment: Option<Instant>) {
    match moment {
        Some(moment) => tokio::time::sleep_until(moment).await,
        None => pending().await,
    }
}

async fn follow(sink: &mut PubSubSink, listeners: &Listeners, channels: Vec<String>) -> Option<()> {
    for batch in channels.chunks(BATCH) {
        in_time(sink.subscribe(batch)).await?;
    }
    listeners.look_at(channels).await;
    Some(())
}

async fn unsubscribe(sink: &mut PubSubSink, channels: &[String]) -> Option<()> {
    for batch in channels.chunks(BATCH) {
        in_time(sink.unsubscribe(batch)).await?;
    }
    Some(())
}

/// The outcome of a step, or `None`. Its error is only logged at level debug: polling continues without
/// wake-ups, and reports what is wrong with the server.
async fn in_time<T, E: Display>(step: impl Future<Output = Result<T, E>>) -> Option<T> {
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

//! A store on Redis.
//!
//! ```text
//!   RedisStore { prefix, op_timeout }        one per address and options
//!      │ Keys, arguments                         ▲ Reply, Inspection
//!      ▼                                         │
//!   Script ──EVALSHA, EVAL when unknown──▶ Link  │   one connection per process and server
//!                                           │   reply::Reader ◀── untrusted values
//!                                           ▼        ▲
//!                              Topology ─▶ Connection ─▶ server: scripts/*.lua, atomically
//!                                           ▲
//!   WakeUps ◀── Subscription ───────────────┘        one connection per process and server
//! ```
//!
//! What the keys hold is described in `scripts/record.lua`. A user who may run the scripts needs the
//! commands that they call, on the keys `PREFIX*` and `{PREFIX*`, and the channels `{PREFIX*`.

mod connection;
mod examine;
#[cfg(feature = "sentinel")]
mod failover;
mod failure;
pub mod fuzzing;
mod keys;
mod link;
mod pause;
mod people;
mod reply;
mod scan;
mod script;
#[cfg(feature = "sentinel")]
mod sentinel;
mod subscription;
mod task;
#[cfg(feature = "tls")]
mod tls;
mod topology;
mod trial;

use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use futures_util::future::BoxFuture;
use redis::aio::ConnectionLike;
use redis::{RedisResult, Value};

use self::connection::Connection;
use self::keys::Keys;
use self::link::Link;
use self::reply::Reader;
use self::script::Script;
use self::subscription::Subscription;
use self::topology::Topology;
use super::address::{InvalidAddress, RedisPlace};
use super::registry::Registry;
use super::{
    Examination, HistoryEntry, Inspection, Note, Store, StoreError, StoreFuture, StoreOptions,
    WakeUp, WakeUps, is_free,
};
use crate::protocol::{
    Claim, Durability, ElectionName, Handover, Identity, Mark, Order, Pause, Reply, Request, Shape,
    WallMillis,
};

/// The longest key prefix, in bytes.
const MAX_PREFIX: usize = 200;

/// How many entries a history holds, as `scripts/record.lua` caps it.
const HISTORY: usize = 1000;

static SERVERS: Registry<RedisPlace, Server> = Registry::new();

/// The elections under one prefix on one Redis deployment.
pub(super) struct RedisStore {
    label: Arc<str>,
    prefix: String,
    op_timeout: Duration,
    server: Arc<Server>,
}

/// One deployment, to which all stores of this process that are on it share the connections.
struct Server {
    #[cfg(feature = "sentinel")]
    topology: Arc<Topology>,
    link: Arc<Link>,
    subscription: Arc<Subscription>,
    #[cfg(feature = "sentinel")]
    failovers: task::Task,
}

impl Server {
    fn open(place: &RedisPlace) -> Result<Self, InvalidAddress> {
        let topology = Arc::new(Topology::open(place)?);
        Ok(Self {
            link: Arc::new(Link::new(Arc::clone(&topology))),
            subscription: Arc::new(Subscription::new(Arc::clone(&topology))),
            #[cfg(feature = "sentinel")]
            failovers: task::Task::default(),
            #[cfg(feature = "sentinel")]
            topology,
        })
    }

    /// Sees to it that the tasks run that go on between requests.
    fn keep_running(&self) {
        self.subscription.keep_running();
        #[cfg(feature = "sentinel")]
        self.failovers.keep_running(|| {
            let sentinels = self.topology.sentinels()?.clone();
            let (link, subscription) = (Arc::clone(&self.link), Arc::clone(&self.subscription));
            Some(failover::watch(sentinels, move || {
                link.move_on();
                subscription.move_on();
            }))
        });
    }
}

impl RedisStore {
    pub(super) fn open(
        label: Arc<str>,
        place: &RedisPlace,
        options: &StoreOptions,
    ) -> Result<Self, InvalidAddress> {
        let prefix = options.key_prefix.clone();
        if prefix.len() > MAX_PREFIX {
            return Err(InvalidAddress::KeyPrefixTooLong {
                bytes: prefix.len(),
            });
        }
        let wrong = |c: &char| c.is_control() || matches!(c, '{' | '}');
        if let Some(character) = prefix.chars().find(wrong) {
            return Err(InvalidAddress::KeyPrefix { character });
        }
        let mut place = place.clone();
        let credentials = &mut place.credentials;
        credentials.username = credentials.username.take().or(options.username.clone());
        credentials.password = credentials.password.take().or(options.password.clone());
        let server = SERVERS.get_or_open(place, |place| Ok(Arc::new(Server::open(place)?)))?;
        Ok(Self {
            label,
            prefix,
            op_timeout: options.op_timeout,
            server,
        })
    }

    /// Carries out one request within the time of one.
    async fn request<T, F>(&self, request: impl FnOnce(Connection) -> F) -> Result<T, StoreError>
    where
        F: Future<Output = RedisResult<T>>,
    {
        self.server.keep_running();
        let link = &self.server.link;
        link.request(&self.label, self.op_timeout, request).await
    }

    async fn call(
        &self,
        script: &Script,
        keys: &[&str],
        arguments: &[&str],
    ) -> Result<Value, StoreError> {
        self.request(
            |mut connection| async move { script.call(&mut connection, keys, arguments).await },
        )
        .await
    }

    async fn carry_out(
        &self,
        election: &ElectionName,
        who: &Identity,
        request: &Request,
    ) -> Result<Reply, StoreError> {
        let keys = Keys::new(&self.prefix, election);
        let who = who.to_string();
        let record: [&str; 3] = [&keys.counter, &keys.record, &keys.candidates];
        let with_history: [&str; 4] =
            [&keys.counter, &keys.record, &keys.candidates, &keys.history];
        let value = match request {
            Request::Observe => self.call(&script::OBSERVE, &record, &[&who]).await?,
            Request::Claim(claim) => {
                let arguments = claim_arguments(who, claim);
                let arguments = arguments.each_ref().map(String::as_str);
                self.call(&script::CLAIM, &with_history, &arguments).await?
            }
            Request::Beat {
                holder,
                term,
                proven,
            } => {
                let arguments = [&who, holder.as_str(), &term.to_string(), flag(*proven)];
                self.call(&script::BEAT, &record, &arguments).await?
            }
            Request::Release {
                holder,
                term,
                reason,
            } => {
                let (term, note) = (term.to_string(), Note::Reason(*reason).to_string());
                let arguments = [&who, holder.as_str(), &term, &keys.events, &note];
                self.call(&script::RELEASE, &with_history, &arguments)
                    .await?
            }
            Request::Order(order) => {
                let arguments = order_arguments(who, keys.events.clone(), order);
                let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
                self.call(&script::ORDER, &with_history, &arguments).await?
            }
        };
        self.reader(&keys).reply(value)
    }

    const fn reader<'a>(&'a self, keys: &'a Keys) -> Reader<'a> {
        Reader {
            store: &self.label,
            keys,
        }
    }
}

impl Store for RedisStore {
    fn label(&self) -> &str {
        &self.label
    }

    fn durability(&self) -> Durability {
        Durability::Forgetful
    }

    fn execute<'a>(
        &'a self,
        election: &'a ElectionName,
        who: &'a Identity,
        request: &'a Request,
    ) -> StoreFuture<'a, Reply> {
        Box::pin(self.carry_out(election, who, request))
    }

    fn withdraw<'a>(
        &'a self,
        election: &'a ElectionName,
        who: &'a Identity,
    ) -> StoreFuture<'a, ()> {
        Box::pin(async move {
            let keys = Keys::new(&self.prefix, election);
            let mut command = redis::cmd("ZREM");
            command.arg(&keys.candidates).arg(who.to_string());
            let told = self.request(|mut connection| async move {
                script::value(connection.req_packed_command(&command).await)
            });
            told.await.map(drop)
        })
    }

    fn wake_ups(&self, election: &ElectionName) -> WakeUps {
        let keys = Keys::new(&self.prefix, election);
        let channel = keys.events.clone();
        let (label, link) = (Arc::clone(&self.label), Arc::clone(&self.server.link));
        let op_timeout = self.op_timeout;
        let look = move || {
            let (label, link, keys) = (Arc::clone(&label), Arc::clone(&link), keys.clone());
            let look: BoxFuture<'static, _> = Box::pin(async move {
                let names: [&str; 3] = [&keys.counter, &keys.record, &keys.candidates];
                let asked = link.request(&label, op_timeout, |mut connection| async move {
                    script::INSPECT.call(&mut connection, &names, &[]).await
                });
                let (store, keys) = (&label, &keys);
                // Whatever is wrong, the polls find it too, and tell.
                let found = Reader { store, keys }.inspection(asked.await.ok()?).ok()?;
                is_free(&found.record).then_some(WakeUp {
                    record: found.record,
                    clock: found.clock,
                    called: None,
                })
            });
            look
        };
        self.server
            .subscription
            .listen(channel, Some(Arc::new(look)))
    }

    fn inspect<'a>(&'a self, election: &'a ElectionName) -> StoreFuture<'a, Inspection> {
        Box::pin(async move {
            let keys = Keys::new(&self.prefix, election);
            let names: [&str; 3] = [&keys.counter, &keys.record, &keys.candidates];
            let value = self.call(&script::INSPECT, &names, &[]).await?;
            self.reader(&keys).inspection(value)
        })
    }

    fn elections(&self) -> StoreFuture<'_, Vec<ElectionName>> {
        Box::pin(self.scan())
    }

    fn examine(&self) -> StoreFuture<'_, Examination> {
        Box::pin(self.examination())
    }

    fn history<'a>(
        &'a self,
        election: &'a ElectionName,
        limit: usize,
    ) -> StoreFuture<'a, Vec<HistoryEntry>> {
        Box::pin(async move {
            let keys = Keys::new(&self.prefix, election);
            let mut command = redis::cmd("XREVRANGE");
            command
                .arg(&keys.history)
                .arg("+")
                .arg("-")
                .arg("COUNT")
                .arg(limit.min(HISTORY));
            let entries = self.request(|mut connection| async move {
                match script::value(connection.req_packed_command(&command).await) {
                    Err(error) if error.code() == Some("WRONGTYPE") => Ok(None),
                    reply => reply.map(Some),
                }
            });
            self.reader(&keys).history(entries.await?)
        })
    }
}

/// The arguments of `claim.lua`, in its order.
fn claim_arguments(who: String, claim: &Claim) -> [String; 10] {
    let [shape, term, beat, counter] = mark_arguments(claim.expected);
    [
        who,
        claim.holder.to_string(),
        claim.term.to_string(),
        claim.first_beat().to_string(),
        claim.window.as_nanos().to_string(),
        flag(claim.join).to_owned(),
        shape,
        term,
        beat,
        counter,
    ]
}

/// The arguments of `order.lua`, in its order.
fn order_arguments(who: String, channel: String, order: &Order) -> Vec<String> {
    let (word, details) = match order {
        Order::Pause { lasts, by, reason } => {
            let lasts = match lasts {
                // No clock reads more than that many milliseconds.
                Some(lasts) => lasts
                    .as_millis()
                    .min(WallMillis::MAX.get().into())
                    .to_string(),
                None => "-".to_owned(),
            };
            let pause = Pause {
                until: None,
                by: by.clone(),
                reason: reason.clone(),
            };
            let text = pause.to_string();
            let by_and_reason = text.strip_prefix("-|").unwrap_or(&text);
            ("pause", vec![lasts, by_and_reason.to_owned()])
        }
        Order::Resume => ("resume", Vec::new()),
        Order::Resign { term, to } => {
            let handover = Handover {
                term: *term,
                to: to.clone(),
            };
            ("resign", vec![term.to_string(), handover.to_string()])
        }
        Order::Depose { expected } => ("depose", mark_arguments(*expected).to_vec()),
    };
    let mut arguments = vec![who, channel, word.to_owned()];
    arguments.extend(details);
    arguments
}

/// What a record is expected to be: its shape, term and beat, and a foreign counter or nothing.
fn mark_arguments(Mark { term, beat, shape }: Mark) -> [String; 4] {
    let (shape, counter) = match shape {
        Shape::Absent => ("absent", None),
        Shape::Vacant => ("vacant", None),
        Shape::Held => ("held", None),
        Shape::Foreign(counter) => ("foreign", counter),
    };
    let counter = counter.map(|counter| counter.to_string());
    [
        shape.to_owned(),
        term.to_string(),
        beat.to_string(),
        counter.unwrap_or_default(),
    ]
}

const fn flag(set: bool) -> &'static str {
    if set { "1" } else { "0" }
}

//! A store on Redis.
//!
//! ```text
//!   RedisStore { prefix, op_timeout }        one per address and options
//!      │ Keys, arguments                         ▲ Reply, Inspection
//!      ▼                                         │
//!   Script ──EVALSHA, EVAL when unknown──▶ Servers │
//!                                           │   reply::Reader ◀── untrusted values
//!                     Cluster: which node? ─┤        ▲
//!                                           ▼        │
//!                                          Link ─▶ Connection ─▶ server: scripts/*.lua, atomically
//!                                           │            one per process and server
//!                  Sentinels: who is master?┤
//!                  names: is it one server? ▼
//!                                         Dialer: TCP, TLS, log-in
//!                                           ▲
//!   WakeUps ◀── Subscription ───────────────┘            one more connection per process and server
//! ```
//!
//! `scripts/record.lua` describes what the keys hold. A user who may run the scripts needs the commands that
//! they call, on the keys `PREFIX*` and `{PREFIX*`, and the channels `{PREFIX*`.

mod arguments;
mod awaited;
mod beats;
mod cluster;
mod connection;
mod dial;
mod examine;
mod failure;
#[cfg(feature = "_fuzzing")]
pub mod fuzzing;
mod keys;
mod link;
mod names;
mod pause;
mod people;
mod reply;
mod scan;
mod script;
mod sentinel;
mod servers;
mod shared;
mod stream;
mod subscription;
mod task;
mod thread;
mod timers;
#[cfg(feature = "tls")]
mod tls;
mod trial;

use std::sync::Arc;
use std::time::Duration;

use futures_util::future::BoxFuture;
use redis::aio::ConnectionLike;
use redis::{Cmd, RedisResult, Value};

use self::arguments::{attestation_arguments, claim_arguments, flag, order_arguments};
use self::beats::Beats;
use self::connection::Connection;
use self::dial::Identification;
use self::keys::Keys;
use self::reply::Reader;
use self::script::Script;
use self::servers::To;
use self::shared::Shared;
use self::timers::{Kept, Timers};
use super::address::{InvalidAddress, RedisPlace};
use super::{
    Examination, HistoryEntry, Inspection, Note, Store, StoreError, StoreFuture, StoreOptions,
    WakeUp, WakeUps, fresh_memory, is_left,
};
use crate::protocol::{CandidateId, ElectionName, Reply, Request, WallMillis};
use crate::store::Identity;

/// The longest key prefix, in bytes.
const MAX_PREFIX: usize = 200;

/// How many entries a history holds, as `scripts/record.lua` caps it.
const HISTORY: usize = 1000;

/// The elections under one prefix on one Redis deployment.
pub(super) struct RedisStore {
    label: Arc<str>,
    prefix: String,
    op_timeout: Duration,
    place: RedisPlace,
    shared: Arc<Shared>,
    beats: Arc<Beats>,
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
        Ok(Self {
            shared: Shared::of(&label, &place)?,
            label,
            prefix,
            op_timeout: options.op_timeout,
            place,
            beats: Arc::default(),
        })
    }

    /// Carries out one request within its timeout. A node of a cluster that redirects it has not executed
    /// it, so it may be sent more than once.
    async fn request<T, F>(
        &self,
        to: To<'_>,
        request: impl Fn(Connection) -> F,
    ) -> Result<T, StoreError>
    where
        F: Future<Output = RedisResult<T>>,
    {
        self.shared.keep_running();
        let servers = &self.shared.servers;
        servers
            .request(
                (&self.label, &self.shared.timers),
                self.op_timeout,
                to,
                request,
            )
            .await
    }

    /// Carries out one command on the server that has `key`.
    async fn command(&self, key: &str, command: &Cmd) -> Result<Value, StoreError> {
        self.request(To::Key(key), |mut connection| async move {
            script::value(connection.req_packed_command(command).await)
        })
        .await
    }

    async fn call(
        &self,
        script: &Script,
        keys: &[&str],
        arguments: &[&str],
    ) -> Result<Value, StoreError> {
        self.request(To::Key(keys[0]), |mut connection| async move {
            script.call(&mut connection, keys, arguments).await
        })
        .await
    }

    /// Carries out a request by itself.
    fn alone<'a>(
        &'a self,
        election: &'a ElectionName,
        who: &'a Identity,
        request: &'a Request,
    ) -> StoreFuture<'a, Reply> {
        Box::pin(async move { self.carry_out(&self.keys(election), who, request).await })
    }

    async fn carry_out(
        &self,
        keys: &Keys,
        who: &Identity,
        request: &Request,
    ) -> Result<Reply, StoreError> {
        let who = who.to_string();
        let record = keys.of_record();
        let with_history = keys.with_history();
        let nonce = fresh_memory(WallMillis::ZERO).nonce.to_string();
        let value = match request {
            Request::Observe => {
                let arguments = [who.as_str(), &nonce];
                self.call(&script::OBSERVE, &record, &arguments).await?
            }
            Request::Claim(claim) => {
                let arguments = claim_arguments(who, claim, nonce);
                let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
                // One that keeps no history has no use for its key.
                let keys = match claim.ephemeral {
                    true => &record[..],
                    false => &with_history[..],
                };
                self.call(&script::CLAIM, keys, &arguments).await?
            }
            Request::Beat {
                holder,
                term,
                attested,
            } => {
                let [memory, age] = attestation_arguments(*attested);
                let term = term.to_string();
                let arguments = [holder.as_str(), &term, &memory, &age, &nonce];
                self.call(&script::BEAT, &record, &arguments).await?
            }
            Request::Release {
                holder,
                term,
                reason,
                delete,
            } => {
                let (term, note) = (term.to_string(), Note::Reason(*reason).to_string());
                let (holder, deletes) = (holder.as_str(), flag(*delete));
                let arguments = [&who, holder, &term, &keys.events, &note, deletes, &nonce];
                self.call(&script::RELEASE, &with_history, &arguments)
                    .await?
            }
            Request::Order(order) => {
                let arguments = order_arguments(who, keys.events.clone(), order);
                let arguments = arguments.iter().chain([&nonce]);
                let arguments: Vec<&str> = arguments.map(String::as_str).collect();
                self.call(&script::ORDER, &with_history, &arguments).await?
            }
        };
        self.reader(keys).reply(value)
    }

    fn keys(&self, election: &ElectionName) -> Keys {
        Keys::new(&self.prefix, election, self.shared.servers.is_cluster())
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

    fn has_memory_per_election(&self) -> bool {
        self.shared.servers.is_cluster()
    }

    fn apart(&self) -> Option<Arc<dyn Store>> {
        let label = Arc::clone(&self.label);
        let (identity, timers) = (Identification::Required, Timers::Kept(Kept::default()));
        let shared = Shared::open(label, &self.place, identity, timers, Some(&self.shared)).ok()?;
        Some(Arc::new(Self {
            label: Arc::clone(&self.label),
            prefix: self.prefix.clone(),
            op_timeout: self.op_timeout,
            place: self.place.clone(),
            shared: Arc::new(shared),
            beats: Arc::default(),
        }))
    }

    fn execute<'a>(
        &'a self,
        election: &'a ElectionName,
        who: &'a Identity,
        request: &'a Request,
    ) -> StoreFuture<'a, Reply> {
        match request {
            // This future is small: a process may have many of them.
            Request::Beat {
                holder,
                term,
                attested: None,
            } if !self.has_memory_per_election() => Box::pin(async move {
                match self.beat_with_others(election, (holder, *term)).await? {
                    Some(reply) => Ok(reply),
                    None => self.alone(election, who, request).await,
                }
            }),
            _ => self.alone(election, who, request),
        }
    }

    fn withdraw<'a>(
        &'a self,
        election: &'a ElectionName,
        who: &'a Identity,
    ) -> StoreFuture<'a, ()> {
        Box::pin(async move {
            let keys = self.keys(election);
            let mut command = redis::cmd("ZREM");
            command.arg(&keys.candidates).arg(who.to_string());
            self.command(&keys.counter, &command).await.map(drop)
        })
    }

    fn wake_ups(&self, election: &ElectionName, who: &CandidateId) -> WakeUps {
        let keys = self.keys(election);
        let (all, one) = (keys.events.clone(), keys.events_for(who));
        let (label, servers) = (Arc::clone(&self.label), Arc::clone(&self.shared.servers));
        let op_timeout = self.op_timeout;
        let look = move || {
            let (label, servers, keys) = (Arc::clone(&label), Arc::clone(&servers), keys.clone());
            let look: BoxFuture<'static, _> = Box::pin(async move {
                let names = &keys.of_record();
                let asked = servers.request(
                    (&label, &Timers::Fresh),
                    op_timeout,
                    To::Key(names[0]),
                    |mut connection| async move {
                        script::INSPECT.call(&mut connection, names, &[]).await
                    },
                );
                let (store, keys) = (&label, &keys);
                // The polls find and report what is wrong.
                let found = Reader { store, keys }.inspection(asked.await.ok()?).ok()?;
                let memory = found.memory.filter(|_| is_left(&found.record))?;
                Some(WakeUp::new(found.record, memory))
            });
            look
        };
        self.shared
            .subscription
            .listen(all, one, Some(Arc::new(look)))
    }

    fn inspect<'a>(&'a self, election: &'a ElectionName) -> StoreFuture<'a, Inspection> {
        Box::pin(async move {
            let keys = self.keys(election);
            let names = &keys.of_record();
            let asked = self.request(To::Key(names[0]), |mut connection| async move {
                let server = connection.server();
                let master = server.is_replica.then(|| server.master.clone()).flatten();
                let value = script::INSPECT.call(&mut connection, names, &[]).await?;
                Ok((value, master))
            });
            let (value, master) = asked.await?;
            let mut inspection = self.reader(&keys).inspection(value)?;
            inspection.caveat = master.map(|master| {
                format!(
                    "it is a replica of {master}: its data may be old, and no one can be elected on it; use its \
                     master, or redis+sentinel://"
                )
            });
            Ok(inspection)
        })
    }

    fn elections(&self) -> StoreFuture<'_, Vec<ElectionName>> {
        Box::pin(async {
            let (names, failed) = self.scan().await;
            failed.map_or(Ok(names), Err)
        })
    }

    fn known_elections(&self) -> BoxFuture<'_, (Vec<ElectionName>, Option<StoreError>)> {
        Box::pin(self.scan())
    }

    fn examine(&self) -> StoreFuture<'_, Examination> {
        Box::pin(self.examination_of_any())
    }

    fn history<'a>(
        &'a self,
        election: &'a ElectionName,
        limit: usize,
    ) -> StoreFuture<'a, Vec<HistoryEntry>> {
        Box::pin(async move {
            let keys = self.keys(election);
            let mut command = redis::cmd("XREVRANGE");
            command
                .arg(&keys.history)
                .arg("+")
                .arg("-")
                .arg("COUNT")
                .arg(limit.min(HISTORY));
            let command = &command;
            let entries = self.request(To::Key(&keys.counter), |mut connection| async move {
                match script::value(connection.req_packed_command(command).await) {
                    Err(error) if error.code() == Some("WRONGTYPE") => Ok(None),
                    reply => reply.map(Some),
                }
            });
            self.reader(&keys).history(entries.await?)
        })
    }
}

//! Examining a Redis: what it reports about itself with `INFO` and `CONFIG GET`. `trial` tests what it
//! allows.

use std::collections::BTreeMap;
use std::sync::Arc;

use redis::aio::ConnectionLike;
use redis::{FromRedisValue, Value};

use super::dial::{Identification, NO_RUN_ID, ServerInfo};
use super::servers::To;
use super::timers::Timers;
use super::{RedisStore, Shared, script};
use crate::store::{Examination, StoreError};

/// The facts shown to an operator, out of the hundreds in `INFO`.
const FACTS: [&str; 20] = [
    "server_name",
    "redis_version",
    "run_id",
    "redis_mode",
    "role",
    "master_host",
    "master_port",
    "connected_slaves",
    "min_slaves_good_slaves",
    "master_link_status",
    "loading",
    "aof_enabled",
    "aof_last_write_status",
    "rdb_last_bgsave_status",
    "rdb_last_save_time",
    "used_memory",
    "maxmemory",
    "maxmemory_policy",
    "evicted_keys",
    "uptime_in_seconds",
];

/// The settings shown to an operator.
const SETTINGS: [&str; 2] = ["save", "appendfsync"];

/// The longest value of a fact that is kept.
const LONGEST: usize = 100;

impl RedisStore {
    /// Examines also a server that candidates refuse because it does not report its `run_id`.
    pub(super) async fn examination_of_any(&self) -> Result<Examination, StoreError> {
        let shared = Shared::open(
            Arc::clone(&self.label),
            &self.place,
            Identification::Optional,
            Timers::Fresh,
            None,
        );
        let lenient = Self {
            label: Arc::clone(&self.label),
            prefix: self.prefix.clone(),
            op_timeout: self.op_timeout,
            place: self.place.clone(),
            shared: Arc::new(shared.map_err(|error| self.misconfigured(error.to_string()))?),
            beats: Arc::default(),
        };
        lenient.examination().await
    }

    async fn examination(&self) -> Result<Examination, StoreError> {
        let (trial, refused) = self.try_all().await;
        let (mut facts, withheld) = match self.info().await {
            Ok(facts) => (facts, None),
            Err(error) => (BTreeMap::new(), Some(error)),
        };
        // Few users may read the configuration, and none needs to: it holds passwords.
        match self.configuration().await {
            Ok(settings) => facts.extend(settings),
            Err(error) => tracing::debug!(%error, "the server's configuration cannot be read"),
        }
        match (trial, withheld) {
            // Nothing was learnt at all.
            (Err(error), Some(_)) if !error.is_denied() => Err(error),
            (trial, withheld) => Ok(Examination {
                kind: "redis",
                facts,
                withheld,
                trial: Some(trial),
                refused,
            }),
        }
    }

    /// The settings that decide how much a server remembers after a crash, and that are not in `INFO`.
    async fn configuration(&self) -> Result<BTreeMap<String, String>, StoreError> {
        let mut settings = BTreeMap::new();
        // Version 6 accepts one name at a time.
        for setting in SETTINGS {
            let mut command = redis::cmd("CONFIG");
            command.arg("GET").arg(setting);
            let pairs =
                BTreeMap::<String, String>::from_redis_value(self.command("", &command).await?);
            let value = pairs.unwrap_or_default().remove(setting);
            settings.extend(
                value.map(|text| (setting.to_owned(), text.chars().take(LONGEST).collect())),
            );
        }
        Ok(settings)
    }

    async fn info(&self) -> Result<BTreeMap<String, String>, StoreError> {
        let is_cluster = self.shared.servers.is_cluster();
        let mut text = String::new();
        for node in self.masters().await? {
            let answer = self.request(To::Node(&node), |mut connection| async move {
                script::value(connection.req_packed_command(&redis::cmd("INFO")).await)
            });
            let answer = match answer.await {
                // The trial finds a node that is away, if it matters.
                Err(error) if is_cluster && !error.is_hopeless() => continue,
                answer => answer?,
            };
            text = match answer {
                Value::BulkString(bytes) => String::from_utf8_lossy(&bytes).into_owned(),
                Value::VerbatimString { text, .. } | Value::SimpleString(text) => text,
                _ => String::new(),
            };
            if ServerInfo::read(&text).run_id.is_none() {
                return Err(self.misconfigured(NO_RUN_ID.to_owned()));
            }
        }
        // A cluster answers node by node: no single answer represents it.
        if is_cluster {
            return Ok(BTreeMap::new());
        }
        let mut facts: BTreeMap<String, String> = text
            .lines()
            .filter_map(|line| line.split_once(':'))
            .map(|(name, value)| {
                let value = value.trim_end().chars().take(LONGEST).collect();
                (name.to_owned(), value)
            })
            .collect();
        // A fork reports its own version beside the one of Redis that it is compatible with.
        let named = facts.get("server_name");
        let own_version = named.map(|server| format!("{server}_version"));
        facts
            .retain(|name, _| FACTS.contains(&name.as_str()) || Some(name) == own_version.as_ref());
        Ok(facts)
    }

    fn misconfigured(&self, message: String) -> StoreError {
        StoreError::Misconfigured {
            store: Arc::clone(&self.label),
            message,
        }
    }
}

//! Examining a Redis: what `INFO` tells, and whether the four operations are allowed.

use std::collections::BTreeMap;
use std::time::Duration;

use redis::aio::ConnectionLike;
use redis::{RedisResult, Value};

use super::keys::Keys;
use super::{RedisStore, script};
use crate::protocol::{
    Beat, CandidateId, Claim, ElectionName, Identity, Record, Request, Term, Verdict,
};
use crate::store::{Examination, StoreError};

/// The facts that an operator is told of, out of the hundreds of `INFO`.
const FACTS: [&str; 16] = [
    "redis_version",
    "run_id",
    "redis_mode",
    "role",
    "connected_slaves",
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

/// The longest value of a fact that is kept.
const LONGEST: usize = 100;

impl RedisStore {
    pub(super) async fn examination(&self) -> Result<Examination, StoreError> {
        let trial = self.try_operations().await;
        let (facts, withheld) = match self.info().await {
            Ok(facts) => (facts, None),
            Err(error) => (BTreeMap::new(), Some(error)),
        };
        match (trial, withheld) {
            // Nothing was learnt at all.
            (Err(error), Some(_)) if !error.is_denied() => Err(error),
            (trial, withheld) => Ok(Examination {
                kind: "redis",
                facts,
                withheld,
                trial: Some(trial),
            }),
        }
    }

    async fn info(&self) -> Result<BTreeMap<String, String>, StoreError> {
        let value = self.ask(redis::cmd("INFO")).await?;
        let text = match value {
            Value::BulkString(bytes) => String::from_utf8_lossy(&bytes).into_owned(),
            Value::VerbatimString { text, .. } | Value::SimpleString(text) => text,
            // A cluster answers node by node: no one answer stands for it.
            _ => String::new(),
        };
        let facts = text.lines().filter_map(|line| line.split_once(':'));
        let kept = facts.filter(|(name, _)| FACTS.contains(name));
        Ok(kept
            .map(|(name, value)| {
                let value = value.trim_end().chars().take(LONGEST).collect();
                (name.to_owned(), value)
            })
            .collect())
    }

    /// The four operations, for real, on an election that nobody else uses.
    async fn try_operations(&self) -> Result<(), StoreError> {
        let scratch = format!("incumbent-doctor-{}", uuid::Uuid::new_v4().simple());
        let unusable = |message: String| StoreError::Unexpected {
            store: self.label.clone(),
            message,
        };
        let election = ElectionName::new(&scratch).map_err(|error| unusable(error.to_string()))?;
        let who = CandidateId::new(&scratch)
            .and_then(|id| Identity::new(id, "doctor", std::process::id(), "-"))
            .map_err(|error| unusable(error.to_string()))?;
        let tried = self.campaign_once(&election, &who).await;
        // What is left of it goes away, whatever came out.
        let keys = Keys::new(&self.prefix, &election);
        for key in [keys.counter, keys.record, keys.candidates, keys.history] {
            let mut delete = redis::cmd("DEL");
            delete.arg(key);
            if let Err(error) = self.ask(delete).await {
                tracing::debug!(%error, "a key of the scratch election could not be removed");
            }
        }
        tried
    }

    async fn campaign_once(
        &self,
        election: &ElectionName,
        who: &Identity,
    ) -> Result<(), StoreError> {
        let holder = who.id().clone();
        let seen = self.carry_out(election, who, &Request::Observe).await?;
        let term = Term::next(Term::ZERO, seen.clock).unwrap_or(Term::ZERO);
        let requests = [
            Request::Claim(Claim {
                holder: holder.clone(),
                term,
                expected: Record::ABSENT.mark(),
                join: false,
                window: Duration::from_secs(1),
                after: Beat::default(),
            }),
            Request::Beat {
                holder: holder.clone(),
                term,
                proven: false,
            },
            Request::Release { holder, term },
        ];
        for request in &requests {
            let reply = self.carry_out(election, who, request).await?;
            if reply.verdict != Verdict::Granted {
                return Err(StoreError::Unexpected {
                    store: self.label.clone(),
                    message: format!(
                        "a {} on a scratch election was refused",
                        match request {
                            Request::Claim(_) => "claim",
                            Request::Beat { .. } => "heartbeat",
                            Request::Release { .. } => "release",
                            Request::Observe => "observation",
                        }
                    ),
                });
            }
        }
        Ok(())
    }

    async fn ask(&self, command: redis::Cmd) -> Result<Value, StoreError> {
        self.request(|mut connection| async move {
            let reply: RedisResult<Value> = connection.req_packed_command(&command).await;
            script::value(reply)
        })
        .await
    }
}

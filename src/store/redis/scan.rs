//! Which elections a deployment has: a walk over its keys, step by step.

use std::collections::BTreeSet;
use std::sync::Arc;

use futures_util::future::try_join_all;
use redis::FromRedisValue;
use redis::aio::ConnectionLike;

use super::keys::{Found, pattern};
use super::link::Link;
use super::reply::{TYPE_OF_KEY, excerpt};
use super::servers::To;
use super::{RedisStore, script};
use crate::protocol::{ElectionName, Record};
use crate::store::{Store, StoreError};

/// How many keys the server scans in one step.
const STEP: usize = 1000;
/// The most steps of one walk, on one server: fifty million keys.
const MAX_STEPS: usize = 50_000;
/// How many counters without a record are read. Where there are more, other programs use the prefix too, and
/// their keys are no elections.
const MAX_BARE: usize = 100;
/// How many counters may wait for the walk to find their records.
const MAX_WAITING: usize = 100_000;

/// What a walk has found. It may find a key twice, and a counter before its record.
#[derive(Default)]
struct Walk {
    recorded: BTreeSet<ElectionName>,
    /// The counters whose record has not been found.
    bare: BTreeSet<ElectionName>,
}

impl Walk {
    fn add(&mut self, found: Found) {
        match found {
            Found::Record(name) => {
                self.bare.remove(&name);
                self.recorded.insert(name);
            }
            Found::Counter(name) => {
                if self.bare.len() < MAX_WAITING && !self.recorded.contains(&name) {
                    self.bare.insert(name);
                }
            }
        }
    }
}

impl RedisStore {
    /// Walks over all keys. Each step is a separate request with its own timeout. The names are all that could be
    /// found: a node of a cluster that cannot be asked is left out, and is the error beside them.
    pub(super) async fn scan(&self) -> (Vec<ElectionName>, Option<StoreError>) {
        let mut walk = Walk::default();
        let mut failed = None;
        match self.masters().await {
            Ok(nodes) => {
                for node in nodes {
                    failed = self.scan_node(&node, &mut walk).await.err().or(failed);
                }
            }
            Err(error) => failed = Some(error),
        }
        match self.elected(walk).await {
            Ok(names) => (names, failed),
            Err(error) => (Vec::new(), Some(error)),
        }
    }

    async fn elected(&self, walk: Walk) -> Result<Vec<ElectionName>, StoreError> {
        let Walk { mut recorded, bare } = walk;
        if bare.len() <= MAX_BARE {
            let judged = bare
                .into_iter()
                .map(|name| self.elected_without_record(name));
            let judged = try_join_all(judged).await?;
            recorded.extend(judged.into_iter().flatten());
        }
        Ok(recorded.into_iter().collect())
    }

    /// The name of a counter without a record, if a candidate would treat it as an election: the counter of a
    /// program that speaks only the bare protocol, or one that holds something other than a number. A key of
    /// another type is foreign data.
    async fn elected_without_record(
        &self,
        name: ElectionName,
    ) -> Result<Option<ElectionName>, StoreError> {
        let is_election = match self.inspect(&name).await {
            Ok(seen) => seen.record != Record::ABSENT,
            Err(StoreError::Garbled { key, field, .. }) => {
                let counter = self.keys(&name).counter;
                key != excerpt(&counter) || field != TYPE_OF_KEY
            }
            // Reading that election shows the error.
            Err(StoreError::Denied { .. }) => true,
            Err(error) => return Err(error),
        };
        Ok(is_election.then_some(name))
    }

    async fn scan_node(&self, node: &Arc<Link>, walk: &mut Walk) -> Result<(), StoreError> {
        let pattern = pattern(&self.prefix);
        let mut cursor = String::from("0");
        for _ in 0..MAX_STEPS {
            let (next, keys) = self.scan_step(node, &cursor, &pattern).await?;
            let found = keys.iter().filter_map(|key| Found::new(key, &self.prefix));
            found.for_each(|found| walk.add(found));
            if next == "0" {
                return Ok(());
            }
            cursor = next;
        }
        Err(StoreError::Unexpected {
            store: self.label.clone(),
            message: format!(
                "the walk over its keys did not end after {MAX_STEPS} steps of {STEP}"
            ),
        })
    }

    /// Whether a walk can begin.
    pub(super) async fn try_scan(&self) -> Result<(), StoreError> {
        let pattern = pattern(&self.prefix);
        for node in self.masters().await? {
            self.scan_step(&node, "0", &pattern).await?;
        }
        Ok(())
    }

    /// One step: where the next one begins, and the keys that it found.
    async fn scan_step(
        &self,
        node: &Arc<Link>,
        cursor: &str,
        pattern: &str,
    ) -> Result<(String, Vec<Vec<u8>>), StoreError> {
        let mut step = redis::cmd("SCAN");
        step.arg(cursor)
            .arg("MATCH")
            .arg(pattern)
            .arg("COUNT")
            .arg(STEP);
        let step = &step;
        self.request(To::Node(node), |mut connection| async move {
            let reply = script::value(connection.req_packed_command(step).await)?;
            Ok(<(String, Vec<Vec<u8>>)>::from_redis_value(reply)?)
        })
        .await
    }

    /// The only server, or the masters of a cluster.
    pub(super) async fn masters(&self) -> Result<Vec<Arc<Link>>, StoreError> {
        let servers = &self.shared.servers;
        servers.masters(&self.label, self.op_timeout).await
    }
}

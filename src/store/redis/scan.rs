//! Which elections a deployment knows: a walk over its keys, step by step.

use std::collections::BTreeSet;

use futures_util::future::try_join_all;
#[cfg(feature = "cluster")]
use redis::RedisError;
use redis::aio::ConnectionLike;
use redis::{Cmd, FromRedisValue, RedisResult, Value};

use super::connection::Connection;
use super::keys::{Found, Keys, pattern};
use super::reply::{TYPE_OF_KEY, excerpt};
use super::{RedisStore, script};
use crate::protocol::{ElectionName, Record};
use crate::store::{Store, StoreError};

/// How many keys the server looks at in one step.
const STEP: usize = 1000;
/// The most steps of one walk, on one server: fifty million keys.
const MAX_STEPS: usize = 50_000;
/// How many counters without a record are looked at. Where there are more, the prefix is that of other
/// programs as well, and theirs are no elections.
const MAX_BARE: usize = 100;
/// How many counters may wait for the walk to come upon their records.
const MAX_WAITING: usize = 100_000;

/// The server of a walk: the only one, or one master of a cluster.
#[derive(Clone)]
enum Node {
    Only,
    #[cfg(feature = "cluster")]
    Master {
        host: String,
        port: u16,
    },
}

/// What a walk has found. It may come upon a key twice, and upon a counter before its record.
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
    /// Walks over all keys. Each step is a request of its own, and ends in the time of one.
    pub(super) async fn scan(&self) -> Result<Vec<ElectionName>, StoreError> {
        let nodes = self.request(nodes).await?;
        let mut walk = Walk::default();
        for node in nodes {
            self.scan_node(&node, &mut walk).await?;
        }
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

    /// The name of a counter without a record, when a candidate would take it for an election: that of a
    /// program that speaks only the bare protocol, or one that somebody has written something else into.
    /// A key of another type is somebody else's data.
    async fn elected_without_record(
        &self,
        name: ElectionName,
    ) -> Result<Option<ElectionName>, StoreError> {
        let is_election = match self.inspect(&name).await {
            Ok(seen) => seen.record != Record::ABSENT,
            Err(StoreError::Garbled { key, field, .. }) => {
                let counter = Keys::new(&self.prefix, &name).counter;
                key != excerpt(&counter) || field != TYPE_OF_KEY
            }
            // Whoever looks at it is told so.
            Err(StoreError::Denied { .. }) => true,
            Err(error) => return Err(error),
        };
        Ok(is_election.then_some(name))
    }

    async fn scan_node(&self, node: &Node, walk: &mut Walk) -> Result<(), StoreError> {
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
        for node in self.request(nodes).await? {
            self.scan_step(&node, "0", &pattern).await?;
        }
        Ok(())
    }

    /// One step: where the next one begins, and the keys that it found.
    async fn scan_step(
        &self,
        node: &Node,
        cursor: &str,
        pattern: &str,
    ) -> Result<(String, Vec<Vec<u8>>), StoreError> {
        let mut step = redis::cmd("SCAN");
        step.arg(cursor)
            .arg("MATCH")
            .arg(pattern)
            .arg("COUNT")
            .arg(STEP);
        let node = node.clone();
        self.request(|connection| async move {
            let reply = ask(connection, step, node).await?;
            Ok(<(String, Vec<Vec<u8>>)>::from_redis_value(reply)?)
        })
        .await
    }
}

#[cfg_attr(not(feature = "cluster"), expect(unused_mut))]
async fn nodes(mut connection: Connection) -> RedisResult<Vec<Node>> {
    #[cfg(feature = "cluster")]
    if connection.cluster().is_some() {
        let slots = connection
            .req_packed_command(redis::cmd("CLUSTER").arg("SLOTS"))
            .await?;
        return masters(slots);
    }
    drop(connection);
    Ok(vec![Node::Only])
}

/// The masters in the reply to `CLUSTER SLOTS`: the first node of each range.
#[cfg(feature = "cluster")]
fn masters(slots: Value) -> RedisResult<Vec<Node>> {
    let malformed = || {
        RedisError::from((
            redis::ErrorKind::UnexpectedReturnType,
            "CLUSTER SLOTS lists a range without a master",
        ))
    };
    let ranges = Vec::<Vec<Value>>::from_redis_value(slots)?;
    let mut masters = BTreeSet::new();
    for range in ranges {
        let master = range.into_iter().nth(2).ok_or_else(malformed)?;
        let mut master = Vec::<Value>::from_redis_value(master)?.into_iter();
        let (host, port) = master.next().zip(master.next()).ok_or_else(malformed)?;
        masters.insert((
            String::from_redis_value(host)?,
            u16::from_redis_value(port)?,
        ));
    }
    let node = |(host, port)| Node::Master { host, port };
    Ok(masters.into_iter().map(node).collect())
}

async fn ask(mut connection: Connection, command: Cmd, node: Node) -> RedisResult<Value> {
    let reply = match node {
        Node::Only => connection.req_packed_command(&command).await,
        #[cfg(feature = "cluster")]
        Node::Master { host, port } => {
            use redis::cluster_routing::{RoutingInfo, SingleNodeRoutingInfo};

            let address = SingleNodeRoutingInfo::ByAddress { host, port };
            let cluster = connection.cluster().ok_or_else(|| {
                RedisError::from((redis::ErrorKind::Io, "the cluster became a single server"))
            })?;
            cluster
                .route_command(command, RoutingInfo::SingleNode(address))
                .await
        }
    };
    script::value(reply)
}

//! A cluster: which of its nodes has the slot of an election.
//!
//! Every node has its own connection, made when needed, so a node that hangs affects only its own slots. All known
//! nodes are asked for the slots at once, and the first answer counts.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::RangeInclusive;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use futures_util::stream::{FuturesUnordered, StreamExt};
use redis::aio::ConnectionLike;
use redis::{FromRedisValue, RedisError, RedisResult, Value};

use super::connection::Connection;
use super::dial::{ConnectError, Dialed, Dialer};
use super::link::{LeadsTo, Link};
use super::sentinel::by_way_of;
use super::{failure, names, script};
use crate::store::address::Endpoint;

/// The number of slots of every cluster.
const SLOTS: u16 = 16_384;
/// How long each answer to a question for the slots may take before connecting for messages.
const TIMEOUT: Duration = Duration::from_secs(2);
/// The most nodes that are remembered.
const MOST_NODES: usize = 1000;

/// The nodes of a cluster.
pub(super) struct Cluster {
    label: Arc<str>,
    dialer: Arc<Dialer>,
    /// Those that the address names.
    seeds: Vec<Endpoint>,
    known: Mutex<Known>,
}

#[derive(Default)]
struct Known {
    links: BTreeMap<Endpoint, Arc<Link>>,
    slots: Vec<(RangeInclusive<u16>, Endpoint)>,
}

/// Where a node redirects a request for a slot that it does not serve. The request was not executed.
pub(super) struct Redirection {
    to: Endpoint,
    /// The slot is about to move there, so only this request goes there.
    once: bool,
}

impl Cluster {
    pub(super) fn new(label: Arc<str>, dialer: Arc<Dialer>, seeds: Vec<Endpoint>) -> Self {
        Self {
            label,
            dialer,
            seeds,
            known: Mutex::default(),
        }
    }

    /// The link to the node that serves the slot of `key`, or the one that a redirection names.
    pub(super) async fn link(
        &self,
        key: &str,
        redirection: Option<&Redirection>,
        op_timeout: Duration,
    ) -> Result<Arc<Link>, ConnectError> {
        let slot = slot(key);
        if let Some(Redirection { to, once }) = redirection {
            if !once {
                self.lock().slots.insert(0, (slot..=slot, to.clone()));
            }
            return Ok(self.link_to(to));
        }
        let mut node = self.lock().node_of(slot);
        if node.is_none() {
            self.read_slots(op_timeout).await?;
            node = self.lock().node_of(slot);
        }
        match node {
            Some(node) => Ok(self.link_to(&node)),
            None => Err(ConnectError::unreachable(format!(
                "no node of the cluster serves slot {slot}, which {key:?} belongs to"
            ))),
        }
    }

    /// Asks for the slots again before the next request: a node could not be used, or has redirected one.
    pub(super) fn forget_slots(&self) {
        self.lock().slots.clear();
    }

    /// The node that a link leads to.
    pub(super) fn node_of(&self, link: &Arc<Link>) -> Option<Endpoint> {
        let known = self.lock();
        let mut links = known.links.iter();
        let (node, _) = links.find(|(_, one)| Arc::ptr_eq(one, link))?;
        Some(node.clone())
    }

    /// The log-in for its nodes.
    pub(super) fn dialer(&self) -> &Dialer {
        &self.dialer
    }

    /// The links to all nodes that serve slots.
    pub(super) async fn masters(
        &self,
        op_timeout: Duration,
    ) -> Result<Vec<Arc<Link>>, ConnectError> {
        self.read_slots(op_timeout).await?;
        let nodes = self.serving();
        Ok(nodes.iter().map(|node| self.link_to(node)).collect())
    }

    /// Connects to any node that serves slots: each of them passes on every message.
    pub(super) async fn any_node(&self) -> Result<Dialed, ConnectError> {
        self.read_slots(TIMEOUT).await?;
        let serving = self.serving();
        let dialing = serving.iter().map(|node| names::any(&self.dialer, node));
        first(dialing.collect()).await
    }

    async fn read_slots(&self, op_timeout: Duration) -> Result<(), ConnectError> {
        let ask = async |node: Endpoint| {
            let connection = self.link_to(&node).connection(op_timeout).await;
            let by = |error| by_way_of("a node", &node, error);
            let mut connection = connection.map_err(by)?;
            let reply = connection
                .req_packed_command(redis::cmd("CLUSTER").arg("SLOTS"))
                .await;
            let slots = script::value(reply).and_then(|reply| masters(reply, &node));
            let slots = slots.map_err(|error| match error.code() {
                // Without support for clusters, and without the command.
                Some("ERR") => ConnectError::Misconfigured(format!(
                    "{node} is no node of a cluster ({}): use redis://",
                    failure::words(&error)
                )),
                _ => ConnectError::Answered(error),
            })?;
            match slots.is_empty() {
                // As after CLUSTER RESET: another node may still know the cluster.
                true => Err(ConnectError::unreachable(format!(
                    "{node} knows no node that serves slots"
                ))),
                false => Ok(slots),
            }
        };
        let slots = first(self.nodes().into_iter().map(ask).collect()).await?;
        let mut known = self.lock();
        // Nodes that have left the cluster are dropped.
        known.links.retain(|node, _| {
            slots.iter().any(|(_, one)| one == node) || self.seeds.contains(node)
        });
        known.slots = slots;
        Ok(())
    }

    /// The nodes that serve slots, as was read last.
    fn serving(&self) -> BTreeSet<Endpoint> {
        let known = self.lock();
        known.slots.iter().map(|(_, node)| node.clone()).collect()
    }

    fn nodes(&self) -> Vec<Endpoint> {
        let mut nodes: Vec<_> = self.lock().links.keys().cloned().collect();
        nodes.extend(self.seeds.iter().cloned());
        nodes.sort();
        nodes.dedup();
        nodes
    }

    fn link_to(&self, node: &Endpoint) -> Arc<Link> {
        let mut known = self.lock();
        if known.links.len() > MOST_NODES {
            known.links.clear();
        }
        let link = known.links.entry(node.clone()).or_insert_with(|| {
            let (dialer, node) = (Arc::clone(&self.dialer), node.clone());
            let dial = move |_looks| -> futures_util::future::BoxFuture<'static, _> {
                let (dialer, node) = (Arc::clone(&dialer), node.clone());
                Box::pin(async move { names::any(&dialer, &node).await })
            };
            let label = Arc::clone(&self.label);
            Arc::new(Link::new(label, LeadsTo::CurrentRole, None, Box::new(dial)))
        });
        Arc::clone(link)
    }

    fn lock(&self) -> MutexGuard<'_, Known> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Known {
    fn node_of(&self, slot: u16) -> Option<Endpoint> {
        let mut ranges = self.slots.iter();
        let (_, node) = ranges.find(|(range, _)| range.contains(&slot))?;
        Some(node.clone())
    }
}

impl Redirection {
    /// The redirection that an error of a node is; `asked` is the node's own connection.
    pub(super) fn of(error: &RedisError) -> Option<Self> {
        let once = match error.code()? {
            "MOVED" => false,
            "ASK" => true,
            _ => return None,
        };
        let (_slot, address) = error.detail()?.split_once(' ')?;
        let (host, port) = address.trim().rsplit_once(':')?;
        // A node that does not know its own name leaves it out; then the slots are asked for again.
        let to = Endpoint {
            host: Some(host).filter(|host| !host.is_empty())?.to_owned(),
            port: port.parse().ok()?,
        };
        Some(Self { to, once })
    }

    /// The connection to use at the node it names.
    pub(super) fn through(&self, connection: Connection) -> Connection {
        if self.once {
            connection.asking()
        } else {
            connection
        }
    }
}

/// The first of several attempts that succeeds, or the last error.
async fn first<T, F>(mut attempts: FuturesUnordered<F>) -> Result<T, ConnectError>
where
    F: Future<Output = Result<T, ConnectError>>,
{
    let mut failed = None;
    while let Some(outcome) = attempts.next().await {
        match outcome {
            Ok(value) => return Ok(value),
            Err(error) => failed = Some(error),
        }
    }
    Err(failed.unwrap_or_else(|| ConnectError::unreachable("the cluster has no nodes")))
}

/// The reply of a node to `CLUSTER SLOTS`: each range, and the master that serves it. A master without an
/// address is at that of the node.
fn masters(reply: Value, node: &Endpoint) -> RedisResult<Vec<(RangeInclusive<u16>, Endpoint)>> {
    let malformed = || {
        let kind = redis::ErrorKind::UnexpectedReturnType;
        RedisError::from((kind, "CLUSTER SLOTS lists a range without a master"))
    };
    let ranges = Vec::<Vec<Value>>::from_redis_value(reply)?;
    let masters = ranges.into_iter().map(|range| {
        let mut range = range.into_iter();
        let (Some(first), Some(last), Some(master)) = (range.next(), range.next(), range.next())
        else {
            return Err(malformed());
        };
        let mut master = Vec::<Value>::from_redis_value(master)?.into_iter();
        let (host, port) = master.next().zip(master.next()).ok_or_else(malformed)?;
        let host = Option::<String>::from_redis_value(host)?;
        let host = host.filter(|host| !host.is_empty() && host != "?");
        Ok((
            u16::from_redis_value(first)?..=u16::from_redis_value(last)?,
            Endpoint {
                host: host.unwrap_or_else(|| node.host.clone()),
                port: u16::from_redis_value(port)?,
            },
        ))
    });
    masters.collect()
}

/// The slot of a key without braces: the CRC-16 of XMODEM, modulo the number of slots (Redis Cluster
/// Specification, appendix A).
fn slot(key: &str) -> u16 {
    let crc = key.bytes().fold(0_u16, |crc, byte| {
        (0..8).fold(crc ^ (u16::from(byte) << 8), |crc, _| {
            (crc << 1) ^ (if crc & 0x8000 == 0 { 0 } else { 0x1021 })
        })
    });
    crc % SLOTS
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_slot_of_a_key_is_the_one_that_the_specification_gives() {
        // The check value of the CRC, and an example of the documentation of CLUSTER KEYSLOT.
        assert_eq!(slot("123456789"), 0x31C3);
        assert_eq!(slot("somekey"), 11_058);
    }
}

//! The stores of an election, as real servers and files, with a fleet on them.

use std::time::Duration;

use super::candidate::{Kind, Settings};
use super::fleet::Fleet;
use crate::support::redis::RedisServer;

/// What a store is made of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Made {
    Sqlite,
    Redis,
    /// A server that keeps only what was saved before it crashed.
    SavedRedis,
}

pub(crate) const ONE_FILE: &[Made] = &[Made::Sqlite];
pub(crate) const ONE_REDIS: &[Made] = &[Made::Redis];
pub(crate) const ONE_SAVED_REDIS: &[Made] = &[Made::SavedRedis];
pub(crate) const THREE_REDIS: &[Made] = &[Made::Redis, Made::Redis, Made::Redis];

/// Stores, and the candidates that campaign on them. The candidates end first.
pub(crate) struct Bed {
    pub(crate) fleet: Fleet,
    pub(crate) servers: Vec<RedisServer>,
}

impl Bed {
    pub(crate) fn new(stores: &[Made], kinds: &[Kind]) -> Self {
        let mut fleet = Fleet::new(Settings::new(&[]));
        let mut servers = Vec::new();
        for (index, made) in stores.iter().enumerate() {
            let url = match made {
                Made::Sqlite => {
                    let file = fleet.dir().join(format!("elections-{index}.db"));
                    format!("sqlite:{}", file.display())
                }
                Made::Redis | Made::SavedRedis => {
                    servers.push(match made {
                        Made::SavedRedis => RedisServer::start(),
                        Made::Sqlite | Made::Redis => durable(),
                    });
                    servers[servers.len() - 1].url()
                }
            };
            fleet.settings().stores.push(url);
        }
        for kind in kinds {
            fleet.start(*kind);
        }
        Self { fleet, servers }
    }

    pub(crate) fn window(&mut self) -> Duration {
        self.fleet.settings().window()
    }

    /// Ends everything, and judges what the witness saw.
    pub(crate) fn verdict(self) {
        self.fleet.verdict();
    }
}

/// A server that has every acknowledged write again after its process was killed: the append-only file
/// is written before the reply, and the system keeps what is written.
pub(crate) fn durable() -> RedisServer {
    RedisServer::settings()
        .set("appendonly", &["yes"])
        .set("appendfsync", &["no"])
        .debuggable()
        .start()
}

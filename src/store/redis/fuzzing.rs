//! The decoders of this store, for arbitrary bytes. Fuzz targets, property tests and benchmarks call what is here; it is
//! no part of the API.

use std::sync::Arc;

use super::keys::{Found, Keys};
use super::reply::{self, Beaten, Reader};
use super::script;
use crate::protocol::ElectionName;
use crate::store::{Inspection, StoreError};

/// How a server's answer decodes, when read as the answer to each kind of request.
#[derive(Debug)]
pub struct Answer {
    /// As the reply to an operation.
    pub reply: Result<crate::protocol::Reply, StoreError>,
    /// As an inspection.
    pub inspection: Result<Inspection, StoreError>,
    /// As a history: how many entries it has.
    pub history: Result<usize, StoreError>,
    /// As the reply to many heartbeats: how many were granted.
    pub heartbeats: usize,
}

/// Decodes bytes from the wire. `None` when they are not one whole value of the wire protocol.
#[must_use]
pub fn answer(wire: &[u8]) -> Option<Answer> {
    let value = redis::parse_redis_value(wire).ok()?;
    let election = ElectionName::new("fuzzed").ok()?;
    let keys = Keys::new("incumbent:", &election, false);
    let store = Arc::from("redis://fuzzed");
    let reader = Reader {
        store: &store,
        keys: &keys,
    };
    Some(Answer {
        reply: reader.reply(value.clone()),
        inspection: reader.inspection(value.clone()),
        history: reader
            .history(Some(value.clone()))
            .map(|entries| entries.len()),
        heartbeats: Beaten::read(value, 3).map_or(0, |beaten| beaten.answers().flatten().count()),
    })
}

/// The scripts of a claim and of a release, as a server gets them: the floor of the benchmarks.
#[must_use]
pub fn claim_and_release() -> [&'static str; 2] {
    [script::CLAIM.text(), script::RELEASE.text()]
}

/// Whether a message on the channel of an election decodes as a release.
#[must_use]
pub fn is_release(message: &[u8]) -> bool {
    reply::release(message).is_some()
}

/// The election whose record or counter a key found by a walk appears to be.
#[must_use]
pub fn election_of_key(key: &[u8], prefix: &str) -> Option<ElectionName> {
    match Found::new(key, prefix)? {
        Found::Record(name) | Found::Counter(name) => Some(name),
    }
}

/// The keys of the record and the counter of an election.
#[must_use]
pub fn keys_of_election(election: &ElectionName, prefix: &str) -> [String; 2] {
    let Keys {
        record, counter, ..
    } = Keys::new(prefix, election, false);
    [record, counter]
}

//! The keys of one election. On a cluster all of them hash to one slot: that of `K`.

use crate::protocol::{CandidateId, ElectionName};

/// `K` and its companions, and the memory of the server.
#[derive(Clone)]
pub(super) struct Keys {
    /// `K`: the heartbeat counter.
    pub(super) counter: String,
    /// `{K}:record`: the rest of the record.
    pub(super) record: String,
    /// `{K}:candidates`: the candidates.
    pub(super) candidates: String,
    /// `{PREFIX}:memory`, or `{K}:memory`: the memory of the server.
    pub(super) memory: String,
    /// `{K}:history`: what happened.
    pub(super) history: String,
    /// `{K}:events`: the channel on which all standbys are woken.
    pub(super) events: String,
}

const RECORD: &str = ":record";

impl Keys {
    pub(super) fn new(prefix: &str, election: &ElectionName, is_cluster: bool) -> Self {
        let companion = |what: &str| ["{", prefix, election.as_str(), "}:", what].concat();
        let (counter, record) = of_heartbeat(prefix, election);
        Self {
            counter: counter.concat(),
            record: record.concat(),
            candidates: companion("candidates"),
            memory: match is_cluster {
                true => companion("memory"),
                false => memory_of_all(prefix),
            },
            history: companion("history"),
            events: companion("events"),
        }
    }
}

impl Keys {
    /// `{K}:events:ID`: the channel on which one standby is woken.
    pub(super) fn events_for(&self, id: &CandidateId) -> String {
        format!("{}:{id}", self.events)
    }

    /// The same with a memory for this election alone, as on a cluster.
    pub(super) fn with_own_memory(&self) -> Self {
        Self {
            memory: format!("{{{}}}:memory", self.counter),
            ..self.clone()
        }
    }

    /// The keys of every script, in their order.
    pub(super) fn of_record(&self) -> [&str; 4] {
        [&self.counter, &self.record, &self.candidates, &self.memory]
    }

    /// The keys of a script that writes the history.
    pub(super) fn with_history(&self) -> [&str; 5] {
        let [counter, record, candidates, memory] = self.of_record();
        [counter, record, candidates, memory, &self.history]
    }
}

/// The parts of the keys that a usual heartbeat changes: `K` and `{K}:record`.
pub(super) fn of_heartbeat<'a>(
    prefix: &'a str,
    election: &'a ElectionName,
) -> ([&'a str; 2], [&'a str; 5]) {
    let name = election.as_str();
    ([prefix, name], ["{", prefix, name, "}", RECORD])
}

/// The memory of a server that stands alone.
pub(super) fn memory_of_all(prefix: &str) -> String {
    format!("{{{prefix}}}:memory")
}

/// The `SCAN` pattern for the keys that [`Found`] knows under `prefix`, whatever characters it holds. With an
/// empty prefix every key of the server might be a counter: only records match.
pub(super) fn pattern(prefix: &str) -> String {
    let mut pattern = String::from(if prefix.is_empty() { "{" } else { "*" });
    for c in prefix.chars() {
        if matches!(c, '*' | '?' | '[' | ']' | '^' | '-' | '\\') {
            pattern.push('\\');
        }
        pattern.push(c);
    }
    pattern.push('*');
    if prefix.is_empty() {
        pattern.push('}');
        pattern.push_str(RECORD);
    }
    pattern
}

/// What a key found on a server is to an election.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Found {
    /// Its record: there is such an election.
    Record(ElectionName),
    /// Its counter, or a foreign key that looks like one.
    Counter(ElectionName),
}

impl Found {
    /// What a key is under `prefix`, if it is anything.
    pub(super) fn new(key: &[u8], prefix: &str) -> Option<Self> {
        let key = std::str::from_utf8(key).ok()?;
        let Some(companion) = key.strip_prefix('{') else {
            let name = key.strip_prefix(prefix).filter(|_| !prefix.is_empty())?;
            return Some(Self::Counter(ElectionName::new(name).ok()?));
        };
        let name = companion
            .strip_prefix(prefix)?
            .strip_suffix(RECORD)?
            .strip_suffix('}')?;
        Some(Self::Record(ElectionName::new(name).ok()?))
    }
}

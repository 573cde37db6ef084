//! The keys of one election. All of them hash to one slot of a cluster: that of `K`.

use crate::protocol::ElectionName;

/// `K` and its companions.
#[derive(Clone)]
pub(super) struct Keys {
    /// `K`: the heartbeat counter.
    pub(super) counter: String,
    /// `{K}:record`: the rest of the record.
    pub(super) record: String,
    /// `{K}:candidates`: who campaigns.
    pub(super) candidates: String,
    /// `{K}:history`: what happened.
    pub(super) history: String,
    /// `{K}:events`: the channel of releases.
    pub(super) events: String,
}

const RECORD: &str = ":record";

impl Keys {
    pub(super) fn new(prefix: &str, election: &ElectionName) -> Self {
        let companion = |what: &str| format!("{{{prefix}{election}}}:{what}");
        Self {
            counter: format!("{prefix}{election}"),
            record: companion("record"),
            candidates: companion("candidates"),
            history: companion("history"),
            events: companion("events"),
        }
    }
}

/// The pattern of `SCAN` that every record under `prefix` matches, whatever characters it holds.
pub(super) fn record_pattern(prefix: &str) -> String {
    let mut pattern = String::from("{");
    for c in prefix.chars() {
        if matches!(c, '*' | '?' | '[' | ']' | '^' | '-' | '\\') {
            pattern.push('\\');
        }
        pattern.push(c);
    }
    pattern.push_str("*}");
    pattern.push_str(RECORD);
    pattern
}

/// The election whose record a key is, if it is one under `prefix`.
pub(super) fn election_of(key: &[u8], prefix: &str) -> Option<ElectionName> {
    let name = std::str::from_utf8(key)
        .ok()?
        .strip_prefix('{')?
        .strip_prefix(prefix)?
        .strip_suffix(RECORD)?
        .strip_suffix('}')?;
    ElectionName::new(name).ok()
}

//! From what was learnt to what it means: a pure function, tested as a table.

use std::time::Duration;

use incumbent::observe::ElectionView;
use incumbent::protocol::{Electorate, Timing};
use incumbent::store::{Examination, StoreError};
use serde::Serialize;

use crate::cli::output::{Tone, duration};

/// Everything that was learnt.
pub(super) struct Evidence {
    pub(super) timing: Timing,
    pub(super) electorate: Electorate,
    /// The election asked for.
    pub(super) view: Option<ElectionView>,
    pub(super) stores: Vec<StoreEvidence>,
}

/// What was learnt of one store.
pub(super) struct StoreEvidence {
    pub(super) store: String,
    pub(super) examination: Result<Examination, StoreError>,
    /// The longest of some requests.
    pub(super) latency: Option<Duration>,
    /// How far its clock is ahead of ours.
    pub(super) clock_offset_ms: Option<i64>,
}

impl StoreEvidence {
    /// What its server told under this name.
    pub(super) fn fact(&self, name: &str) -> Option<&str> {
        let facts = &self.examination.as_ref().ok()?.facts;
        facts.get(name).map(String::as_str)
    }

    fn number(&self, name: &str) -> Option<u64> {
        self.fact(name)?.parse().ok()
    }
}

/// How bad it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "lowercase")]
pub(super) enum Severity {
    /// Good to know.
    Note,
    /// To look at.
    Warning,
    /// The election is endangered, or cannot take place.
    Danger,
}

impl Severity {
    pub(super) const fn word(self) -> &'static str {
        match self {
            Self::Note => "note",
            Self::Warning => "warning",
            Self::Danger => "danger",
        }
    }

    pub(super) const fn tone(self) -> Tone {
        match self {
            Self::Note => Tone::Plain,
            Self::Warning => Tone::Odd,
            Self::Danger => Tone::Bad,
        }
    }
}

/// One thing that was found, what it puts at risk, and what to do about it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub(super) struct Finding {
    pub(super) severity: Severity,
    pub(super) store: Option<String>,
    pub(super) found: String,
    pub(super) risk: Option<String>,
    pub(super) fix: Option<String>,
}

/// All that there is to say, the worst first.
pub(super) fn judge(evidence: &Evidence) -> Vec<Finding> {
    let mut findings = Vec::new();
    for store in &evidence.stores {
        let mut about = About {
            store: Some(&store.store),
            findings: &mut findings,
        };
        access(store, &mut about);
        server(store, &mut about);
        memory(store, &mut about);
        time(store, &evidence.timing, &mut about);
    }
    let mut about = About {
        store: None,
        findings: &mut findings,
    };
    electorate(evidence, &mut about);
    election(evidence, &mut about);
    findings.sort_by_key(|finding| std::cmp::Reverse(finding.severity));
    findings
}

struct About<'a> {
    store: Option<&'a str>,
    findings: &'a mut Vec<Finding>,
}

impl About<'_> {
    fn say(&mut self, severity: Severity, found: impl Into<String>, risk: &str, fix: &str) {
        let some = |text: &str| (!text.is_empty()).then(|| text.to_owned());
        self.findings.push(Finding {
            severity,
            store: self.store.map(str::to_owned),
            found: found.into(),
            risk: some(risk),
            fix: some(fix),
        });
    }
}

fn access(store: &StoreEvidence, about: &mut About<'_>) {
    let examination = match &store.examination {
        Ok(examination) => examination,
        Err(error) => {
            return about.say(
                Severity::Danger,
                error.to_string(),
                "it has no vote: with one store nobody can be elected",
                "start it, or correct its address and the network between",
            );
        }
    };
    if let Some(Err(error)) = &examination.trial {
        let fix = if error.is_denied() {
            "give the user the commands of the scripts on the keys and channels of the prefix: ~PREFIX* ~{PREFIX* &{PREFIX*"
        } else {
            "see what the server says"
        };
        about.say(
            Severity::Danger,
            format!("an election cannot be held: {error}"),
            "no candidate can be elected here, or a leader cannot renew or release",
            fix,
        );
    }
    if let Some(error) = &examination.withheld {
        about.say(
            Severity::Note,
            format!("the server does not tell of itself: {error}"),
            "its role, persistence and memory policy could not be examined",
            "let the user run INFO, or have an administrator run doctor",
        );
    }
}

fn server(store: &StoreEvidence, about: &mut About<'_>) {
    if let Some(version) = store.fact("redis_version") {
        let major: u32 = version
            .split('.')
            .next()
            .and_then(|part| part.parse().ok())
            .unwrap_or(0);
        if major < 6 {
            about.say(
                Severity::Warning,
                format!("the server is version {version}"),
                "nothing older than 6 is tested",
                "upgrade it",
            );
        }
    }
    if store.fact("role") == Some("slave") {
        about.say(
            Severity::Danger,
            "the server is a replica",
            "it refuses every claim and heartbeat",
            "name its master, or use redis+sentinel://",
        );
    }
    if store
        .number("connected_slaves")
        .is_some_and(|count| count > 0)
    {
        about.say(
            Severity::Warning,
            "the server has replicas",
            "a failover to one loses writes that were acknowledged: for a moment two may lead",
            "check the fencing token in the resource, or use 3 or 5 independent stores",
        );
    }
    if store.fact("loading") == Some("1") {
        about.say(
            Severity::Warning,
            "the server is still loading its data",
            "it answers nothing until it is done",
            "wait",
        );
    }
    if store.fact("aof_enabled") == Some("0") {
        about.say(
            Severity::Note,
            "the server does not keep an append-only file",
            "it comes back empty or old after a crash: the next election waits out one window first",
            "set appendonly yes if that window is too long",
        );
    }
    for (name, what) in [
        ("rdb_last_bgsave_status", "its last save to disk"),
        (
            "aof_last_write_status",
            "its last write to the append-only file",
        ),
    ] {
        if store.fact(name).is_some_and(|status| status != "ok") {
            about.say(
                Severity::Danger,
                format!("{what} has failed"),
                "by default the server then refuses all writes, and the leader loses its tenure",
                "look at its log and at the space on its disk",
            );
        }
    }
}

fn memory(store: &StoreEvidence, about: &mut About<'_>) {
    let (Some(limit), Some(policy)) = (store.number("maxmemory"), store.fact("maxmemory_policy"))
    else {
        return;
    };
    if limit == 0 {
        return;
    }
    if policy.starts_with("allkeys") {
        about.say(
            Severity::Danger,
            format!("the server evicts keys when it is full (maxmemory-policy {policy})"),
            "it can evict the record of a leader: an election is forgotten while somebody leads",
            "set maxmemory-policy noeviction, or use a server of its own",
        );
    }
    if let Some(used) = store.number("used_memory")
        && used.saturating_mul(10) > limit.saturating_mul(9)
    {
        about.say(
            Severity::Warning,
            format!("the server uses {used} of {limit} bytes"),
            "when it is full it refuses claims and heartbeats",
            "give it more memory",
        );
    }
}

fn time(store: &StoreEvidence, timing: &Timing, about: &mut About<'_>) {
    if let Some(took) = store.latency
        && took * 4 > timing.op_timeout()
    {
        let severity = if took * 2 > timing.op_timeout() {
            Severity::Danger
        } else {
            Severity::Warning
        };
        about.say(
            severity,
            format!(
                "a request took {}, and heartbeats may take {}",
                duration(took),
                duration(timing.op_timeout())
            ),
            "heartbeats fail under a little more load, and with enough of them the leadership",
            "choose a longer interval (see incumbent explain), or a store that is closer",
        );
    }
    if let Some(offset) = store.clock_offset_ms
        && offset.unsigned_abs() > 2000
    {
        about.say(
            Severity::Warning,
            format!(
                "its clock is {} {} ours",
                duration(Duration::from_millis(offset.unsigned_abs())),
                if offset > 0 { "ahead of" } else { "behind" }
            ),
            "none for who leads; times in history are off, and tokens no longer tell the time",
            "synchronise the clocks",
        );
    }
}

fn electorate(evidence: &Evidence, about: &mut About<'_>) {
    if evidence.electorate.size() == 1 {
        about.say(
            Severity::Note,
            "there is one store",
            "while it is down nobody is elected, and a leader stops at its deadline",
            "3 independent stores survive the loss of one, 5 that of two",
        );
    }
    let ids: Vec<_> = evidence
        .stores
        .iter()
        .filter_map(|store| Some((store.fact("run_id")?, &store.store)))
        .collect();
    for (at, (id, store)) in ids.iter().enumerate() {
        if let Some((_, same)) = ids[..at].iter().find(|(other, _)| other == id) {
            about.say(
                Severity::Danger,
                format!("{same} and {store} are the same server"),
                "a majority of the addresses is no majority of servers: two may lead",
                "name independent servers",
            );
        }
    }
}

fn election(evidence: &Evidence, about: &mut About<'_>) {
    let Some(view) = &evidence.view else {
        return;
    };
    let ours = evidence.timing.window();
    if let Some(leader) = view.leader() {
        if leader.window != ours {
            about.say(
                Severity::Warning,
                format!(
                    "the leader has a window of {}, this configuration one of {}",
                    duration(leader.window),
                    duration(ours)
                ),
                "safe, but a takeover waits for the longer; and after a store has lost its data the shorter probation is too short",
                "use one timing everywhere, or set probation to the largest window",
            );
        }
        if leader.is_stalled() {
            about.say(
                Severity::Danger,
                "the leader has not beaten for longer than its window",
                "it is dead, and nobody takes over",
                "start a candidate",
            );
        }
    }
    let mut versions: Vec<&str> = view
        .candidates
        .iter()
        .map(|one| one.identity.version())
        .collect();
    versions.sort_unstable();
    versions.dedup();
    if versions.len() > 1 {
        about.say(
            Severity::Note,
            format!("the candidates run versions {}", versions.join(", ")),
            "",
            "finish the upgrade",
        );
    }
    if view.candidates.len() == 1 {
        about.say(
            Severity::Warning,
            "there is one candidate",
            "when it dies nobody takes over",
            "start another, on another host",
        );
    }
}

#[cfg(test)]
mod tests;

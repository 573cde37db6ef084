//! What a store reports and allows, and what that means for an election on it.

use std::time::Duration;

use incumbent::protocol::Timing;
use incumbent::store::StoreError;

use super::{About, Severity, StoreEvidence};
use crate::output::duration;

pub(super) fn judge(store: &StoreEvidence, timing: &Timing, about: &mut About<'_>) {
    access(store, about);
    role(store, about);
    persistence(store, about);
    memory(store, about);
    time(store, timing, about);
}

fn access(store: &StoreEvidence, about: &mut About<'_>) {
    let examination = match &store.examination {
        Ok(examination) => examination,
        Err(error) => {
            return about.say(
                Severity::Danger,
                said(error),
                "it has no vote: a majority of the others is needed, and if it is the only store no one is elected",
                reach(error),
            );
        }
    };
    if let Some(Err(error)) = &examination.trial {
        // A missing permission fails one operation; wrong credentials fail all of them.
        let same: Vec<&str> = examination
            .refused
            .iter()
            .filter(|(_, refusal)| said(refusal) == said(error))
            .map(|(right, _)| *right)
            .collect();
        let fix = if store.is_file() {
            "repair what it names, or choose another path; if the file is not a database of incumbent, move it \
             away while no process uses it"
                .to_owned()
        } else if is_unknown(error) {
            "remove the command that it names from rename-command in the server's configuration"
                .to_owned()
        } else if let Some(pattern) = missing_pattern(error) {
            format!("give the user {pattern}, as docs/redis.md shows")
        } else if let ([right], true) = (&*same, error.is_denied()) {
            format!("give the user the right +{right}")
        } else if error.is_denied() {
            "correct the user and the password, or give the user the rights that docs/redis.md lists"
                .to_owned()
        } else {
            reach(error).to_owned()
        };
        about.say(
            Severity::Danger,
            format!("an election cannot be held: it {}", said(error)),
            "no candidate can be elected here, or a leader cannot renew or release",
            &fix,
        );
    }
    // Wrong credentials are one finding, however often they are refused.
    let whole = examination
        .trial
        .as_ref()
        .and_then(|trial| trial.as_ref().err());
    let is_told = |error: &StoreError| whole.is_some_and(|whole| said(whole) == said(error));
    for (right, error) in &examination.refused {
        // What lacks INFO comes below.
        if is_told(error) || (*right == "info" && examination.withheld.is_some()) {
            continue;
        }
        if !error.is_denied() && *right == "scan" {
            about.say(
                Severity::Danger,
                format!("not all of its elections can be found: it {}", said(error)),
                "those that are there cannot be held, and incumbent list leaves them out",
                reach(error),
            );
            continue;
        }
        let severity = match convenience(right) {
            Some(_) => Severity::Warning,
            None => Severity::Danger,
        };
        about.say(
            severity,
            format!("{right} is not possible: it {}", said(error)),
            convenience(right)
                .unwrap_or("no candidate can be elected here, or a leader cannot renew or release"),
            &match missing_pattern(error) {
                _ if is_unknown(error) => {
                    format!("remove {right} from rename-command in the server's configuration")
                }
                _ if !error.is_denied() => reach(error).to_owned(),
                Some(pattern) => format!("give the user {pattern}, as docs/redis.md shows"),
                None => format!("give the user the right +{right}"),
            },
        );
    }
    if let Some(error) = &examination.withheld
        && !is_told(error)
    {
        about.say(
            Severity::Danger,
            format!("the server does not report what it is: it {}", said(error)),
            "it may be one of several servers at the same address, so no candidate uses it; its role, persistence \
             and memory policy could not be examined",
            match error {
                _ if is_unknown(error) => {
                    "remove info from rename-command in the server's configuration"
                }
                _ if error.is_denied() => "give the user the right +info",
                _ => reach(error),
            },
        );
    }
}

/// The fix for a store that fails.
fn reach(error: &StoreError) -> &'static str {
    match error {
        StoreError::Unreachable { .. } | StoreError::Unknown { .. } => {
            "start it, or correct its address and the network between"
        }
        StoreError::Misconfigured { .. } => "correct the address, or what it leads to, as it asks",
        _ => "see what the server says",
    }
}

/// The pattern that is missing for a user that has the command but may not use it on our names. The error text
/// differs between versions, but always names the kind of pattern.
fn missing_pattern(error: &StoreError) -> Option<&'static str> {
    let said = said(error);
    if !error.is_denied() || !said.contains("NOPERM") {
        None
    } else if said.contains("channel") {
        Some("the channels &{PREFIX*")
    } else if said.contains(" key") {
        Some("the keys ~PREFIX* and ~{PREFIX*")
    } else {
        None
    }
}

/// The error without the name of the store, which the finding has already.
fn said(error: &StoreError) -> String {
    let text = error.to_string();
    let said = text.strip_prefix(error.store()).unwrap_or(&text);
    said.trim_start().to_owned()
}

/// Whether the server has no such command, or has it renamed.
fn is_unknown(error: &StoreError) -> bool {
    let said = said(error).to_lowercase();
    ["unknown command", "unknown redis command"]
        .iter()
        .any(|words| said.contains(words))
}

/// What does not work without this command, if an election can be held without it.
fn convenience(command: &str) -> Option<&'static str> {
    Some(match command {
        "unsubscribe" => "unused channels stay subscribed until the process exits",
        "publish" | "subscribe" => {
            "a release wakes no standby: standbys notice it at their next poll, up to an interval later"
        }
        "xadd" => "there is no history: incumbent history shows nothing",
        "xrevrange" => "incumbent history cannot read it",
        "zrem" => "a candidate that has ended stays listed for up to a minute",
        "zrevrange" => {
            "incumbent status and the other views of elections cannot list the candidates"
        }
        "zremrangebyscore" => "a candidate that was killed stays listed forever",
        "zremrangebyrank" => {
            "the list of candidates is not bounded, and a leader may take an old replica's word for its \
             deposition"
        }
        "type" => "a key of another type that stands in the way is not named",
        "eval" | "script|load" => {
            "after a restart of the server the first requests fail or take a round trip more"
        }
        "scan" => "incumbent list, and watch without a name, find no elections",
        _ => return None,
    })
}

fn role(store: &StoreEvidence, about: &mut About<'_>) {
    // The version of Redis that the server is, or is compatible with.
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
                "nothing older than 6.2 is tested",
                "upgrade it",
            );
        }
        if major < 7 && store.fact("min_slaves_good_slaves").is_some() {
            about.say(
                Severity::Warning,
                format!("version {version} does not apply min-replicas-to-write to scripts"),
                "a master that was replaced goes on acknowledging claims and heartbeats for a while: two may lead",
                "upgrade it to 7 or later, or use 3 or 5 independent stores",
            );
        }
    }
    if store.fact("role") == Some("slave") {
        about.say(
            Severity::Danger,
            match (store.fact("master_host"), store.fact("master_port")) {
                (Some(host), Some(port)) => format!("the server is a replica of {host}:{port}"),
                _ => "the server is a replica".to_owned(),
            },
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
            "a master that goes on serving after a failover to one of them can have a leader of its own: two may lead",
            "set min-replicas-to-write 1 and min-replicas-max-lag 1, check the fencing token in the resource, or use \
             3 or 5 independent stores",
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
}

/// Candidates wait after any restart, so an election needs nothing on disk.
fn persistence(store: &StoreEvidence, about: &mut About<'_>) {
    if store.fact("aof_enabled") == Some("0") {
        about.say(
            Severity::Note,
            match store.fact("save") {
                Some("") => "the server keeps nothing on disk",
                Some(_) | None => "the server keeps no append-only file",
            },
            "a crash costs it pauses and history, or the latest of them; as after any restart, the current leader \
             keeps leading, and the next one waits out a probation",
            "set appendonly yes if a pause must outlast a crash",
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
            "it can evict the record of a leader while that leader acts",
            "set maxmemory-policy noeviction, or use a separate server",
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
            "under a little more load heartbeats fail, and enough failures lose the leadership",
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
            "none for leadership; times in history are off, and tokens no longer reflect the time",
            "synchronise the clocks",
        );
    }
}

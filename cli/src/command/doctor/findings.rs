//! Turns evidence into findings: pure functions, tested as a table.
//!
//! ```text
//!   Evidence ──▶ judge ──┬─▶ server     each store: access, role, memory of its writes, time
//!                        ├─▶ candidates the election asked for: its candidates and their timing
//!                        └─▶ here       the electorate as a whole, and how a program would be kept here
//! ```

mod candidates;
mod server;

use std::time::Duration;

use crate::supervise::{Contain, Containment, Quota};
use incumbent::observe::ElectionView;
use incumbent::protocol::{Electorate, Timing};
use incumbent::store::{Examination, StoreError};
use serde::Serialize;

use crate::output::Tone;

/// All the evidence.
pub(super) struct Evidence {
    /// The timing of the configuration, when one is chosen there.
    pub(super) chosen: Option<Timing>,
    pub(super) electorate: Electorate,
    /// The election asked for.
    pub(super) view: Option<ElectionView>,
    pub(super) stores: Vec<StoreEvidence>,
    /// How a program that is started here would be kept, or why it could not be.
    pub(super) keeping: Result<Keeping, String>,
}

impl Evidence {
    /// The timing that the stores are measured by: the one chosen here, else that of the leader, else
    /// that of any candidate.
    pub(super) fn timing(&self) -> Timing {
        let told = self.view.iter().flat_map(|view| &view.candidates);
        let told = told.filter_map(|one| one.identity.timing()).next();
        self.chosen.or(told.copied()).unwrap_or_default()
    }
}

/// How the program of an election is kept together with its deadline.
pub(super) struct Keeping {
    /// What was asked for.
    pub(super) asked: Contain,
    pub(super) containment: Containment,
    /// Whether the memory of the keeper cannot be swapped out.
    pub(super) memory_locked: bool,
    /// Whether the keeper runs before what has real-time priority.
    pub(super) real_time: bool,
    /// Whether it may look into processes of other users.
    pub(super) reads_others: bool,
    /// What it shares with its program.
    pub(super) quota: Option<Quota>,
}

/// The evidence about one store.
pub(super) struct StoreEvidence {
    pub(super) store: String,
    pub(super) examination: Result<Examination, StoreError>,
    /// The longest of some requests.
    pub(super) latency: Option<Duration>,
    /// How far its clock is ahead of ours.
    pub(super) clock_offset_ms: Option<i64>,
}

impl StoreEvidence {
    /// The value of this name that its server reported.
    pub(super) fn fact(&self, name: &str) -> Option<&str> {
        let facts = &self.examination.as_ref().ok()?.facts;
        facts.get(name).map(String::as_str)
    }

    /// The name and the version of its server. One that stands in for Redis has its own beside those that
    /// it gives for compatibility.
    pub(super) fn server(&self) -> Option<(&str, &str)> {
        let own = self.fact("server_name");
        let own = own.and_then(|name| Some((name, self.fact(&format!("{name}_version"))?)));
        own.or_else(|| Some(("redis", self.fact("redis_version")?)))
    }

    fn is_file(&self) -> bool {
        let examination = self.examination.as_ref();
        examination.is_ok_and(|examination| examination.kind == "sqlite")
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

/// One finding, its risk, and its fix.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub(super) struct Finding {
    pub(super) severity: Severity,
    pub(super) store: Option<String>,
    pub(super) found: String,
    pub(super) risk: String,
    pub(super) fix: String,
}

/// All findings, the worst first.
pub(super) fn judge(evidence: &Evidence) -> Vec<Finding> {
    let mut findings = Vec::new();
    let timing = evidence.timing();
    for store in &evidence.stores {
        let mut about = About {
            store: Some(&store.store),
            findings: &mut findings,
        };
        server::judge(store, &timing, &mut about);
    }
    let mut about = About {
        store: None,
        findings: &mut findings,
    };
    electorate(evidence, &mut about);
    candidates::judge(evidence, &mut about);
    keeping(evidence, &timing, &mut about);
    findings.sort_by_key(|finding| std::cmp::Reverse(finding.severity));
    findings
}

struct About<'a> {
    store: Option<&'a str>,
    findings: &'a mut Vec<Finding>,
}

impl About<'_> {
    fn say(&mut self, severity: Severity, found: impl Into<String>, risk: &str, fix: &str) {
        self.findings.push(Finding {
            severity,
            store: self.store.map(str::to_owned),
            found: found.into(),
            risk: risk.to_owned(),
            fix: fix.to_owned(),
        });
    }
}

fn electorate(evidence: &Evidence, about: &mut About<'_>) {
    let file = evidence.stores.iter().any(StoreEvidence::is_file);
    if evidence.electorate.size() == 1 && file {
        about.say(
            Severity::Note,
            "the one store is a file of this host",
            "only processes of this host take part, and while it is down no one leads",
            "to elect among several hosts, use a Redis, or 3 or 5 independent ones",
        );
    } else if evidence.electorate.size() == 1 {
        about.say(
            Severity::Note,
            "there is one store",
            "while it is down no one is elected, and a leader stops at its deadline",
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
                "a majority of the addresses is not a majority of the servers: two may lead",
                "name independent servers",
            );
        }
    }
}

fn keeping(evidence: &Evidence, timing: &Timing, about: &mut About<'_>) {
    let kept = match &evidence.keeping {
        Ok(kept) => kept,
        Err(why) => {
            return about.say(
                Severity::Danger,
                format!("no program can be kept here: {why}"),
                "incumbent run cannot start its program on this host",
                "look at the setting contain (INCUMBENT_CONTAIN), and at the limits on processes and open files of \
                 this user",
            );
        }
    };
    let Containment {
        cgroup,
        pid_namespace,
        hidden,
        unfenced,
    } = &kept.containment;
    let is_below_keeper = cgroup.is_none() && !pid_namespace;
    let remedy = |remedy| match kept.asked {
        Contain::Subreaper => "leave out contain = subreaper, with which no cgroup is tried",
        Contain::Auto | Contain::Cgroup | Contain::Pidns => remedy,
    };
    if is_below_keeper && !hidden {
        about.say(
            Severity::Note,
            "a program started from here gets no cgroup",
            "its processes are killed one at a time, starting at the deadline: with thousands \
             of them the last may act beyond it, and one that forks all the time keeps the election held \
             until the last is dead",
            remedy("run it as a systemd unit with Delegate=yes (incumbent unit prints one), or as root"),
        );
    }
    if is_below_keeper && *hidden {
        about.say(
            Severity::Note,
            "a program started from here gets no cgroup, and /proc hides processes (hidepid)",
            "a hidden process is killed only once its parent is dead: deeply nested processes, or ones that die \
             slowly, may act for a moment past the deadline",
            remedy(
                "run it as a systemd unit with Delegate=yes (incumbent unit prints one), or mount /proc with \
                 hidepid=0 for it, or with gid= and a group of its user",
            ),
        );
    }
    if !is_below_keeper {
        if !pid_namespace && !kept.reads_others {
            about.say(
                Severity::Note,
                "this user may not look into processes of other users",
                "a worker that su, sudo or systemd-run --scope start as another user, outside of the unit, is not \
                 found by release --after-unit once both halves of incumbent were killed: it acts beside the next leader",
                "start workers without them, or give the resource the fencing token",
            );
        }
    } else {
        about.say(
            Severity::Note,
            "processes of a program that start a PID namespace can leave what contains it here",
            "a program that enters a PID namespace whose init is not below it, and forks twice there, leaves a \
             process that is neither seen nor killed, and acts beside the next leader",
            "run such programs only in a cgroup: use a systemd unit with Delegate=yes",
        );
    }
    if !pid_namespace {
        about.say(
            Severity::Note,
            "what a program starts here outlives both halves of incumbent",
            "if elector and keeper are killed at once, or one while the other is frozen, processes of the program act \
             beside the next leader until something else ends them",
            "start it with --contain pidns if it can do with process ids and a /proc of its own; or run it as a \
             systemd unit (incumbent unit prints one), which ends what is left",
        );
    }
    if let Some(why) = unfenced {
        about.say(
            Severity::Note,
            format!("no fence keeps packets of a program in after its deadline: {why}"),
            "a program that is killed late, because incumbent was frozen or starved, may still send to others beside \
             the next leader",
            remedy(
                "run it as root, or give the unit what 40-fence.conf gives (CAP_BPF and CAP_NET_ADMIN); it takes a \
                 cgroup of its own",
            ),
        );
    }
    if !kept.real_time {
        about.say(
            Severity::Note,
            "the keeper of a program gets no real-time priority here",
            "a real-time process (SCHED_FIFO) on the keeper's processor can delay the kill at the deadline",
            "allow it: LimitRTPRIO=0:99 and no RestrictRealtime=yes in the unit (incumbent unit prints one), or run it \
             as root",
        );
    }
    if let Some(quota) = &kept.quota {
        let (severity, risk) = if kept.real_time {
            (
                Severity::Note,
                "a program that uses it up delays the heartbeats, and its leadership is lost; the keeper has \
                 real-time priority, to which no quota applies, and kills it in time",
            )
        } else {
            (
                Severity::Danger,
                "a program that uses it up stops its keeper as well, so the kill at the deadline comes late: two \
                 may act",
            )
        };
        about.say(
            severity,
            format!("incumbent shares its quota with the program: {quota}"),
            risk,
            "give the unit CPUWeight= in place of CPUQuota=, a container --cpu-shares in place of --cpus; or allow \
             the keeper real-time priority (LimitRTPRIO=0:99 in the unit)",
        );
    }
    if !kept.memory_locked {
        about.say(
            Severity::Note,
            "the keeper of a program cannot lock its memory here",
            &format!(
                "on a host that swaps, the kill at the deadline may come late, and {} are allowed for that",
                crate::output::duration(timing.margin())
            ),
            "allow it to lock memory: LimitMEMLOCK=infinity in the unit",
        );
    }
}

#[cfg(test)]
mod tests;

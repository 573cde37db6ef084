//! The candidates, and whether their timings and versions are compatible.

use std::collections::BTreeMap;
use std::time::Duration;

use incumbent::observe::{Difference, ElectionView, State, pause_in_words};
use incumbent::protocol::{FencingToken, Timing};
use incumbent::store::StoreError;
use incumbent::store::{Identity, StoreList};

use super::{About, Evidence, Severity};
use crate::command::candidates::rhythm;
use crate::config::hint::command;
use crate::output::duration;

pub(super) fn judge(evidence: &Evidence, about: &mut About<'_>) {
    let Some(view) = &evidence.view else {
        return;
    };
    records(evidence, view, about);
    terms(view, about);
    presence(evidence, view, about);
    lists(view, about);
    paused(view, about);
    timings(view, evidence.chosen.as_ref(), about);
    // A file keeps its data, a server may not.
    if !evidence.stores.iter().all(super::StoreEvidence::is_file) {
        probations(view, about);
    }
    versions(view, about);
}

/// A store that answers may still hold an unreadable record. Its other problems are findings of the store.
fn records(evidence: &Evidence, view: &ElectionView, about: &mut About<'_>) {
    // A file that cannot be read at all has a finding already.
    let is_found = |error: &StoreError| {
        let trials = evidence.stores.iter().filter(|store| store.is_file());
        let mut trials = trials.filter_map(|store| store.examination.as_ref().ok()?.trial.as_ref());
        trials.any(|trial| {
            let refused = trial.as_ref().err();
            refused.is_some_and(|refused| refused.to_string() == error.to_string())
        })
    };
    for error in view.errors() {
        if matches!(error, StoreError::Garbled { .. }) && !is_found(error) {
            about.say(
                Severity::Danger,
                error.to_string(),
                "it has no vote: a majority of the others is needed, and if it is the only store no one is elected",
                "docs/redis.md shows what its keys hold, and how to repair or delete them",
            );
        }
    }
}

/// Only a forged or damaged record can have it.
fn terms(view: &ElectionView, about: &mut About<'_>) {
    for store in view.used_up() {
        about.say(
            Severity::Danger,
            format!(
                "the record on {} has the highest term there is, {}",
                store.store,
                FencingToken::MAX
            ),
            "the next leader needs a higher one, so no one can be elected any more",
            "stop all candidates, delete the record on every store that has this term (docs/redis.md shows how), \
             reset each resource that has seen this token, start the candidates again, and find out who wrote \
             the record",
        );
    }
}

fn presence(evidence: &Evidence, view: &ElectionView, about: &mut About<'_>) {
    let is_replica = |store: &super::StoreEvidence| store.fact("role") == Some("slave");
    let start = if evidence.stores.iter().any(is_replica) {
        "use a store that can be written: a replica neither lists nor elects candidates"
    } else {
        "start a candidate"
    };
    if view
        .leader()
        .is_some_and(incumbent::observe::Holding::is_stalled)
    {
        about.say(
            Severity::Danger,
            "the leader has sent no heartbeat for longer than its window",
            "it is dead, and no one takes over",
            match view.paused {
                Some(_) => "end the pause",
                None => start,
            },
        );
    }
    match (view.candidates.len(), &view.state) {
        (0, State::Absent) => about.say(
            Severity::Note,
            format!("no store has a record of {}", view.election),
            "the name is wrong, or the stores have lost their data",
            &format!("{} lists the elections", command("list", None)),
        ),
        (0, State::Vacant { .. }) => about.say(
            Severity::Danger,
            "no one campaigns",
            "no one leads, and no one will",
            start,
        ),
        (1, _) => about.say(
            Severity::Warning,
            "there is one candidate",
            "when it dies no one takes over",
            "start another, on another host",
        ),
        _ => {}
    }
}

/// Majorities of two lists of stores need not overlap.
fn lists(view: &ElectionView, about: &mut About<'_>) {
    let ours = StoreList::new(view.stores.iter().map(|store| &*store.store));
    for (one, difference) in view.other_stores(&ours) {
        let found = format!("{} {difference}", whom(&one.identity));
        if difference == Difference::Written {
            about.say(
                Severity::Note,
                found,
                "if they are not the same servers, two may lead",
                "write the addresses the same way on every host, so that different stores are noticed",
            );
        } else {
            about.say(
                Severity::Danger,
                found,
                "a majority of its stores may share no store with a majority of these: two may lead",
                "stop every candidate on every host, wait one window, then start them with the same stores",
            );
        }
    }
}

/// A pause is intended, but easily forgotten: without a leader it is the only finding.
fn paused(view: &ElectionView, about: &mut About<'_>) {
    let Some(pause) = &view.paused else {
        return;
    };
    let (severity, risk) = match view.leader() {
        Some(leader) if !leader.is_stalled() => (
            Severity::Warning,
            "when the leader dies or resigns, no one takes over",
        ),
        Some(_) | None => (Severity::Danger, "no one is elected until it ends"),
    };
    about.say(
        severity,
        format!("the election is paused {}", pause_in_words(pause)),
        risk,
        &format!(
            "{}, once the reason for the pause is over",
            command("resume", Some(view.election.as_str()))
        ),
    );
}

/// Differences cost time, but are safe while the stores keep their data.
fn timings(view: &ElectionView, chosen: Option<&Timing>, about: &mut About<'_>) {
    let mut by_timing: BTreeMap<&Timing, Vec<String>> = BTreeMap::new();
    for (timing, identity) in told(view) {
        by_timing.entry(timing).or_default().push(whom(identity));
    }
    if by_timing.len() > 1 {
        let groups = by_timing
            .iter()
            .map(|(timing, who)| format!("{} ({})", described(timing), who.join(", ")));
        about.say(
            Severity::Warning,
            format!(
                "the candidates have different timings: {}",
                groups.collect::<Vec<_>>().join("; ")
            ),
            "a takeover waits for the longer window, and the gap without a leader depends on which candidate leads",
            "use one timing everywhere",
        );
    }
    let others: Vec<_> = by_timing
        .keys()
        .filter(|timing| chosen.is_some_and(|chosen| chosen != **timing))
        .collect();
    if let (Some(chosen), Some(other)) = (chosen, others.first()) {
        about.say(
            Severity::Warning,
            format!(
                "the candidates have a timing of {}, this configuration one of {}",
                described(other),
                described(chosen)
            ),
            "a candidate started with this configuration differs from the others",
            "use one timing everywhere",
        );
    }
}

/// A leader that a store has forgotten may act for its whole window, and only a probation waits for that.
fn probations(view: &ElectionView, about: &mut About<'_>) {
    let Some((longest, longest_of)) = told(view)
        .map(|(timing, identity)| (timing.window(), whom(identity)))
        .max()
    else {
        return;
    };
    let hasty: Vec<String> = told(view)
        .filter(|(timing, _)| timing.probation() < longest)
        .map(|(timing, identity)| format!("{} ({})", whom(identity), duration(timing.probation())))
        .collect();
    if !hasty.is_empty() {
        about.say(
            Severity::Danger,
            format!(
                "{} would not wait for the window of {longest_of}, {}, after a store has lost its data",
                hasty.join(", "),
                duration(longest)
            ),
            "then two may lead",
            &format!("set probation = \"{}\" everywhere", duration(longest)),
        );
    }
}

fn versions(view: &ElectionView, about: &mut About<'_>) {
    let mut by_version: BTreeMap<&str, Vec<String>> = BTreeMap::new();
    for one in &view.candidates {
        let same = by_version.entry(one.identity.version()).or_default();
        same.push(whom(&one.identity));
    }
    if by_version.len() > 1 {
        let groups = by_version
            .iter()
            .map(|(version, who)| format!("{version} ({})", who.join(", ")));
        about.say(
            Severity::Note,
            format!(
                "the candidates run different versions: {}",
                groups.collect::<Vec<_>>().join("; ")
            ),
            "none by itself: do not rely on features that only the newer version has",
            "finish the upgrade",
        );
    }
}

fn told(view: &ElectionView) -> impl Iterator<Item = (&Timing, &Identity)> {
    let identities = view.candidates.iter().map(|one| &one.identity);
    identities.filter_map(|identity| Some((identity.timing()?, identity)))
}

fn whom(identity: &Identity) -> String {
    format!("{} pid {}", identity.host(), identity.pid())
}

fn described(timing: &Timing) -> String {
    let mut text = rhythm(timing);
    let default = timing.interval().min(Duration::from_secs(1));
    if timing.op_timeout() != default {
        text.push_str(&format!(", op_timeout {}", duration(timing.op_timeout())));
    }
    text.push_str(&format!(", stop_grace {}", duration(timing.stop_grace())));
    if timing.probation() != timing.window() {
        text.push_str(&format!(", probation {}", duration(timing.probation())));
    }
    text
}

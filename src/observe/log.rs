//! The events as log lines. Level info shows who leads, why that changed, and how long no one led.

use tracing::{debug, error, info, warn};

use super::{ElectionEvent, EventKind};
use crate::protocol::{FencingToken, LossReason};
use crate::store::millis;

/// Writes the same, but what happens in the normal course of events only at level debug.
pub(crate) fn log_troubles(event: &ElectionEvent) {
    let (election, candidate) = (event.election.as_str(), event.candidate.as_str());
    match &event.kind {
        EventKind::Campaigning
        | EventKind::Following { .. }
        | EventKind::Leaderless { .. }
        | EventKind::Elected { .. } => debug!(election, candidate, event = ?event.kind),
        EventKind::Stopping { reason, .. } if reason.is_planned() => {
            debug!(election, candidate, event = ?event.kind);
        }
        EventKind::Released { stores: 1.., .. } => {
            debug!(election, candidate, event = ?event.kind);
        }
        _ => log(event),
    }
}

/// Writes one event as one line.
pub(crate) fn log(event: &ElectionEvent) {
    let (election, candidate) = (event.election.as_str(), event.candidate.as_str());
    // Every line has these two.
    macro_rules! line {
        ($level:ident, $($rest:tt)*) => { $level!(election, candidate, $($rest)*) };
    }
    match &event.kind {
        EventKind::Campaigning => line!(info, "campaigning"),
        EventKind::Following {
            leader: Some(leader),
            term,
        } => {
            line!(
                info,
                leader = leader.as_str(),
                term = term.get(),
                "standing by: {leader} leads"
            );
        }
        EventKind::Following { leader: None, term } => {
            line!(
                info,
                term = term.get(),
                "standing by: a program that speaks the bare protocol leads"
            );
        }
        EventKind::Leaderless { term } => line!(info, term = term.get(), "no one leads"),
        EventKind::Claiming { term, stores } => line!(debug, term = term.get(), stores, "claiming"),
        EventKind::TermsUsedUp { store } => line!(
            error,
            store = &**store,
            "no one can be elected: the record on {store} has the highest term there is, {}, so no later \
             leader could have a higher token; `incumbent doctor`, run against these stores, prints the repair",
            FencingToken::MAX
        ),
        EventKind::ClaimFailed { term, granted } => {
            line!(debug, term = term.get(), granted, "not elected");
        }
        EventKind::Probation { term, wait } => line!(
            info,
            term = term.get(),
            "waiting {wait:.1?} before acting: the store is new or has restarted, and may have lost a leader's record"
        ),
        EventKind::Elected {
            term,
            leaderless: Some(gap),
        } => {
            let gap_ms = millis(*gap);
            line!(
                info,
                term = term.get(),
                gap_ms,
                "elected leader after {gap:.1?} without one"
            );
        }
        EventKind::Elected {
            term,
            leaderless: None,
        } => {
            line!(info, term = term.get(), "elected leader");
        }
        EventKind::StoreJoined { store } => {
            line!(
                info,
                store = &**store,
                "{store} now holds this leadership too"
            );
        }
        EventKind::StoreParted { store } => {
            line!(
                warn,
                store = &**store,
                "{store} no longer holds this leadership"
            );
        }
        EventKind::Stopping {
            term,
            reason,
            within,
        } => {
            let (term, within_ms) = (term.get(), millis(*within));
            if reason.is_planned() {
                line!(info, term, %reason, within_ms, "stopping: {reason}");
            } else if matches!(
                reason,
                LossReason::WorkEnded { .. } | LossReason::Panicked | LossReason::KeeperDied
            ) {
                line!(warn, term, %reason, within_ms, "stopping: {reason}");
            } else {
                line!(warn, term, %reason, within_ms, "lost leadership: {reason}; the work must end within {within:.1?}");
            }
        }
        EventKind::Overrun { term } => line!(
            error,
            term = term.get(),
            "work outlived its tenure: the election stays held until it ends"
        ),
        EventKind::Released { term, stores: 0 } => line!(
            warn,
            term = term.get(),
            "leadership over: no store confirmed the release, so the next leader waits for a window"
        ),
        EventKind::Released { term, stores } => {
            line!(info, term = term.get(), stores, "leadership over: released");
        }
        EventKind::Paused { pause } => {
            let (by, words) = (pause.by.as_str(), super::pause_in_words(pause));
            line!(info, by, "no one is elected: election paused {words}");
        }
        EventKind::Resumed => line!(info, "election resumed"),
        EventKind::StoreDown { store, error } => line!(warn, store = &**store, "{error}"),
        EventKind::StoreUp { store, after } => {
            let after_ms = millis(*after);
            line!(
                info,
                store = &**store,
                after_ms,
                "{store} answers again after {after:.1?}"
            );
        }
    }
}

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
    let election = event.election.as_str();
    let candidate = event.candidate.as_str();
    match &event.kind {
        EventKind::Campaigning => {
            info!(election, candidate, "campaigning");
        }
        EventKind::Following { leader, term } => match leader {
            Some(leader) => {
                info!(
                    election,
                    candidate,
                    leader = leader.as_str(),
                    term = term.get(),
                    "standing by: {leader} leads"
                );
            }
            None => {
                info!(
                    election,
                    candidate,
                    term = term.get(),
                    "standing by: a program that speaks the bare protocol leads"
                );
            }
        },
        EventKind::Leaderless { term } => {
            info!(election, candidate, term = term.get(), "no one leads");
        }
        EventKind::Claiming { term, stores } => {
            debug!(election, candidate, term = term.get(), stores, "claiming");
        }
        EventKind::TermsUsedUp { store } => {
            error!(
                election,
                candidate,
                store = &**store,
                "no one can be elected: the record on {store} has the highest term there is, {}, so no later \
                 leader could have a higher token; `incumbent doctor`, run against these stores, prints the repair",
                FencingToken::MAX
            );
        }
        EventKind::ClaimFailed { term, granted } => {
            debug!(
                election,
                candidate,
                term = term.get(),
                granted,
                "not elected"
            );
        }
        EventKind::Probation { term, wait } => {
            info!(
                election,
                candidate,
                term = term.get(),
                "waiting {wait:.1?} before acting: the store is new or has restarted, and may have lost a leader's record"
            );
        }
        EventKind::Elected { term, leaderless } => match leaderless {
            Some(gap) => {
                info!(
                    election,
                    candidate,
                    term = term.get(),
                    gap_ms = millis(*gap),
                    "elected leader after {gap:.1?} without one"
                );
            }
            None => info!(election, candidate, term = term.get(), "elected leader"),
        },
        EventKind::StoreJoined { store } => {
            info!(
                election,
                candidate,
                store = &**store,
                "{store} now holds this leadership too"
            );
        }
        EventKind::StoreParted { store } => {
            warn!(
                election,
                candidate,
                store = &**store,
                "{store} no longer holds this leadership"
            );
        }
        EventKind::Stopping {
            term,
            reason,
            within,
        } => {
            let term = term.get();
            let within_ms = millis(*within);
            if reason.is_planned() {
                info!(election, candidate, term, %reason, within_ms, "stopping: {reason}");
            } else if matches!(
                reason,
                LossReason::WorkEnded { .. } | LossReason::Panicked | LossReason::KeeperDied
            ) {
                warn!(election, candidate, term, %reason, within_ms, "stopping: {reason}");
            } else {
                warn!(election, candidate, term, %reason, within_ms, "lost leadership: {reason}; the work must end within {within:.1?}");
            }
        }
        EventKind::Overrun { term } => {
            error!(
                election,
                candidate,
                term = term.get(),
                "work outlived its tenure: the election stays held until it ends"
            );
        }
        EventKind::Released { term, stores: 0 } => {
            warn!(
                election,
                candidate,
                term = term.get(),
                "leadership over: no store confirmed the release, so the next leader waits for a window"
            );
        }
        EventKind::Released { term, stores } => {
            info!(
                election,
                candidate,
                term = term.get(),
                stores,
                "leadership over: released"
            );
        }
        EventKind::Paused { pause } => {
            info!(
                election,
                candidate,
                by = pause.by.as_str(),
                "no one is elected: election paused {}",
                super::pause_in_words(pause)
            );
        }
        EventKind::Resumed => info!(election, candidate, "election resumed"),
        EventKind::StoreDown { store, error } => {
            warn!(election, candidate, store = &**store, "{error}");
        }
        EventKind::StoreUp { store, after } => {
            info!(
                election,
                candidate,
                store = &**store,
                after_ms = millis(*after),
                "{store} answers again after {after:.1?}"
            );
        }
    }
}

//! When terms ended and why, from the history of the stores. A process that exits right after it lost its
//! leadership takes its counters with it; the other candidates can still report the loss.

use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use tokio::sync::broadcast::error::RecvError;

use incumbent::election::Election;
use incumbent::observe::{Ending, EventKind, HistoryView, PastTerm};
use incumbent::protocol::{LossReason, WallMillis};

/// How many terms are read.
const TERMS: usize = 20;

/// How long to wait after a leadership has changed, in milliseconds: the stores are busy then,
/// and every standby asks.
const SETTLING_MS: std::ops::Range<u64> = 200..1200;

/// When a term last ended, by reason.
#[derive(Debug, Default)]
pub(super) struct Endings {
    latest: Mutex<BTreeMap<&'static str, WallMillis>>,
}

impl Endings {
    /// Reads the history now, and whenever something has happened that may have ended a term.
    pub(super) async fn keep_current(&self, election: &Election) {
        let mut events = election.events();
        loop {
            self.take_in(&election.history(TERMS).await);
            loop {
                match events.recv().await {
                    Ok(event) if !may_have_ended_a_term(&event.kind) => {}
                    Ok(_) | Err(RecvError::Lagged(_)) => break,
                    Err(RecvError::Closed) => return,
                }
            }
            let settling = Duration::from_millis(fastrand::u64(SETTLING_MS));
            tokio::time::sleep(settling).await;
            // What has happened meanwhile is in what is read next.
            events = events.resubscribe();
        }
    }

    /// The reasons, and when a term last ended for each.
    pub(super) fn latest(&self) -> BTreeMap<&'static str, WallMillis> {
        let latest = self.latest.lock();
        latest.unwrap_or_else(PoisonError::into_inner).clone()
    }

    fn take_in(&self, history: &HistoryView) {
        let mut latest = self.latest.lock().unwrap_or_else(PoisonError::into_inner);
        for term in history.terms.iter().filter(|term| term.led()) {
            if let (Some(reason), Some(at)) = (reason(term), term.to) {
                let last = latest.entry(reason).or_insert(at);
                *last = at.max(*last);
            }
        }
    }
}

/// Why a term ended, as given by the process that released it, otherwise by the stores.
fn reason(term: &PastTerm) -> Option<&'static str> {
    Some(match (term.ended?, term.reason) {
        (Ending::Released | Ending::Requested, Some(reason)) => LossReason::word(reason),
        (ending, _) => ending.word(),
    })
}

const fn may_have_ended_a_term(kind: &EventKind) -> bool {
    matches!(
        kind,
        EventKind::Following { .. }
            | EventKind::Leaderless { .. }
            | EventKind::Elected { .. }
            | EventKind::Released { .. }
            | EventKind::StoreUp { .. }
    )
}

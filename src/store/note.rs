//! What the history of a store records about a change, in addition to the change itself.
//!
//! It is for people. No decision depends on it, so what cannot be read counts as absent: an entry that
//! another version wrote, or somebody else, still shows what happened.

use std::fmt;

use crate::protocol::{Handover, LossReason, Order, Pause, Record, Request, WallMillis};
use crate::store::decimal::canonical;

use super::Change;

/// What an entry records in addition to the actor, the change and the time.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Note {
    /// Of a release: why.
    Reason(LossReason),
    /// Of a takeover, and of a deposition: when the previous holder had last sent a heartbeat that
    /// this store took, or been granted the record, by the clock of the store.
    LastBeat(WallMillis),
    /// Of a pause: until when, by whose order, and why.
    Pause(Pause),
    /// Of the request to resign: the candidate that should lead next.
    Handover(Handover),
}

impl Note {
    /// The longest note: that of a pause with a reason all of whose bytes are escaped.
    pub(super) const MAX_BYTES: usize = 1024;

    /// The note for a granted request that found the record as `before`, last `changed` then, and left
    /// it as `after`.
    pub(super) fn made_by(
        request: &Request,
        before: &Record,
        changed: Option<WallMillis>,
        after: &Record,
    ) -> Option<Self> {
        let last_beat = || {
            changed
                .filter(|_| before.holder().is_some())
                .map(Self::LastBeat)
        };
        match request {
            Request::Observe
            | Request::Beat { .. }
            | Request::Order(Order::Resume | Order::Forget { .. }) => None,
            Request::Release { reason, .. } => Some(Self::Reason(*reason)),
            Request::Claim(_) | Request::Order(Order::Depose { .. }) => last_beat(),
            Request::Order(Order::Pause { .. }) => after.orders.paused.clone().map(Self::Pause),
            Request::Order(Order::Resign { .. }) => {
                after.orders.handover.clone().map(Self::Handover)
            }
        }
    }

    /// The note of a change; `None` when it holds nothing that this version knows.
    pub(super) fn read(change: Change, text: &str) -> Option<Self> {
        if text.len() > Self::MAX_BYTES {
            return None;
        }
        match change {
            Change::Released => reason(text).map(Self::Reason),
            Change::ClaimedAbsent
            | Change::ClaimedVacant
            | Change::ClaimedStalled
            | Change::ClaimedForeign
            | Change::Joined
            | Change::Deposed => canonical(text)
                .and_then(WallMillis::new)
                .map(Self::LastBeat),
            Change::Paused => text.parse().ok().map(Self::Pause),
            Change::AskedToResign => text.parse().ok().map(Self::Handover),
            Change::Resumed => None,
        }
    }
}

/// Writes what `Note::read` reads: a reason as its word, and behind a colon the exit status of the work.
impl fmt::Display for Note {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Reason(reason) => {
                f.write_str(reason.word())?;
                match reason.status() {
                    Some(status) => write!(f, ":{status}"),
                    None => Ok(()),
                }
            }
            Self::LastBeat(at) => at.fmt(f),
            Self::Pause(pause) => pause.fmt(f),
            Self::Handover(handover) => handover.fmt(f),
        }
    }
}

fn reason(text: &str) -> Option<LossReason> {
    let (word, status) = match text.split_once(':') {
        Some((word, status)) => (word, Some(status)),
        None => (text, None),
    };
    match (LossReason::of_word(word)?, status) {
        (LossReason::WorkEnded { .. }, Some(status)) => Some(LossReason::WorkEnded {
            status: canonical(status).and_then(|status| u8::try_from(status).ok()),
        }),
        (reason, _) => Some(reason),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_reason_is_read_as_it_was_written() {
        let statuses = [0, 3, 255].map(|status| LossReason::WorkEnded {
            status: Some(status),
        });
        for reason in LossReason::ALL.iter().copied().chain(statuses) {
            let note = Note::Reason(reason);
            assert_eq!(Note::read(Change::Released, &note.to_string()), Some(note));
        }
    }

    #[test]
    fn what_this_version_does_not_know_is_not_told() {
        let long = "9".repeat(Note::MAX_BYTES + 1);
        for (change, text) in [
            (Change::Released, ""),
            (Change::Released, "abdicated"),
            (Change::Released, "Resigned"),
            (Change::ClaimedStalled, "yesterday"),
            (Change::ClaimedStalled, "-1"),
            (Change::ClaimedStalled, &long),
            (Change::Paused, "soon"),
            (Change::AskedToResign, "1|somebody|"),
            (Change::Resumed, "1"),
        ] {
            assert_eq!(Note::read(change, text), None, "{change:?} {text:?}");
        }
        let unknown = Note::read(Change::Released, "work-ended:999");
        let ended = LossReason::WorkEnded { status: None };
        assert_eq!(unknown, Some(Note::Reason(ended)));
    }
}

//! What the stores report about one term, and what follows from that.

use std::collections::BTreeMap;

use super::{Ending, PastTerm};
use crate::protocol::{CandidateId, FencingToken, LossReason, WallMillis};
use crate::store::{Change, HistoryEntry, Note};

/// One term of one holder: failed claims may share the number of a term with a successful one.
pub(super) type Held<'a> = (FencingToken, &'a CandidateId);

/// What the stores report about one term.
#[derive(Debug, Default)]
pub(super) struct Traces<'a> {
    /// One claim, or join, of each store that granted it.
    claims: Vec<&'a HistoryEntry>,
    releases: Vec<WallMillis>,
    depositions: Vec<WallMillis>,
    /// When each store that was taken over, or vacated by an operator, last saw its heartbeat.
    last_beats: Vec<LastBeat>,
    /// The reason of the first release, and its time.
    reason: Option<(WallMillis, LossReason)>,
    asked: usize,
}

/// The last heartbeat that one store took of a term.
#[derive(Clone, Copy, Debug)]
struct LastBeat {
    at: WallMillis,
    /// Whether a program of the bare protocol ended it there.
    displaced: bool,
}

/// Adds the history of one store, newest entry first.
pub(super) fn trace<'a>(history: &'a [HistoryEntry], traces: &mut BTreeMap<Held<'a>, Traces<'a>>) {
    // What this store's record holds, and the last heartbeat of what it held before, until its leader joins
    // the store again.
    let mut held: Option<Held<'a>> = None;
    let mut gone: BTreeMap<Held<'a>, LastBeat> = BTreeMap::new();
    for entry in history.iter().rev() {
        let own = (entry.term, entry.holder.id());
        match (entry.change, &entry.note) {
            (Change::Released, note) => {
                let released = traces.entry(own).or_default();
                released.releases.push(entry.at);
                if let Some(Note::Reason(reason)) = note
                    && released.reason.is_none_or(|(at, _)| entry.at < at)
                {
                    released.reason = Some((entry.at, *reason));
                }
            }
            (Change::Deposed, note) => {
                let Some(deposed) = held else { continue };
                traces
                    .entry(deposed)
                    .or_default()
                    .depositions
                    .push(entry.at);
                if let Some(Note::LastBeat(at)) = note {
                    let displaced = false;
                    gone.insert(deposed, LastBeat { at: *at, displaced });
                }
            }
            (Change::AskedToResign, _) => {
                if let Some(asked) = held {
                    traces.entry(asked).or_default().asked += 1;
                }
            }
            (Change::Paused | Change::Resumed, _) => {}
            (
                Change::ClaimedAbsent
                | Change::ClaimedVacant
                | Change::ClaimedStalled
                | Change::ClaimedForeign
                | Change::Joined,
                note,
            ) => {
                traces.entry(own).or_default().claims.push(entry);
                if let (Some(before), Some(Note::LastBeat(at))) = (held, note) {
                    let displaced = entry.change == Change::ClaimedForeign;
                    gone.insert(before, LastBeat { at: *at, displaced });
                }
                gone.remove(&own);
                held = Some(own);
            }
        }
    }
    for (term, last_beat) in gone {
        traces.entry(term).or_default().last_beats.push(last_beat);
    }
}

impl Traces<'_> {
    /// The term, if a majority of the stores reports it: `needed` of them.
    pub(super) fn into_term(mut self, term: FencingToken, needed: usize) -> Option<PastTerm> {
        self.claims.sort_by_key(|entry| claimed_at(entry));
        let decisive = self.claims.get(needed.checked_sub(1)?)?;
        let first = self.claims.first()?;
        let ending = self.ending(needed);
        Some(PastTerm {
            term,
            holder: decisive.holder.clone(),
            from: claimed_at(decisive),
            to: ending.map(|(_, to, _)| to),
            last_heartbeat: ending.and_then(|(_, _, last)| last),
            began: first.change,
            ended: ending.map(|(ended, ..)| ended),
            reason: self.reason.map(|(_, reason)| reason),
            gap: None,
            stores: self.claims.len(),
        })
    }

    /// Why it ended, until when it is known to have lasted, and whether that is a heartbeat; `None` while the
    /// stores do not report an end.
    fn ending(&self, needed: usize) -> Option<(Ending, WallMillis, Option<WallMillis>)> {
        // A majority released it, after which any candidate could be elected.
        let mut let_go = [self.releases.as_slice(), &self.depositions].concat();
        let_go.sort_unstable();
        let free = let_go.get(needed - 1).copied();
        // Nothing is released before the work has ended, so one store with a release proves it.
        if let Some(first) = self.releases.iter().min().copied() {
            let requested = match self.reason {
                Some((_, reason)) => reason == LossReason::Requested,
                None => self.asked >= needed,
            };
            let ending = if requested {
                Ending::Requested
            } else {
                Ending::Released
            };
            let released = free.filter(|_| self.depositions.is_empty());
            return Some((ending, released.unwrap_or(first), None));
        }
        // What a majority last knew of it: a leader does not act on less.
        let mut beats: Vec<WallMillis> = self.last_beats.iter().map(|last| last.at).collect();
        beats.sort_unstable_by(|a, b| b.cmp(a));
        let last = beats.get(needed - 1).copied();
        match (free, last) {
            (Some(at), last) => Some((Ending::Deposed, last.unwrap_or(at), last)),
            (None, Some(at)) if self.last_beats.iter().any(|last| last.displaced) => {
                Some((Ending::Displaced, at, last))
            }
            (None, Some(at)) => Some((Ending::Stalled, at, last)),
            (None, None) => None,
        }
    }
}

/// When the term of a claim began. A leader joins a store later, and again after a loss of its data; the term
/// shows when it was claimed.
fn claimed_at(entry: &HistoryEntry) -> WallMillis {
    let joined = entry.change == Change::Joined;
    let claimed = entry.term.claimed_at().filter(|_| joined);
    claimed.map_or(entry.at, |claimed| claimed.min(entry.at))
}

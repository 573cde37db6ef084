//! What the stores tell of one term, and what that makes of it.

use std::collections::BTreeMap;

use super::{Ending, PastTerm};
use crate::protocol::{LossReason, Term, WallMillis};
use crate::store::{Change, HistoryEntry, Note};

/// What the stores said of one term.
#[derive(Debug, Default)]
pub(super) struct Traces<'a> {
    /// One claim, or join, of each store that granted it.
    claims: Vec<&'a HistoryEntry>,
    releases: Vec<WallMillis>,
    depositions: Vec<WallMillis>,
    /// When its heartbeat was last seen by each store that somebody else took over, or an operator vacated.
    last_beats: Vec<LastBeat>,
    /// What the first release says, and when.
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

/// Takes in the history of one store, the newest entry first.
pub(super) fn trace<'a>(history: &'a [HistoryEntry], traces: &mut BTreeMap<Term, Traces<'a>>) {
    // The term that this store's record holds, and the last sign of those that it held before, each until
    // its leader joins the store again.
    let mut held: Option<Term> = None;
    let mut gone: BTreeMap<Term, LastBeat> = BTreeMap::new();
    for entry in history.iter().rev() {
        let of_term = traces.entry(entry.term).or_default();
        match (entry.change, &entry.note) {
            (Change::Released, note) => {
                of_term.releases.push(entry.at);
                if let Some(Note::Reason(reason)) = note
                    && of_term.reason.is_none_or(|(at, _)| entry.at < at)
                {
                    of_term.reason = Some((entry.at, *reason));
                }
            }
            (Change::Deposed, note) => {
                of_term.depositions.push(entry.at);
                if let Some(Note::LastBeat(at)) = note {
                    let displaced = false;
                    gone.insert(entry.term, LastBeat { at: *at, displaced });
                }
            }
            (Change::AskedToResign, _) => of_term.asked += 1,
            (Change::Paused | Change::Resumed, _) => {}
            (
                Change::ClaimedAbsent
                | Change::ClaimedVacant
                | Change::ClaimedStalled
                | Change::ClaimedForeign
                | Change::Joined,
                note,
            ) => {
                of_term.claims.push(entry);
                let before = held.replace(entry.term);
                if let (Some(before), Some(Note::LastBeat(at))) = (before, note) {
                    let displaced = entry.change == Change::ClaimedForeign;
                    gone.insert(before, LastBeat { at: *at, displaced });
                }
                gone.remove(&entry.term);
            }
        }
    }
    for (term, last_beat) in gone {
        traces.entry(term).or_default().last_beats.push(last_beat);
    }
}

impl Traces<'_> {
    /// The term, when a majority of the stores tells of it: `needed` of them.
    pub(super) fn into_term(mut self, term: Term, needed: usize) -> Option<PastTerm> {
        self.claims.sort_by_key(|entry| claimed_at(entry));
        let decisive = self.claims.get(needed.checked_sub(1)?)?;
        let first = self.claims.first()?;
        let reason = self.reason.map(|(_, reason)| reason);
        let ending = self.ending(needed);
        Some(PastTerm {
            term,
            holder: decisive.holder.clone(),
            from: claimed_at(decisive),
            to: ending.map(|(_, to, _)| to),
            last_heartbeat: ending.and_then(|(_, _, last)| last),
            began: first.change,
            ended: ending.map(|(ended, ..)| ended),
            reason,
            gap: None,
            stores: self.claims.len(),
        })
    }

    /// Why it ended, until when it is known to have lasted, and whether that is a heartbeat; `None` while a
    /// majority of the stores does not tell that it has.
    fn ending(&self, needed: usize) -> Option<(Ending, WallMillis, Option<WallMillis>)> {
        // What a majority knew of it last: a leader acts on no less.
        let beats = self.last_beats.iter().map(|last| last.at);
        let mut signs: Vec<WallMillis> = beats.chain(self.releases.iter().copied()).collect();
        signs.sort_unstable_by(|a, b| b.cmp(a));
        let last = signs.get(needed - 1).copied();
        let displaced = self.last_beats.iter().any(|last| last.displaced);
        // A majority let it go: from then on anybody could be elected.
        let mut let_go = [self.releases.as_slice(), &self.depositions].concat();
        let_go.sort_unstable();
        match (let_go.get(needed - 1), last) {
            (Some(&at), _) if self.depositions.is_empty() => {
                let requested = match self.reason {
                    Some((_, reason)) => reason == LossReason::Requested,
                    None => self.asked >= needed,
                };
                let ending = if requested {
                    Ending::Requested
                } else {
                    Ending::Released
                };
                Some((ending, at, None))
            }
            (Some(&at), last) => Some((Ending::Deposed, last.unwrap_or(at), last)),
            (None, Some(last)) if displaced => Some((Ending::Displaced, last, Some(last))),
            (None, Some(last)) => Some((Ending::Stalled, last, Some(last))),
            (None, None) => None,
        }
    }
}

/// When the term of a claim began. A leader joins a store later, and again when that has lost its data: the term
/// tells when it was claimed.
fn claimed_at(entry: &HistoryEntry) -> WallMillis {
    let claimed = entry
        .term
        .claimed_at()
        .filter(|_| entry.change == Change::Joined);
    claimed.map_or(entry.at, |claimed| claimed.min(entry.at))
}

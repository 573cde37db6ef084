//! Watching, and deciding when to claim.

use std::time::Duration;

use super::{Candidate, Event, Heard, Hint, Kind, Phase};
use crate::protocol::{
    Beat, CandidateId, Claim, ClaimKind, Knowledge, LossReason, Mark, Memory, Occupancy, Record,
    Request, StoreIndex, Term, Timestamp, WallMillis,
};

/// How soon at the latest a standby looks at a record that was left to another one.
const LOOK: Duration = Duration::from_millis(50);

impl Candidate {
    pub(super) fn stand_by(&mut self, not_before: Timestamp) {
        if self.now >= not_before && !self.held_back && self.try_claim() {
            return;
        }
        for store in self.due() {
            self.observe(store);
        }
    }

    pub(super) fn heard_standing_by(&mut self, heard: Heard<'_>) {
        match heard {
            // A claim of ours whose outcome we never learnt was granted after all: release it.
            Heard::Observed(store, reply) | Heard::Released(store, reply)
                if reply.record.holder() == Some(&self.id) =>
            {
                self.release(store, reply.record.term, LossReason::Withdrawn);
            }
            Heard::Woken(store, vacant, called) => self.woken(store, vacant, called),
            Heard::Resign(_) => self.give_up(None, LossReason::Withdrawn),
            Heard::Granted(..) => unreachable!("nothing is claimed in this phase"),
            Heard::Observed(..)
            | Heard::Refused(..)
            | Heard::Unknown(_)
            | Heard::Beaten
            | Heard::Parted
            | Heard::Released(..)
            | Heard::WorkEnded(_) => {}
        }
    }

    /// Takes in a free record from a notification. When it calls another standby, this one leaves the
    /// record to it and polls early, in case the other is gone: if all claimed at once, most of the
    /// store's work would be refusals. Other stores may call other standbys, so it polls those too.
    fn woken(
        &mut self,
        store: StoreIndex,
        (record, memory): (&Record, &Memory),
        called: Option<&CandidateId>,
    ) {
        let another = called.is_some_and(|called| *called != self.id);
        let latest = (self.timing.interval() / 20).min(LOOK);
        let look = self.now + self.random(latest / 2, latest);
        let Some(view) = self.stores.get_mut(store.get()) else {
            return;
        };
        // A notification that is overtaken by a newer record on another connection must not undo it.
        // What was deleted lies at the floor of the memory or below.
        let absent = record.occupancy == Occupancy::Absent;
        let last = match absent {
            true => (memory.floor, Beat::of(memory.floor)),
            false => (record.floor, record.beat),
        };
        let newer = view
            .watch
            .record()
            .is_none_or(|seen| last >= (seen.floor, seen.beat));
        if !newer || !record.is_free() {
            return;
        }
        // A record that is absent under another memory was not released but lost.
        let mark = record.mark(memory);
        let lost = |seen: Mark| absent && seen.memory != mark.memory;
        let called = !another && !view.watch.mark().is_some_and(lost);
        view.hint = called.then(|| Hint {
            record: record.clone(),
            mark,
            heard: self.now,
        });
        // Without a recent poll there is nothing to number a term by, so it polls first (R2).
        let same = view
            .known
            .is_some_and(|known| known.memory.id == mark.memory);
        let known = same && view.watch.is_fresh(self.now, &self.timing);
        if !another && !known {
            view.due = self.now;
        }
        if another || !self.is_sole() {
            for view in &mut self.stores {
                view.due = view.due.min(look);
            }
        }
    }

    /// What a claim may expect of a store now. A notification is only a hint: it names the record that the
    /// claim is compared with, and everything else rests on what the store has replied.
    fn expects(&self, store: StoreIndex) -> Option<Mark> {
        let view = &self.stores[store.get()];
        if view.awaits(Kind::Release) {
            return None;
        }
        let seen = view.watch.claimable(self.now, &self.timing);
        let seen = seen.filter(|_| {
            !self.is_barred(view) && !view.watch.awaits_its_leader(self.now, &self.timing)
        });
        let hinted = || {
            let hint = view.hint.as_ref()?;
            // A clock that was read under an earlier memory may be behind a term that this one follows (R3).
            let same = |known: &Knowledge| known.memory.id == hint.mark.memory;
            let known = view.watch.is_fresh(self.now, &self.timing)
                && view.known.as_ref().is_some_and(same);
            let fresh = self.now.since(hint.heard) <= self.timing.interval();
            let open = known && fresh && !self.is_left_to_another(&hint.record);
            open.then_some(hint.mark)
        };
        // Where nothing is left behind, the record is absent as a rule: a refusal shows as much as a poll.
        let blind = self.ephemeral && self.is_sole() && self.next_request == 0;
        seen.or_else(hinted).or(blind.then_some(Mark::UNKNOWN))
    }

    /// Claims every claimable store when they are a majority.
    fn try_claim(&mut self) -> bool {
        let stores = self.electorate.stores();
        let claimable = stores.filter_map(|store| Some((store, self.expects(store)?)));
        let claimable: Vec<(StoreIndex, Mark)> = claimable.collect();
        if claimable.len() < self.electorate.majority() {
            self.lingers_until = None;
            return false;
        }
        if self.lingers(&claimable) {
            return false;
        }
        self.lingers_until = None;
        let Some(term) = self.next_term() else {
            return false;
        };
        self.step.events.push(Event::Claimed {
            term,
            stores: claimable.len(),
        });
        self.phase = Phase::Claiming { term };
        let kind = match self.is_sole() {
            true => ClaimKind::Sole,
            false => ClaimKind::Shared,
        };
        for (store, expected) in claimable {
            self.claim(store, term, expected, kind);
        }
        true
    }

    /// Whether it waits a moment for a further store. A candidate whose majority is not proven waits out a
    /// probation, and what would spare it that may be one message away: three releases do not arrive at once.
    fn lingers(&mut self, claimable: &[(StoreIndex, Mark)]) -> bool {
        let probation = self.timing.probation();
        let is_proven = |(store, expected): &&(StoreIndex, Mark)| {
            let known = self.stores[store.get()].known;
            let known = known.filter(|known| known.memory.id == expected.memory);
            known.is_some_and(|known| known.as_old_as(probation) <= self.now)
        };
        let proven = claimable.iter().filter(is_proven).count();
        let answering = self.count(|view| !view.failing);
        if proven >= self.electorate.majority() || claimable.len() >= answering {
            return false;
        }
        let moment = self.timing.interval() / 20;
        self.now < *self.lingers_until.get_or_insert(self.now + moment)
    }

    /// R3: above every floor seen, and not behind any clock seen, each advanced by the time since it was
    /// read: a store that reverts to older data may have forgotten a term that was granted after our last
    /// poll. It is also above every term that we may have been granted: our release of it may still be on
    /// its way, and must not meet a later claim.
    fn next_term(&mut self) -> Option<Term> {
        let seen = |store: &StoreIndex| {
            let record = self.record(*store).map(|record| record.floor);
            let known = self.stores[store.get()].known;
            record
                .max(known.map(|known| known.memory.floor))
                .unwrap_or_default()
        };
        let highest = self.electorate.stores().max_by_key(seen)?;
        let floor = Some(seen(&highest)).max(self.last_claimed)?;
        let clocks = self.stores.iter().map(|view| view.clock_at(self.now));
        let term = Term::next(floor, clocks.max().unwrap_or(WallMillis::ZERO));
        if term.is_none() && !self.used_up {
            self.step.events.push(Event::TermsUsedUp { store: highest });
        }
        self.used_up = term.is_none();
        term
    }

    pub(super) fn claim(&mut self, store: StoreIndex, term: Term, expected: Mark, kind: ClaimKind) {
        let view = &mut self.stores[store.get()];
        view.claimed = true;
        view.hint = None;
        let claim = Claim {
            holder: self.id.clone(),
            term,
            expected,
            kind,
            after: view.written,
            window: self.timing.window(),
            attested: view.known.and_then(|known| known.attest(self.now, true)),
            ephemeral: self.ephemeral,
        };
        self.send(store, Kind::Claim, Request::Claim(claim));
    }

    pub(super) fn standby_wake(&self, not_before: Timestamp) -> Timestamp {
        let ripe = self
            .stores
            .iter()
            .filter_map(|view| view.watch.ripe_at(&self.timing));
        // A store that is ready already waits for others, whose wake-ups are already set.
        std::iter::once(not_before)
            .chain(self.lingers_until)
            .chain(ripe)
            .filter(|at| *at > self.now)
            .fold(Timestamp::NEVER, Timestamp::min)
    }
}

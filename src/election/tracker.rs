//! The leader that a standby follows, and how long there has been none: derived from the records that its
//! candidate has seen. It reads no clock and decides nothing.

use std::time::Duration;

use super::gap::Gap;
use crate::protocol::{
    Beat, Candidate, CandidateId, Electorate, FencingToken, Occupancy, Record, Timestamp, Timing,
};

/// The leader as a standby sees it; `None` is a program that speaks only the bare protocol.
pub(super) type Leader = (Option<CandidateId>, FencingToken);

/// What has changed.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Change {
    /// Another candidate leads now.
    Follows(Leader),
    /// The leader of this term is gone.
    Leaderless(FencingToken),
    /// The time without a leader is over. Every observer counts it.
    GapOver(Duration),
}

/// What is known about the leader, and about the time without one.
#[derive(Debug)]
pub(super) struct Tracker {
    electorate: Electorate,
    timing: Timing,
    leader: Option<Leader>,
    /// The last sign of life of the leader.
    sign: Option<Sign>,
    /// The release of the leader from a notification, until another leads.
    heard: Option<HeardRelease>,
    /// Since when no one leads, according to the records seen.
    leaderless: Option<Timestamp>,
    /// What remains of that from the campaign before, until the records show whether it continues.
    before: Option<Gap>,
    /// The leadership of this process that it began with.
    ended: Option<Leader>,
}

/// A heartbeat of a leader: when it was first seen, and the highest counter of its stores.
#[derive(Clone, Copy, Debug)]
struct Sign {
    at: Timestamp,
    beat: Beat,
}

/// A release, as a notification reports it.
#[derive(Clone, Copy, Debug)]
struct HeardRelease {
    heard: Timestamp,
    /// Since when no one leads, if it is true.
    since: Timestamp,
}

impl Tracker {
    /// Nothing seen yet. `before` comes from the last campaign of this process.
    pub(super) const fn new(electorate: Electorate, timing: Timing, before: Option<Gap>) -> Self {
        Self {
            electorate,
            timing,
            leader: None,
            sign: None,
            heard: None,
            leaderless: None,
            before,
            ended: None,
        }
    }

    /// The leader, when it is a candidate.
    pub(super) fn leader(&self) -> Option<(CandidateId, FencingToken)> {
        let (leader, term) = self.leader.clone()?;
        Some((leader?, term))
    }

    /// A standby has seen changed records.
    pub(super) fn saw(&mut self, now: Timestamp, candidate: &Candidate) -> Vec<Change> {
        let mut changes = Vec::new();
        let records = self.records(candidate);
        changes.extend(self.resume(&records));
        let us = candidate.id();
        let leading = self.electorate.holder(&records);
        let leading = leading.filter(|(holder, _)| *holder != Some(us));
        if let Some((holder, term)) = leading {
            let leading = Some((holder.cloned(), term));
            // A holder that only this process's leftover record names does not lead.
            if leading != self.ended {
                changes.extend(self.end_gap(now));
            }
            if self.leader != leading {
                self.sign = None;
                changes.extend(leading.clone().map(Change::Follows));
            }
            (self.leader, self.heard) = (leading, None);
        } else if self.electorate.is_free(&records, Some(us))
            && let Some((_, term)) = self.leader
        {
            let found = self.gone_since(now, &records);
            let since = self.released(now).unwrap_or(found);
            (self.leader, self.heard) = (None, None);
            self.leaderless.get_or_insert(since);
            changes.push(Change::Leaderless(term));
        }
        changes
    }

    /// A store has notified us of a release, with the vacant record.
    pub(super) fn woken(&mut self, now: Timestamp, record: &Record) {
        if self.leader.is_some() && self.released(now).is_none() {
            self.heard = Some(HeardRelease {
                heard: now,
                since: self.gone_since(now, &[record]),
            });
        }
    }

    /// The election is claimed. A leader with that record has released it, or its counter has stalled: then
    /// it counts as gone since its last heartbeat.
    pub(super) fn claimed(&mut self, now: Timestamp, candidate: &Candidate) -> Option<Change> {
        let change = self.resume(&self.records(candidate));
        if self.leader.is_some() && self.leaderless.is_none() {
            let stalled = self.sign.map(|sign| sign.at);
            self.leaderless = self.released(now).or(stalled);
        }
        change
    }

    /// The claim has failed: the leader being followed was not shown to be gone.
    pub(super) fn claim_failed(&mut self) {
        self.leaderless.take_if(|_| self.leader.is_some());
    }

    /// We lead. Returns how long no one did.
    pub(super) fn elected(&mut self, now: Timestamp) -> Option<Duration> {
        (self.leader, self.heard) = (None, None);
        self.leaderless.take().map(|since| now.since(since))
    }

    /// Our work has ended, and no one has taken the election.
    pub(super) fn vacated(&mut self, now: Timestamp) {
        self.leaderless.get_or_insert(now);
    }

    /// Notes that the leader we follow is alive.
    pub(super) fn note_sign(&mut self, candidate: &Candidate) {
        let Some((leader, term)) = &self.leader else {
            self.sign = None;
            return;
        };
        let signs = self.electorate.stores().filter_map(|store| {
            let record = candidate.record(store)?;
            let its = match &record.occupancy {
                Occupancy::Held { holder, .. } => leader.as_ref() == Some(holder),
                Occupancy::Foreign { .. } => leader.is_none(),
                Occupancy::Absent | Occupancy::Vacant => false,
            };
            let at = candidate.unchanged_since(store)?;
            (its && record.term == *term).then(|| (at, record.last_counter()))
        });
        self.sign = signs.fold(self.sign, |last, (at, beat)| {
            Some(last.map_or(Sign { at, beat }, |last| Sign {
                at: last.at.max(at),
                beat: last.beat.max(beat),
            }))
        });
    }

    /// What the next campaign of this process should know about the time without a leader, if that continues.
    /// `led` is the term that this candidate led.
    pub(super) fn left(
        self,
        now: Timestamp,
        candidate: &Candidate,
        led: Option<FencingToken>,
    ) -> Option<Gap> {
        let Some(since) = self.leaderless else {
            return self.before;
        };
        let seen = self.records(candidate).into_iter();
        let seen = seen.map(|record| record.term).max();
        let (term, of) = match (led, self.ended) {
            (Some(term), _) => (term, Some(candidate.id().clone())),
            (None, Some((of, term))) => (term, of),
            (None, None) => (seen.unwrap_or_default(), None),
        };
        Some(Gap {
            since,
            until: now,
            term,
            of,
        })
    }

    fn records<'a>(&self, candidate: &'a Candidate) -> Vec<&'a Record> {
        let stores = self.electorate.stores();
        stores.filter_map(|store| candidate.record(store)).collect()
    }

    /// The gap that the campaign before has seen continues if no one has led since. Otherwise, only the
    /// part of it that was watched counts.
    fn resume(&mut self, records: &[&Record]) -> Option<Change> {
        if records.len() < self.electorate.majority() {
            return None;
        }
        let gap = self.before.take()?;
        if !gap.goes_on(records, self.electorate) {
            return Some(Change::GapOver(gap.watched()));
        }
        self.leaderless = Some(gap.since);
        self.ended = gap.of.map(|id| (Some(id), gap.term));
        None
    }

    fn end_gap(&mut self, now: Timestamp) -> Option<Change> {
        let since = self.leaderless.take()?;
        Some(Change::GapOver(now.since(since)))
    }

    /// Since when no one leads, if the notified release is true. A notification that no poll has confirmed
    /// for a while was not.
    fn released(&self, now: Timestamp) -> Option<Timestamp> {
        let recent = self.timing.interval() * 2;
        let heard = self.heard.filter(|hint| now.since(hint.heard) <= recent);
        heard.map(|hint| hint.since)
    }

    /// Since when the leader we follow is gone, when it is found to be gone at `now`. One that has not been
    /// seen to beat for a tenure, for example during an outage, is gone since its last heartbeat, unless
    /// its record shows a later one.
    fn gone_since(&self, now: Timestamp, left: &[&Record]) -> Timestamp {
        let Some(sign) = self.sign else { return now };
        let silent = now.since(sign.at) > self.timing.tenure();
        let went_on = left
            .iter()
            .any(|record| record.occupancy == Occupancy::Vacant && record.beat > sign.beat);
        if silent && !went_on { sign.at } else { now }
    }
}

//! What operators have ordered, and what else a standby has to expect.

use super::{Candidate, Ending, Phase, Prospect, StoreView};
use crate::protocol::{HostName, LossReason, Pause, Record};

impl StoreView {
    /// The pause that its record showed last.
    fn paused(&self) -> Option<&Pause> {
        self.watch.record()?.orders.paused.as_ref()
    }
}

impl Candidate {
    /// What to expect, for a campaign that does not wait.
    #[must_use]
    pub fn prospect(&self) -> Prospect {
        if !matches!(self.phase, Phase::Standby { .. }) {
            return Prospect::Open;
        }
        let possible = |lost: usize| self.electorate.size() - lost >= self.electorate.majority();
        let held = self.count(|view| !view.failing && view.watch.is_held());
        let paused =
            self.count(|view| !view.failing && !view.watch.is_held() && view.paused().is_some());
        let failing = self.count(|view| view.failing);
        if !possible(held) {
            Prospect::Held
        } else if !possible(held + paused) {
            Prospect::Paused
        } else if !possible(held + paused + failing) {
            Prospect::Unreachable
        } else if self.used_up {
            Prospect::TermsUsedUp
        } else {
            Prospect::Open
        }
    }

    /// The pause that keeps candidates from being elected, if too many stores are paused for a majority.
    #[must_use]
    pub fn pause(&self) -> Option<&Pause> {
        let mut pauses = self.stores.iter().filter_map(StoreView::paused);
        let spare = self.electorate.size() - self.electorate.majority();
        pauses.nth(spare)
    }

    /// Whether an order keeps us from claiming what could otherwise be claimed: a pause, until a poll shows
    /// that it is over; a preference for another candidate, until the record has stalled for a window.
    pub(super) fn is_barred(&self, view: &StoreView) -> bool {
        let record = view.watch.record();
        let another = record.is_some_and(|record| self.is_left_to_another(record));
        view.paused().is_some() || (another && !view.watch.stands_still(self.now, &self.timing))
    }

    /// Whether a vacant record names another candidate as the successor.
    pub(super) fn is_left_to_another(&self, record: &Record) -> bool {
        let host = self.host.as_ref().map(HostName::as_str);
        let preferred = record.preferred();
        preferred.is_some_and(|successor| !successor.is(&self.id, host))
    }

    /// Obeys an operator's order to the holder of this term, once a majority of the stores shows it: an
    /// order that reached fewer was not given.
    pub(super) fn obey(&mut self) {
        let Some(term) = self.term() else {
            return;
        };
        let asks = |view: &&StoreView| {
            view.watch.record().is_some_and(|record| {
                record.is_held_by(&self.id, term) && record.is_asked_to_resign()
            })
        };
        if self.stores.iter().filter(asks).count() < self.electorate.majority() {
            return;
        }
        if let Phase::Probation { .. } = self.phase {
            self.fail(term);
            // After being asked to resign, a candidate sits out a window, so that another comes first.
            self.phase = Phase::Standby {
                not_before: self.now + self.timing.window(),
            };
        } else {
            self.stop(Ending::Stopped, LossReason::Requested);
        }
    }
}

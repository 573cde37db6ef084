//! What a majority of the records shows: the one answer of status, driver and statistics to who leads.

use crate::protocol::{CandidateId, Electorate, FencingToken, Occupancy, Record};

impl Electorate {
    /// The holder of a majority of these records, and its term: one candidate, or `None` for programs that
    /// speak only the bare protocol.
    #[must_use]
    pub fn holder<'a>(
        self,
        records: &[&'a Record],
    ) -> Option<(Option<&'a CandidateId>, FencingToken)> {
        let held_alike = |one: &&&Record| {
            let alike = |other: &&&Record| other.holder() == one.holder() && other.term == one.term;
            one.holder().is_some() && records.iter().filter(alike).count() >= self.majority()
        };
        let held = records.iter().find(held_alike);
        let foreign = |one: &&&Record| matches!(one.occupancy, Occupancy::Foreign { .. });
        let foreign = records.iter().filter(foreign);
        let newest = foreign.clone().map(|one| one.term).max();
        held.map(|one| (one.holder(), one.term))
            .or_else(|| Some((None, newest?)).filter(|_| foreign.count() >= self.majority()))
    }

    /// Whether a majority of these records is free, or held by `us`.
    #[must_use]
    pub fn is_free(self, records: &[&Record], us: Option<&CandidateId>) -> bool {
        let free = |one: &&&Record| match &one.occupancy {
            Occupancy::Absent | Occupancy::Vacant => true,
            Occupancy::Held { holder, .. } => us == Some(holder),
            Occupancy::Foreign { .. } => false,
        };
        records.iter().filter(free).count() >= self.majority()
    }
}

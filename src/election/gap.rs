//! The time without a leader, carried from one campaign of a process to the next: it continues while no
//! campaign watches, as long as no one has led in between.

use std::time::Duration;

use crate::protocol::{CandidateId, Electorate, FencingToken, Record, Timestamp};

/// A time without a leader that was not over when a campaign ended.
#[derive(Clone, Debug)]
pub(super) struct Gap {
    /// Since when no one leads.
    pub(super) since: Timestamp,
    /// Until when that was watched.
    pub(super) until: Timestamp,
    /// The last term.
    pub(super) term: FencingToken,
    /// The holder whose leadership ended, when it was this process's own: its record may still name it.
    pub(super) of: Option<CandidateId>,
}

impl Gap {
    /// Whether these records, of at least a majority, show that no one has led since.
    pub(super) fn goes_on(&self, records: &[&Record], electorate: Electorate) -> bool {
        let newest = records.iter().map(|record| record.term).max();
        newest.is_some_and(|newest| newest <= self.term)
            && electorate.is_free(records, self.of.as_ref())
    }

    /// How much of it was watched.
    pub(super) fn watched(&self) -> Duration {
        self.until.since(self.since)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::protocol::{Beat, Occupancy};

    fn record(text: &str) -> Record {
        let (who, term) = text.split_at(1);
        let term = FencingToken::new(term.parse().unwrap_or(0)).unwrap();
        let occupancy = match who {
            "." => Occupancy::Absent,
            "-" => Occupancy::Vacant,
            "f" => Occupancy::Foreign {
                counter: Some(Beat::new(1)),
                window: Duration::ZERO,
            },
            name => Occupancy::Held {
                holder: name.parse().unwrap(),
                window: Duration::ZERO,
            },
        };
        Record {
            floor: term,
            term,
            occupancy,
            ..Record::ABSENT
        }
    }

    #[test]
    fn nobody_has_led_while_no_record_of_a_majority_tells_of_another_term() {
        for (of, records, expected) in [
            (None, "-7", true),
            (None, ".", true),
            (None, "a7", false),
            (None, "-8", false),
            (None, "f7", false),
            (Some("a"), "a7", true),
            (Some("a"), "-7", true),
            (Some("a"), "b7", false),
            (Some("a"), "a8", false),
            (Some("a"), "a7 -7 f7", true),
            (Some("a"), "a7 f7 f7", false),
            (None, "-7 -6 .", true),
            // A store that was away knows of a later leader.
            (None, "-7 -7 -8", false),
            (None, "-7 -7 b8", false),
            (None, "-7 x6 x6", false),
            (None, "", false),
        ] {
            let gap = Gap {
                since: Timestamp::ZERO,
                until: Timestamp::ZERO,
                term: FencingToken::new(7).unwrap(),
                of: of.map(|id: &str| id.parse().unwrap()),
            };
            let read: Vec<Record> = records.split_whitespace().map(record).collect();
            let seen: Vec<&Record> = read.iter().collect();
            let electorate = Electorate::new(seen.len().max(1)).unwrap();
            assert_eq!(gap.goes_on(&seen, electorate), expected, "{of:?} {records}");
        }
    }
}

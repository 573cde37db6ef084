//! The rows of the database: written as the protocol has them, read as if a stranger had written them.

use std::fmt::Display;
use std::time::Duration;

use rusqlite::types::{Type, ValueRef};
use rusqlite::{Row, params};

use super::trouble::Trouble;
use crate::protocol::{
    Beat, CandidateId, ElectionName, Occupancy, Orders, Record, Term, Timing, WallMillis,
};
use crate::store::Change;
use crate::store::Identity;

/// What the row of an election holds.
#[derive(Clone, Debug)]
pub(super) struct ElectionRow {
    pub(super) record: Record,
    /// The holder, for people.
    pub(super) identity: Option<Identity>,
    pub(super) since: Option<WallMillis>,
    pub(super) changed: Option<WallMillis>,
}

impl ElectionRow {
    pub(super) const ABSENT: Self = Self {
        record: Record::ABSENT,
        identity: None,
        since: None,
        changed: None,
    };

    pub(super) const SELECT: &str = "SELECT floor, term, beat, holder, window_ns, identity, \
         since_ms, changed_ms, paused, handover FROM election WHERE name = ?1";

    const REPLACE: &str = "INSERT INTO election (name, floor, term, beat, holder, window_ns, \
         identity, since_ms, changed_ms, paused, handover) \
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11) \
         ON CONFLICT (name) DO UPDATE SET floor = ?2, term = ?3, beat = ?4, holder = ?5, \
         window_ns = ?6, identity = ?7, since_ms = ?8, changed_ms = ?9, paused = ?10, handover = ?11";

    const VACATE: &str = "UPDATE election SET holder = NULL, window_ns = NULL WHERE name = ?1";

    const DELETE: &str = "DELETE FROM election WHERE name = ?1";

    pub(super) fn read(row: &Row<'_>, election: &ElectionName) -> Result<Self, Trouble> {
        let fields = Fields {
            table: "election",
            key: election.as_str(),
            row,
        };
        let term_of = |field| fields.required(field, "a term from 0 to 2^53 - 1", Term::new);
        let (floor, term) = (term_of("floor")?, term_of("term")?);
        if term > floor {
            return Err(fields.garbled("floor", &floor, "at least the term"));
        }
        let holder = fields.text("holder", "a candidate id", |id| CandidateId::new(id).ok())?;
        let window = fields.optional("window_ns", "a window up to a day in ns", |ns| {
            let window = Duration::from_nanos(ns);
            (window <= Timing::MAX_WINDOW).then_some(window)
        })?;
        let occupancy = match (holder, window) {
            // A row with only a pause: no one ever held the election.
            (None, None) if floor == Term::ZERO => Occupancy::Absent,
            (None, None) => Occupancy::Vacant,
            (Some(holder), Some(window)) => Occupancy::Held { holder, window },
            (None, Some(_)) => return Err(fields.garbled("holder", &"NULL", "set with window_ns")),
            (Some(_), None) => return Err(fields.garbled("window_ns", &"NULL", "set with holder")),
        };
        let millis =
            |field| fields.optional(field, "milliseconds since the epoch", WallMillis::new);
        Ok(Self {
            record: Record {
                floor,
                term,
                beat: Beat::new(fields.integer("beat")?),
                occupancy,
                orders: Orders {
                    paused: fields.text("paused", "until|by|reason", |text| text.parse().ok())?,
                    handover: fields
                        .text("handover", "term|kind|successor", |text| text.parse().ok())?,
                },
            },
            identity: fields.text("identity", "id|host|pid|version", |text| text.parse().ok())?,
            since: millis("since_ms")?,
            changed: millis("changed_ms")?,
        })
    }

    pub(super) fn write(
        &self,
        connection: &rusqlite::Connection,
        election: &ElectionName,
    ) -> rusqlite::Result<()> {
        let (holder, window) = match &self.record.occupancy {
            Occupancy::Held { holder, window } => (
                Some(holder.as_str()),
                // No timing has a longer one, and no reader accepts it.
                i64::try_from(window.as_nanos().min(Timing::MAX_WINDOW.as_nanos())).ok(),
            ),
            Occupancy::Absent | Occupancy::Vacant | Occupancy::Foreign { .. } => (None, None),
        };
        if self.record == Record::ABSENT {
            // The database does not let anyone delete a record that is held.
            for statement in [Self::VACATE, Self::DELETE] {
                connection
                    .prepare_cached(statement)?
                    .execute([election.as_str()])?;
            }
            return Ok(());
        }
        connection.prepare_cached(Self::REPLACE)?.execute(params![
            election.as_str(),
            signed(self.record.floor.get()),
            signed(self.record.term.get()),
            self.record.beat.get(),
            holder,
            window,
            self.identity.as_ref().map(ToString::to_string),
            self.since.map(|at| signed(at.get())),
            self.changed.map(|at| signed(at.get())),
            self.record.orders.paused.as_ref().map(ToString::to_string),
            self.record
                .orders
                .handover
                .as_ref()
                .map(ToString::to_string),
        ])?;
        Ok(())
    }
}

/// Terms and clocks stay far below the limit of SQLite's integers.
pub(super) fn signed(number: u64) -> i64 {
    i64::try_from(number).unwrap_or(i64::MAX)
}

/// The fields of a row, by name, none of them trusted.
pub(super) struct Fields<'a> {
    pub(super) table: &'static str,
    pub(super) key: &'a str,
    pub(super) row: &'a Row<'a>,
}

impl Fields<'_> {
    pub(super) fn integer(&self, field: &str) -> Result<i64, Trouble> {
        match self.row.get_ref(field)? {
            ValueRef::Integer(number) => Ok(number),
            other => Err(self.garbled(field, &shown(other), "an integer")),
        }
    }

    /// A number that `parse` accepts.
    pub(super) fn required<T>(
        &self,
        field: &str,
        expected: &str,
        parse: impl FnOnce(u64) -> Option<T>,
    ) -> Result<T, Trouble> {
        self.optional(field, expected, parse)?
            .ok_or_else(|| self.garbled(field, &"NULL", expected))
    }

    /// A number that `parse` accepts, or nothing.
    pub(super) fn optional<T>(
        &self,
        field: &str,
        expected: &str,
        parse: impl FnOnce(u64) -> Option<T>,
    ) -> Result<Option<T>, Trouble> {
        let value = self.row.get_ref(field)?;
        let number = match value {
            ValueRef::Null => return Ok(None),
            ValueRef::Integer(number) => u64::try_from(number).ok(),
            ValueRef::Real(_) | ValueRef::Text(_) | ValueRef::Blob(_) => None,
        };
        match number.and_then(parse) {
            Some(parsed) => Ok(Some(parsed)),
            None => Err(self.garbled(field, &shown(value), expected)),
        }
    }

    /// A text that `parse` accepts, or nothing.
    pub(super) fn text<T>(
        &self,
        field: &str,
        expected: &str,
        parse: impl FnOnce(&str) -> Option<T>,
    ) -> Result<Option<T>, Trouble> {
        let value = self.row.get_ref(field)?;
        if value.data_type() == Type::Null {
            return Ok(None);
        }
        match value.as_str().ok().and_then(parse) {
            Some(parsed) => Ok(Some(parsed)),
            None => Err(self.garbled(field, &shown(value), expected)),
        }
    }

    /// A text, or nothing where anything else stands: of what decides nothing.
    pub(super) fn told(&self, field: &str) -> Option<&str> {
        self.row.get_ref(field).ok()?.as_str().ok()
    }

    /// A text that must be there.
    pub(super) fn required_text<T>(
        &self,
        field: &str,
        expected: &str,
        parse: impl FnOnce(&str) -> Option<T>,
    ) -> Result<T, Trouble> {
        self.text(field, expected, parse)?
            .ok_or_else(|| self.garbled(field, &"NULL", expected))
    }

    pub(super) fn garbled(&self, field: &str, value: &dyn Display, expected: &str) -> Trouble {
        let mut key: String = self.key.chars().take(60).collect();
        key.retain(|character| !character.is_control());
        Trouble::Garbled {
            key: format!("row {key:?} of table {}", self.table),
            field: field.to_owned(),
            value: value.to_string(),
            expected: format!("not {expected}"),
        }
    }
}

fn shown(value: ValueRef<'_>) -> String {
    match value {
        ValueRef::Null => "NULL".to_owned(),
        ValueRef::Integer(number) => number.to_string(),
        ValueRef::Real(number) => number.to_string(),
        ValueRef::Text(bytes) => {
            String::from_utf8_lossy(&bytes[..bytes.len().min(240)]).into_owned()
        }
        ValueRef::Blob(bytes) => format!("a blob of {} bytes", bytes.len()),
    }
}

pub(super) const fn change_word(change: Change) -> &'static str {
    match change {
        Change::ClaimedAbsent => "claimed-absent",
        Change::ClaimedVacant => "claimed-vacant",
        Change::ClaimedStalled => "claimed-stalled",
        Change::ClaimedForeign => "claimed-foreign",
        Change::Joined => "joined",
        Change::Released => "released",
        Change::Paused => "paused",
        Change::Resumed => "resumed",
        Change::AskedToResign => "asked-to-resign",
        Change::Deposed => "deposed",
    }
}

pub(super) fn change_from(word: &str) -> Option<Change> {
    [
        Change::ClaimedAbsent,
        Change::ClaimedVacant,
        Change::ClaimedStalled,
        Change::ClaimedForeign,
        Change::Joined,
        Change::Released,
        Change::Paused,
        Change::Resumed,
        Change::AskedToResign,
        Change::Deposed,
    ]
    .into_iter()
    .find(|change| change_word(*change) == word)
}

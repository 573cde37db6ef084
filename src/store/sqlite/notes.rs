//! What the database keeps for people: the candidates and the history. It decides nothing.

use std::collections::BTreeSet;
use std::time::Duration;

use rusqlite::{Connection, OptionalExtension, params};

use super::record_row::{ElectionRow, change_word, signed};
use super::trouble::Trouble;
use crate::protocol::{ElectionName, Record, Request, WallMillis};
use crate::store::{Change, HistoryEntry, Identity, Note, SeenCandidate, millis};

/// How many changes of an election are kept.
const HISTORY: i64 = 1000;
/// How many candidates of an election are listed.
pub(super) const CANDIDATES: i64 = 1000;
/// How old the note of a candidate may be before it is written again: reading costs no write.
const NOTED: Duration = Duration::from_secs(5);

/// Candidates that were seen and are not noted yet. They wait for the next transaction that is written
/// anyway, or for a quiet moment, so that reading a record never waits for the disk.
#[derive(Debug, Default)]
pub(super) struct Unnoted(BTreeSet<(ElectionName, Identity)>);

impl Unnoted {
    /// How many may wait; any others are noted at one of their next observations.
    const MOST: usize = 4096;

    pub(super) fn add(&mut self, election: &ElectionName, who: &Identity) {
        if self.0.len() < Self::MOST {
            self.0.insert((election.clone(), who.clone()));
        }
    }

    pub(super) fn remove(&mut self, election: &ElectionName, who: &Identity) {
        self.0.remove(&(election.clone(), who.clone()));
    }

    pub(super) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    pub(super) fn clear(&mut self) {
        self.0.clear();
    }

    pub(super) fn write(&self, connection: &Connection, clock: WallMillis) -> rusqlite::Result<()> {
        for (election, who) in &self.0 {
            note_candidate(connection, election, who, clock)?;
        }
        Ok(())
    }
}

/// How many deletions are kept, for the processes that wait for one of these elections.
const DELETIONS: i64 = 100;

/// Writes a granted request down: the record, who campaigns, and what has changed.
pub(super) fn write(
    connection: &Connection,
    election: &ElectionName,
    who: &Identity,
    request: &Request,
    (before, change): (&Record, Option<Change>),
    row: &mut ElectionRow,
    clock: WallMillis,
) -> Result<(), Trouble> {
    let note = Note::made_by(request, before, row.changed, &row.record);
    match request {
        Request::Observe => return Ok(()),
        Request::Beat { .. } => {
            if are_due(connection, election, who, clock)? {
                note_candidate(connection, election, who, clock)?;
            }
        }
        Request::Claim(_) => {
            row.identity = Some(who.clone());
            row.since = Some(clock);
        }
        Request::Release { .. } => forget_candidate(connection, election, who)?,
        Request::Order(_) => {}
    }
    if row.record.holder().is_none() {
        row.identity = None;
        row.since = None;
    }
    let changes = |record: &Record| (record.term, record.beat, record.occupancy.clone());
    if changes(&row.record) != changes(before) {
        row.changed = Some(clock);
    }
    row.write(connection, election)?;
    if Change::deletes(request, &row.record) {
        note_deletion(connection, election)?;
        return Ok(());
    }
    let ephemeral = matches!(request, Request::Claim(claim) if claim.ephemeral);
    if let Some(change) = change.filter(|_| !ephemeral) {
        let entry = HistoryEntry {
            at: clock,
            term: row.record.term,
            holder: who.clone(),
            change,
            note,
        };
        note_change(connection, election, &entry)?;
    }
    Ok(())
}

/// Whether the note that `who` campaigns is missing or old.
pub(super) fn are_due(
    connection: &Connection,
    election: &ElectionName,
    who: &Identity,
    clock: WallMillis,
) -> Result<bool, Trouble> {
    let noted: Option<i64> = connection
        .prepare_cached("SELECT last_seen_ms FROM candidate WHERE election = ?1 AND identity = ?2")?
        .query_row(params![election.as_str(), who.to_string()], |row| {
            row.get(0)
        })
        .optional()?;
    // A clock that was set back makes a note of the future due as well.
    let age = noted.map(|noted| noted.abs_diff(signed(clock.get())));
    Ok(age.is_none_or(|age| age >= millis(NOTED)))
}

/// A candidate that goes on campaigning is noted again by its next observation.
pub(super) fn forget_candidate(
    connection: &Connection,
    election: &ElectionName,
    who: &Identity,
) -> rusqlite::Result<()> {
    connection
        .prepare_cached("DELETE FROM candidate WHERE election = ?1 AND identity = ?2")?
        .execute(params![election.as_str(), who.to_string()])?;
    Ok(())
}

fn note_candidate(
    connection: &Connection,
    election: &ElectionName,
    who: &Identity,
    clock: WallMillis,
) -> rusqlite::Result<()> {
    let now = signed(clock.get());
    let remembered = signed(millis(SeenCandidate::REMEMBERED));
    connection
        .prepare_cached(
            "INSERT INTO candidate (election, identity, last_seen_ms) VALUES (?1, ?2, ?3) \
             ON CONFLICT (election, identity) DO UPDATE SET last_seen_ms = ?3",
        )?
        .execute(params![election.as_str(), who.to_string(), now])?;
    connection
        .prepare_cached(
            "DELETE FROM candidate WHERE election = ?1 AND (abs(last_seen_ms - ?2) > ?3 OR identity IN \
             (SELECT identity FROM candidate WHERE election = ?1 ORDER BY last_seen_ms DESC \
             LIMIT -1 OFFSET ?4))",
        )?
        .execute(params![
            election.as_str(),
            now,
            remembered,
            CANDIDATES
        ])?;
    Ok(())
}

/// Nothing of the election is kept but that it is free now, and that for a while.
fn note_deletion(connection: &Connection, election: &ElectionName) -> rusqlite::Result<()> {
    for table in ["history", "candidate"] {
        connection
            .prepare_cached(&format!("DELETE FROM {table} WHERE election = ?1"))?
            .execute([election.as_str()])?;
    }
    connection
        .prepare_cached("INSERT INTO deleted (election) VALUES (?1)")?
        .execute([election.as_str()])?;
    connection
        .prepare_cached("DELETE FROM deleted WHERE id <= ?1")?
        .execute([connection.last_insert_rowid() - DELETIONS])?;
    Ok(())
}

fn note_change(
    connection: &Connection,
    election: &ElectionName,
    entry: &HistoryEntry,
) -> rusqlite::Result<()> {
    connection
        .prepare_cached(
            "INSERT INTO history (election, at_ms, term, holder, change, note) \
             VALUES (?1, ?2, ?3, ?4, ?5, ?6)",
        )?
        .execute(params![
            election.as_str(),
            signed(entry.at.get()),
            signed(entry.term.get()),
            entry.holder.to_string(),
            change_word(entry.change),
            entry.note.as_ref().map(ToString::to_string),
        ])?;
    connection
        .prepare_cached(
            "DELETE FROM history WHERE election = ?1 AND id <= (SELECT id FROM history \
             WHERE election = ?1 ORDER BY id DESC LIMIT 1 OFFSET ?2)",
        )?
        .execute(params![election.as_str(), HISTORY])?;
    Ok(())
}

//! The open database, and the operations, each in one transaction.

use std::path::{Path, PathBuf};

use rusqlite::config::DbConfig;
use rusqlite::{Connection, OpenFlags, TransactionBehavior, params};

use super::files::{self, FileIds, InodeLock};
use super::filesystem;
use super::folders::FolderLocks;
use super::memory::Memory;
use super::notes::{self, Unnoted};
use super::patience;
use super::record_row::{ElectionRow, Fields, change_from, change_word, signed};
use super::schema;
use super::trouble::{Place, Trouble};
use super::wake::WakeFile;
use crate::protocol::{
    self, ElectionName, FencingToken, Record, Reply, Request, State, Verdict, WallMillis, apply,
};
use crate::store::Identity;
use crate::store::{
    Change, HistoryEntry, Inspection, Note, SeenCandidate, is_free, millis, target, wall_clock,
};

/// An election that is free, its record, and the memory of the database.
pub(super) type Released = (ElectionName, Record, protocol::Memory);

/// The latest change that the database knows.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct LastChange {
    /// The latest entry of all histories.
    history: i64,
    /// The latest deletion.
    deleted: i64,
}

/// A connection to the database, and which files it has open.
#[derive(Debug)]
pub(super) struct Database {
    pub(super) connection: Connection,
    /// The path as it was given, which may be a link.
    given: PathBuf,
    /// The path to which that leads.
    path: PathBuf,
    ids: FileIds,
    memory: Memory,
    _lock: InodeLock,
    /// Candidates that are not noted yet.
    unnoted: Unnoted,
}

impl Database {
    /// Opens the database, and makes it first if it is missing.
    pub(super) fn open(place: &Place, folders: &mut FolderLocks) -> Result<Self, Trouble> {
        let about = |error: std::io::Error| Trouble::file(place, &error);
        let path = target(&place.path).map_err(about)?;
        // Nothing is written where it could not stay.
        filesystem::check(&path)?;
        let made = schema::prepare_file(place, &path)?;
        let path = std::fs::canonicalize(&path).map_err(about)?;
        filesystem::check(&path)?;
        files::check_names(&path)?;
        loop {
            // Opening and making tables can find the database busy where no busy handler is asked.
            match Self::connect(place, &path, folders, made) {
                Err(trouble) if trouble.is_busy() && patience::wait(0) => {}
                outcome => return outcome,
            }
        }
    }

    fn connect(
        place: &Place,
        path: &Path,
        folders: &mut FolderLocks,
        made: bool,
    ) -> Result<Self, Trouble> {
        let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
        // Before the connection, so that it is dropped after it.
        let about = |error: std::io::Error| Trouble::file(place, &error);
        let lock = InodeLock::open(path).map_err(about)?;
        let memory = Memory::open(place, path, folders)?;
        let mut connection = Connection::open_with_flags(path, flags)?;
        // A function, for rusqlite up to 0.40 takes nothing else.
        connection.busy_handler(Some(patience::wait as fn(i32) -> bool))?;
        if connection.is_readonly("main")? {
            return Err(place.diagnose().unwrap_or_else(|| {
                Trouble::Unusable(format!("{} is read-only", place.path.display()))
            }));
        }
        // The log stays when the last user leaves: SQLite would delete it by name, and that may by then
        // be the name of another database's log.
        connection.set_db_config(DbConfig::SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, true)?;
        connection.set_db_config(DbConfig::SQLITE_DBCONFIG_TRUSTED_SCHEMA, false)?;
        schema::make(&mut connection)?;
        let mode: String = connection.pragma_query_value(None, "journal_mode", |row| row.get(0))?;
        if mode != "wal" {
            return Err(Trouble::Unusable(format!(
                "the file system of {} cannot hold a write-ahead log (journal mode {mode}); choose a \
                 path on a local disk",
                place.path.display()
            )));
        }
        connection.pragma_update(None, "synchronous", "FULL")?;
        connection.pragma_update(None, "cache_size", -512)?;
        connection.query_row("SELECT count(*) FROM election WHERE name = ''", [], |_| {
            Ok(())
        })?;
        let ids = FileIds::at(path).map_err(|error| match error.kind() {
            // SQLite has just opened them: another user in this process has those that were deleted.
            std::io::ErrorKind::NotFound => Trouble::InUse,
            _ => about(error),
        })?;
        lock.lock_with(place, ids.all())?;
        if made {
            memory.begin(&mut connection)?;
        }
        Ok(Self {
            connection,
            given: place.path.clone(),
            path: path.to_owned(),
            ids,
            memory,
            _lock: lock,
            unnoted: Unnoted::default(),
        })
    }

    /// The path of the file itself, whatever links lead to it.
    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    /// Whether the files at the path are the ones that are open.
    pub(super) fn is_in_place(&self) -> bool {
        FileIds::at(&self.path).is_ok_and(|ids| ids == self.ids && ids.is_at(&self.given))
    }

    /// Carries out one request: what [`apply`] says, in one transaction.
    pub(super) fn execute(
        &mut self,
        election: &ElectionName,
        who: &Identity,
        request: &Request,
    ) -> Result<Reply, Trouble> {
        let clock = wall_clock();
        if *request == Request::Observe {
            if notes::are_due(&self.connection, election, who, clock)? {
                self.unnoted.add(election, who);
            }
            let transaction = self.connection.transaction()?;
            let found = self.memory.look(&transaction)?;
            if !found.anew {
                return Ok(Reply {
                    verdict: Verdict::Granted,
                    record: read(&transaction, election)?.record.seen_at(clock),
                    memory: found.memory,
                    clock,
                });
            }
        }
        let transaction = self
            .connection
            .transaction_with_behavior(TransactionBehavior::Immediate)?;
        let mut row = read(&transaction, election)?;
        let found = self.memory.look(&transaction)?;
        let state = State {
            memory: Some(found.memory),
            restarted: false,
            // No record is lost alone: the database refuses it.
            listed: None,
            record: row.record,
        };
        let (after, verdict) = apply(&state, request, found.memory.id, clock);
        let memory = protocol::Memory {
            // No candidate knows better than the clock of this host.
            age: found.memory.age,
            ..after.memory.unwrap_or(found.memory)
        };
        row.record = after.record;
        let mut change = None;
        if verdict == Verdict::Granted {
            let before = &state.record;
            change = Change::made_by(request, before);
            // Before a record is deleted, which the database permits once the memory has its floor.
            if change.is_some() || found.anew || memory.floor > found.memory.floor {
                self.memory.stamp(&transaction, found, memory)?;
            }
            notes::write(
                &transaction,
                election,
                who,
                request,
                (before, change),
                &mut row,
                clock,
            )?;
            if matches!(request, Request::Release { .. }) {
                self.unnoted.remove(election, who);
            }
            self.unnoted.write(&transaction, clock)?;
            transaction.commit().map_err(Trouble::Commit)?;
            self.unnoted.clear();
        } else if found.anew {
            self.memory.stamp(&transaction, found, memory)?;
            transaction.commit().map_err(Trouble::Commit)?;
        } else {
            transaction.rollback()?;
        }
        if change.is_some_and(Change::wakes)
            && is_free(&row.record)
            && let Err(error) = WakeFile::touch(&self.path)
        {
            tracing::debug!(path = %self.path.display(), %error, "cannot wake other processes");
        }
        Ok(Reply {
            verdict,
            record: row.record,
            memory,
            clock,
        })
    }

    /// Notes that somebody does not campaign any more.
    pub(super) fn withdraw(
        &mut self,
        election: &ElectionName,
        who: &Identity,
    ) -> Result<(), Trouble> {
        self.unnoted.remove(election, who);
        notes::forget_candidate(&self.connection, election, who)?;
        Ok(())
    }

    /// Whether there are candidates that are not noted yet.
    pub(super) fn has_unnoted(&self) -> bool {
        !self.unnoted.is_empty()
    }

    /// Notes who campaigns. Where that fails they are seen again later: notes decide nothing, and
    /// a claim on a read-only database fails with its own error.
    pub(super) fn catch_up(&mut self) {
        if self.unnoted.is_empty() {
            return;
        }
        if let Err(trouble) = self.write_unnoted() {
            tracing::debug!(path = %self.path.display(), ?trouble, "candidates were not noted");
        }
        self.unnoted.clear();
    }

    fn write_unnoted(&mut self) -> Result<(), Trouble> {
        let transaction = self
            .connection
            .transaction_with_behavior(TransactionBehavior::Immediate)?;
        self.unnoted.write(&transaction, wall_clock())?;
        transaction.commit().map_err(Trouble::Commit)
    }

    pub(super) fn inspect(&mut self, election: &ElectionName) -> Result<Inspection, Trouble> {
        self.catch_up();
        let transaction = self.connection.transaction()?;
        let clock = wall_clock();
        let row = read(&transaction, election)?;
        let found = self.memory.look(&transaction)?;
        let oldest = clock
            .get()
            .saturating_sub(millis(SeenCandidate::REMEMBERED));
        let mut candidates = Vec::new();
        let mut select = transaction.prepare_cached(
            "SELECT identity, last_seen_ms FROM candidate WHERE election = ?1 AND last_seen_ms >= ?2 \
             ORDER BY identity LIMIT ?3",
        )?;
        let mut rows = select.query(params![
            election.as_str(),
            signed(oldest),
            notes::CANDIDATES
        ])?;
        while let Some(found) = rows.next()? {
            let fields = Fields {
                table: "candidate",
                key: election.as_str(),
                row: found,
            };
            candidates.push(SeenCandidate {
                identity: fields
                    .required_text("identity", "id|host|pid|version", |text| text.parse().ok())?,
                last_seen: fields.required(
                    "last_seen_ms",
                    "milliseconds since the epoch",
                    WallMillis::new,
                )?,
            });
        }
        candidates.sort_by(|a, b| a.identity.cmp(&b.identity));
        Ok(Inspection {
            memory: (!found.anew).then_some(found.memory),
            holder: row.identity,
            since: row.since,
            changed: row.changed,
            candidates,
            ..Inspection::new(row.record.seen_at(clock), clock)
        })
    }

    pub(super) fn elections(&mut self) -> Result<Vec<ElectionName>, Trouble> {
        let mut select = self
            .connection
            .prepare_cached("SELECT name FROM election ORDER BY name")?;
        let mut rows = select.query([])?;
        let mut names = Vec::new();
        while let Some(row) = rows.next()? {
            let fields = Fields {
                table: "election",
                key: "",
                row,
            };
            names.push(fields.required_text("name", "an election name", |name| {
                ElectionName::new(name).ok()
            })?);
        }
        Ok(names)
    }

    pub(super) fn history(
        &mut self,
        election: &ElectionName,
        limit: usize,
    ) -> Result<Vec<HistoryEntry>, Trouble> {
        let mut select = self.connection.prepare_cached(
            "SELECT at_ms, term, holder, change, note FROM history WHERE election = ?1 ORDER BY id DESC \
             LIMIT ?2",
        )?;
        let limit = i64::try_from(limit).unwrap_or(i64::MAX);
        let mut rows = select.query(params![election.as_str(), limit])?;
        let mut entries = Vec::new();
        while let Some(row) = rows.next()? {
            let fields = Fields {
                table: "history",
                key: election.as_str(),
                row,
            };
            let change = fields.required_text("change", "a known change", change_from)?;
            entries.push(HistoryEntry {
                at: fields.required("at_ms", "milliseconds since the epoch", WallMillis::new)?,
                term: fields.required("term", "a term from 0 to 2^53 - 1", FencingToken::new)?,
                holder: fields
                    .required_text("holder", "id|host|pid|version", |text| text.parse().ok())?,
                change,
                note: fields
                    .told("note")
                    .and_then(|note| Note::read(change, note)),
            });
        }
        Ok(entries)
    }

    /// The record of an election, and which memory the database has.
    pub(super) fn record(
        &self,
        election: &ElectionName,
    ) -> Result<(Record, protocol::Memory), Trouble> {
        let row = read(&self.connection, election)?;
        let found = self.memory.look(&self.connection)?;
        Ok((row.record.seen_at(wall_clock()), found.memory))
    }

    /// What happened last.
    pub(super) fn last_change(&self) -> Result<LastChange, Trouble> {
        let last = self
            .connection
            .prepare_cached(
                "SELECT (SELECT coalesce(max(id), 0) FROM history), (SELECT coalesce(max(id), 0) FROM deleted)",
            )?
            .query_row([], |row| {
                Ok(LastChange {
                    history: row.get(0)?,
                    deleted: row.get(1)?,
                })
            })?;
        Ok(last)
    }

    /// The elections released after `seen` and free now, and moves `seen` on.
    pub(super) fn released_since(&self, seen: &mut LastChange) -> Result<Vec<Released>, Trouble> {
        let last = self.last_change()?;
        let mut select = self.connection.prepare_cached(
            "SELECT election FROM history WHERE id > ?1 AND id <= ?2 AND change IN (?3, ?4, ?5) \
             UNION SELECT election FROM deleted WHERE id > ?6 AND id <= ?7",
        )?;
        let [released, resumed, deposed] =
            [Change::Released, Change::Resumed, Change::Deposed].map(change_word);
        let names: Vec<String> = select
            .query_map(
                params![
                    seen.history,
                    last.history,
                    released,
                    resumed,
                    deposed,
                    seen.deleted,
                    last.deleted
                ],
                |row| row.get(0),
            )?
            .collect::<Result<_, _>>()?;
        *seen = last;
        let mut released = Vec::new();
        for name in names.iter().filter_map(|name| ElectionName::new(name).ok()) {
            let (record, memory) = self.record(&name)?;
            if is_free(&record) {
                released.push((name, record, memory));
            }
        }
        Ok(released)
    }
}

fn read(connection: &Connection, election: &ElectionName) -> Result<ElectionRow, Trouble> {
    let mut select = connection.prepare_cached(ElectionRow::SELECT)?;
    let mut rows = select.query([election.as_str()])?;
    match rows.next()? {
        Some(row) => ElectionRow::read(row, election),
        None => Ok(ElectionRow::ABSENT),
    }
}

//! The file and its tables: made when missing, and checked to be ours.

use rusqlite::{Connection, TransactionBehavior};

use super::trouble::{Place, Trouble};
use super::wake;

/// "incu", in the header of each database of ours.
const APPLICATION_ID: i64 = 0x696e_6375;
const SCHEMA_VERSION: i64 = 4;

/// What makes a database of the given version one of the next.
const MIGRATIONS: [(i64, &str); 3] = [
    (
        1,
        "ALTER TABLE election ADD COLUMN paused TEXT; ALTER TABLE election ADD COLUMN handover TEXT;",
    ),
    (2, "ALTER TABLE history ADD COLUMN note TEXT;"),
    (
        3,
        "CREATE TRIGGER election_is_remembered BEFORE DELETE ON election WHEN OLD.floor > 0 BEGIN \
         SELECT RAISE(ABORT, 'an election that was held is not deleted: its leader may still act, and \
         tokens would fall'); END;",
    ),
];

/// Makes the directory and an empty file if they are missing, so that what forbids it is told in the
/// words of the operating system.
pub(super) fn prepare_file(place: &Place) -> Result<(), Trouble> {
    use std::os::unix::fs::DirBuilderExt;

    let directory = place.directory();
    std::fs::DirBuilder::new()
        .recursive(true)
        .mode(0o700)
        .create(directory)
        .map_err(|error| Trouble::about(directory, &error))?;
    wake::make(&place.path).map_err(|error| Trouble::file(place, &error))?;
    let found = std::fs::metadata(&place.path).map_err(|error| Trouble::file(place, &error))?;
    if !found.is_file() {
        return Err(Trouble::Unusable(format!(
            "{} is not a regular file; choose the path of a file",
            place.path.display()
        )));
    }
    place.diagnose().map_or(Ok(()), Err)
}

/// Makes the tables in an empty database, brings those of an earlier version up to date, and checks that
/// any other is one of ours.
pub(super) fn make(connection: &mut Connection) -> Result<(), Trouble> {
    if found(connection)? == Found::UpToDate {
        return Ok(());
    }
    let _mode: String =
        connection.pragma_update_and_check(None, "journal_mode", "wal", |row| row.get(0))?;
    let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
    // Another process may have been faster.
    match found(&transaction)? {
        Found::UpToDate => {}
        Found::Empty => {
            transaction.execute_batch(include_str!("schema.sql"))?;
            transaction.pragma_update(None, "application_id", APPLICATION_ID)?;
            transaction.pragma_update(None, "user_version", SCHEMA_VERSION)?;
        }
        Found::Earlier(version) => {
            for (_, migration) in MIGRATIONS.iter().filter(|(from, _)| *from >= version) {
                transaction.execute_batch(migration)?;
            }
            transaction.pragma_update(None, "user_version", SCHEMA_VERSION)?;
        }
    }
    transaction.commit().map_err(Trouble::Commit)
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Found {
    Empty,
    Earlier(i64),
    UpToDate,
}

fn found(connection: &Connection) -> Result<Found, Trouble> {
    let (application, version, tables): (i64, i64, i64) = connection.query_row(
        "SELECT (SELECT application_id FROM pragma_application_id), \
         (SELECT user_version FROM pragma_user_version), (SELECT count(*) FROM sqlite_schema)",
        [],
        |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?)),
    )?;
    match (application, version, tables) {
        (0, 0, 0) => Ok(Found::Empty),
        (APPLICATION_ID, SCHEMA_VERSION, _) => Ok(Found::UpToDate),
        (APPLICATION_ID, earlier @ 1..SCHEMA_VERSION, _) => Ok(Found::Earlier(earlier)),
        (APPLICATION_ID, newer, _) => Err(Trouble::Unusable(format!(
            "the database has schema version {newer}, and this incumbent knows version {}; use the \
             version that wrote it, or upgrade",
            SCHEMA_VERSION
        ))),
        (other, _, _) => Err(Trouble::Unusable(format!(
            "the database belongs to another program (application id {other:#x}); choose another path"
        ))),
    }
}

//! The file and its tables: made when missing, and checked to be ours.

use std::io::ErrorKind;
use std::path::Path;

use rusqlite::{Connection, TransactionBehavior};

use super::trouble::{Place, Trouble};
use super::wake;

/// "incu", in the header of each incumbent database.
const APPLICATION_ID: i64 = 0x696e_6375;
const SCHEMA_VERSION: i64 = 7;

/// Makes the directory and an empty file at `path` if they are missing, so that a failure is reported with
/// the operating system's error. Returns whether the file was made.
pub(super) fn prepare_file(place: &Place, path: &Path) -> Result<bool, Trouble> {
    use std::os::unix::fs::DirBuilderExt;

    // Whatever else stands there will not become a file by waiting.
    match std::fs::metadata(path) {
        Ok(found) if !found.is_file() => {
            let what = match found.is_dir() {
                true => "a folder",
                false => "no regular file",
            };
            return Err(Trouble::Unsuitable(format!(
                "{} is {what}; choose the path of a file, such as elections.db in a folder",
                path.display()
            )));
        }
        Err(error) if error.kind() != ErrorKind::NotFound => {
            return Err(Trouble::about(path, &error));
        }
        Ok(_) | Err(_) => {}
    }
    let directory = path.parent().unwrap_or(Path::new("/"));
    std::fs::DirBuilder::new()
        .recursive(true)
        .mode(0o700)
        .create(directory)
        .map_err(|error| Trouble::about(directory, &error))?;
    let made = wake::make(path).map_err(|error| Trouble::file(place, &error))?;
    place.diagnose().map_or(Ok(made), Err)
}

/// Makes the tables in an empty database, and checks that any other is an incumbent database.
pub(super) fn make(connection: &mut Connection) -> Result<(), Trouble> {
    let before = found(connection)?;
    // A backup that was put in its place may have another mode.
    let _mode: String =
        connection.pragma_update_and_check(None, "journal_mode", "wal", |row| row.get(0))?;
    if before == Found::UpToDate {
        return Ok(());
    }
    let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
    // Another process may have been faster.
    match found(&transaction)? {
        Found::UpToDate => {}
        Found::Empty => {
            transaction.execute_batch(include_str!("schema.sql"))?;
            transaction.pragma_update(None, "application_id", APPLICATION_ID)?;
            transaction.pragma_update(None, "user_version", SCHEMA_VERSION)?;
        }
    }
    transaction.commit().map_err(Trouble::Commit)
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Found {
    Empty,
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
        (APPLICATION_ID, other, _) => Err(Trouble::Unsuitable(format!(
            "the database has format version {other}, and this incumbent uses version {SCHEMA_VERSION}; use \
             the incumbent that wrote it, or stop all of its users and move the file and its -wal, -shm and \
             -wake away"
        ))),
        (other, _, _) => Err(Trouble::Unsuitable(format!(
            "the database belongs to another program (application id {other:#x}); choose another path"
        ))),
    }
}

//! The decoder of this store, for rows from anywhere. Fuzz targets and property tests call it; it is no
//! part of the API.

use rusqlite::Connection;
use rusqlite::types::Value;

use super::record_row::ElectionRow;
use crate::protocol::{ElectionName, Record};

/// A database that holds no table: a row is what is put in.
#[derive(Debug)]
pub struct Rows(Connection);

impl Rows {
    /// Opens it.
    ///
    /// # Errors
    ///
    /// When SQLite cannot.
    pub fn new() -> rusqlite::Result<Self> {
        Connection::open_in_memory().map(Self)
    }

    /// Reads a row of these values as that of an election, in the order of the columns.
    ///
    /// # Errors
    ///
    /// What the store would say of such a row.
    pub fn read(&self, values: &[Value; 10]) -> Result<Record, String> {
        let election = ElectionName::new("fuzzed").map_err(|error| error.to_string())?;
        let mut statement = self
            .0
            .prepare_cached(
                "SELECT ?1 AS floor, ?2 AS term, ?3 AS beat, ?4 AS holder, ?5 AS window_ns, \
                 ?6 AS identity, ?7 AS since_ms, ?8 AS changed_ms, ?9 AS paused, ?10 AS handover",
            )
            .map_err(|error| error.to_string())?;
        let mut rows = statement
            .query(rusqlite::params_from_iter(values))
            .map_err(|error| error.to_string())?;
        match rows.next() {
            Ok(Some(row)) => ElectionRow::read(row, &election)
                .map(|row| row.record)
                .map_err(|trouble| format!("{trouble:?}")),
            Ok(None) => Err("no row".to_owned()),
            Err(error) => Err(error.to_string()),
        }
    }
}

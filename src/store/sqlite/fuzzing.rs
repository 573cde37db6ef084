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
    pub fn read(&self, values: &[Value; 11]) -> Result<Record, String> {
        let election = ElectionName::new("fuzzed").map_err(|error| error.to_string())?;
        let mut statement = self
            .0
            .prepare_cached(
                "SELECT ?1 AS floor, ?2 AS term, ?3 AS beat, ?4 AS unproven, ?5 AS holder, \
                 ?6 AS window_ns, ?7 AS identity, ?8 AS since_ms, ?9 AS changed_ms, ?10 AS paused, \
                 ?11 AS handover",
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

//! A fence inside the transaction of a write.

use std::sync::Arc;

#[cfg(feature = "sqlite")]
use super::FenceError;
#[cfg(feature = "sqlite")]
use crate::protocol::FencingToken;

/// A row of a database that holds the highest fencing token seen, compared and raised by one statement
/// at the start of each writing transaction.
///
/// The statement locks the row until the transaction ends, so of two leaders one waits for the other,
/// and the older is refused; that holds from READ COMMITTED up. The statements run on SQLite (3.24 and
/// later) and, as [`SqlFence::POSTGRES_RAISE`] and [`SqlFence::POSTGRES_HIGHEST`], on PostgreSQL:
///
/// ```sql
/// BEGIN;
/// INSERT INTO incumbent_fence (resource, token) VALUES (?1, ?2)
///     ON CONFLICT (resource) DO UPDATE SET token = excluded.token
///     WHERE incumbent_fence.token <= excluded.token;
/// -- One row: go on with the writes, and COMMIT. No row: a newer leader was seen, ROLLBACK.
/// ```
///
/// With PostgreSQL, in each writing transaction:
///
/// ```text
/// let mut transaction = pool.begin().await?;
/// let raised = sqlx::query(SqlFence::POSTGRES_RAISE)
///     .bind(fence.resource())
///     .bind(i64::from(lease.fencing_token()))
///     .execute(&mut *transaction)
///     .await?;
/// if raised.rows_affected() == 0 {
///     return Err("a newer leader has written".into()); // The transaction is rolled back.
/// }
/// ```
///
/// A table of which each row is guarded for itself needs no fence row, but a column:
///
/// ```sql
/// UPDATE account SET balance = ?3, token = ?2 WHERE id = ?1 AND token <= ?2;
/// ```
///
/// # Examples
///
/// ```
/// # #[cfg(feature = "sqlite")] {
/// use incumbent::fence::{SqlFence, FencingToken};
///
/// let mut database = rusqlite::Connection::open_in_memory()?;
/// database.execute_batch(SqlFence::CREATE)?;
/// database.execute_batch("CREATE TABLE ledger (entry TEXT)")?;
/// let fence = SqlFence::new("ledger");
/// let (old, new) = (FencingToken::new(7).unwrap(), FencingToken::new(8).unwrap());
///
/// fence.transaction(&mut database, new, |ledger| {
///     ledger.execute("INSERT INTO ledger VALUES ('from the new leader')", ())
/// })?;
/// let late = fence.transaction(&mut database, old, |ledger| {
///     ledger.execute("INSERT INTO ledger VALUES ('from the old one')", ())
/// });
/// assert!(late.unwrap_err().is_stale());
/// # }
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug)]
pub struct SqlFence {
    resource: Arc<str>,
}

impl SqlFence {
    /// Makes the table. Once, before anything else.
    pub const CREATE: &'static str = "CREATE TABLE IF NOT EXISTS incumbent_fence (\
         resource VARCHAR(200) PRIMARY KEY, token BIGINT NOT NULL)";
    /// Compares the token `?2` for the resource `?1`, and raises it: changes one row, or none when it is
    /// too old. The first statement of the transaction of the write.
    pub const RAISE: &'static str = "INSERT INTO incumbent_fence (resource, token) VALUES (?1, ?2) \
         ON CONFLICT (resource) DO UPDATE SET token = excluded.token \
         WHERE incumbent_fence.token <= excluded.token";
    /// The highest token seen for the resource `?1`.
    pub const HIGHEST: &'static str = "SELECT token FROM incumbent_fence WHERE resource = ?1";
    /// [`SqlFence::RAISE`] with the placeholders of PostgreSQL: the token is `$2`, the resource `$1`.
    pub const POSTGRES_RAISE: &'static str = "INSERT INTO incumbent_fence (resource, token) VALUES ($1, $2) \
         ON CONFLICT (resource) DO UPDATE SET token = excluded.token \
         WHERE incumbent_fence.token <= excluded.token";
    /// [`SqlFence::HIGHEST`] with the placeholder of PostgreSQL: the resource is `$1`.
    pub const POSTGRES_HIGHEST: &'static str =
        "SELECT token FROM incumbent_fence WHERE resource = $1";

    /// A fence for the resource of this name: whatever the transactions that name it write to.
    #[must_use]
    pub fn new(resource: &str) -> Self {
        Self {
            resource: resource.into(),
        }
    }

    /// The name of the resource: what the statements take as `?1`.
    #[must_use]
    pub fn resource(&self) -> &str {
        &self.resource
    }

    /// Carries out `write` in a transaction, unless a token higher than `token` was seen. It is committed
    /// when `write` succeeds, and rolled back when it fails or panics, the raise of the token with it.
    ///
    /// A `write` that does nothing only raises the token: what a new leader does before it reads.
    ///
    /// # Errors
    ///
    /// [`FenceError::Stale`] when a newer leader was seen; [`FenceError::Sqlite`] when `write` or the
    /// database failed.
    #[cfg(feature = "sqlite")]
    pub fn transaction<T>(
        &self,
        database: &mut rusqlite::Connection,
        token: FencingToken,
        write: impl FnOnce(&rusqlite::Transaction<'_>) -> rusqlite::Result<T>,
    ) -> Result<T, FenceError> {
        use rusqlite::TransactionBehavior::Immediate;

        let failed = |source| FenceError::Sqlite {
            resource: Arc::clone(&self.resource),
            source: Arc::new(source),
        };
        let transaction = database
            .transaction_with_behavior(Immediate)
            .map_err(failed)?;
        let raised = transaction
            .execute(Self::RAISE, (&*self.resource, i64::from(token)))
            .map_err(failed)?;
        if raised == 0 {
            let highest: rusqlite::types::Value = transaction
                .query_one(Self::HIGHEST, (&*self.resource,), |row| row.get(0))
                .map_err(failed)?;
            return Err(self.refused(token, highest));
        }
        let written = write(&transaction).map_err(failed)?;
        transaction.commit().map_err(failed)?;
        Ok(written)
    }

    #[cfg(feature = "sqlite")]
    fn refused(&self, token: FencingToken, highest: rusqlite::types::Value) -> FenceError {
        use rusqlite::types::Value;

        let text = match highest {
            Value::Integer(number) => number.to_string(),
            Value::Null => "NULL".to_owned(),
            Value::Real(number) => number.to_string(),
            Value::Text(text) => text,
            Value::Blob(bytes) => String::from_utf8_lossy(&bytes).into_owned(),
        };
        match text.parse() {
            Ok(highest) => FenceError::Stale {
                token,
                highest,
                resource: Arc::clone(&self.resource),
            },
            Err(_) => FenceError::garbled(&self.resource, text.as_bytes()),
        }
    }
}

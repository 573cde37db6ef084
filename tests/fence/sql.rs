//! The fence inside a transaction.

use incumbent::fence::{FenceError, SqlFence};

use super::term;

/// SQLite numbers `$1` and `$2` by their first appearance, so it reads both texts in the same way.
#[test]
fn the_statements_for_postgres_are_those_for_sqlite_with_other_placeholders() {
    let database = rusqlite::Connection::open_in_memory().unwrap();
    database.execute_batch(SqlFence::CREATE).unwrap();
    for (ours, theirs) in [
        (SqlFence::RAISE, SqlFence::POSTGRES_RAISE),
        (SqlFence::HIGHEST, SqlFence::POSTGRES_HIGHEST),
    ] {
        assert_eq!(ours.replace('?', "$"), theirs);
    }
    let raise = |token: i64| {
        database
            .execute(SqlFence::POSTGRES_RAISE, ("ledger", token))
            .unwrap()
    };
    assert_eq!([7, 7, 6, 8, 7].map(raise), [1, 1, 0, 1, 0]);
    let highest: i64 = database
        .query_one(SqlFence::POSTGRES_HIGHEST, ("ledger",), |row| row.get(0))
        .unwrap();
    assert_eq!(highest, 8);
}

#[test]
fn a_failed_transaction_is_rolled_back_with_its_token() {
    let mut database = rusqlite::Connection::open_in_memory().unwrap();
    database.execute_batch(SqlFence::CREATE).unwrap();
    let fence = SqlFence::new("ledger");
    let failed = fence.transaction(&mut database, term(5), |ledger| {
        ledger.execute("INSERT INTO nowhere VALUES (1)", ())
    });
    assert!(
        matches!(failed, Err(FenceError::Sqlite { .. })),
        "{failed:?}"
    );
    fence
        .transaction(&mut database, term(4), |_| Ok(()))
        .unwrap();
}

#[test]
fn one_database_fences_each_resource_by_itself() {
    let mut database = rusqlite::Connection::open_in_memory().unwrap();
    database.execute_batch(SqlFence::CREATE).unwrap();
    let (one, other) = (SqlFence::new("one"), SqlFence::new("other"));
    one.transaction(&mut database, term(9), |_| Ok(())).unwrap();
    other
        .transaction(&mut database, term(3), |_| Ok(()))
        .unwrap();
    assert!(one.transaction(&mut database, term(3), |_| Ok(())).is_err());
}

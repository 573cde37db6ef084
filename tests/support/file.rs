//! An SQLite file that candidates can be elected in at once, as one that has been in use for long.

use std::path::Path;
use std::time::Duration;

use incumbent::protocol::{CandidateId, Order, Request};
use incumbent::store::Identity;
use incumbent::store::{SqliteStore, Store};

/// Makes the file at `path`, old enough that no one waits for a leader in an earlier file there.
pub fn long_in_use(path: &Path) {
    let store = SqliteStore::open(path, Duration::from_secs(20));
    let id = CandidateId::new("test").unwrap();
    let who = Identity::new(id, "host", 1, "0").unwrap();
    let (election, nothing) = ("none".parse().unwrap(), Request::Order(Order::Resume));
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_time()
        .build()
        .unwrap();
    // An order makes no file.
    let made = runtime.block_on(store.execute(&election, &who, &Request::Observe));
    made.unwrap();
    let written = runtime.block_on(store.execute(&election, &who, &nothing));
    written.unwrap();
    runtime.block_on(store.withdraw(&election, &who)).unwrap();
    // Born later than now means before the host was started.
    let database = rusqlite::Connection::open(path).unwrap();
    let aged = database.execute("UPDATE memory SET born_ns = 1 << 62", []);
    assert_eq!(aged.unwrap(), 1);
}

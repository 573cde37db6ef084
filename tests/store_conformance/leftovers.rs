//! Many different names, one after the other: the store holds afterwards what it held before.
//!
//! `INCUMBENT_TEST_LOCKS` sets how many there are on a Redis; the other stores have a tenth of them.

use std::path::Path;
use std::time::Duration;

use incumbent::Election;
use incumbent::protocol::TimingConfig;
use incumbent::store::{MemoryStore, StoreOptions};

use super::support::redis::RedisServer;

/// How many of them are held at the same time.
const AT_A_TIME: u64 = 16;

fn number() -> u64 {
    std::env::var("INCUMBENT_TEST_LOCKS").map_or(20_000, |text| {
        text.parse()
            .unwrap_or_else(|_| panic!("INCUMBENT_TEST_LOCKS={text} is not a number"))
    })
}

/// Takes and releases elections that `election` makes, and returns the highest token.
async fn take_and_release(number: u64, election: impl Fn(String) -> Election + Sync) -> u64 {
    let election = &election;
    let one_by_one = async |worker: u64| {
        let mut last = 0;
        for turn in 0..number / AT_A_TIME {
            let election = election(format!("order:{worker}-{turn}"));
            let leadership = election.campaign().await.expect("it is free");
            let token = u64::from(leadership.lease().fencing_token());
            assert!(token > last, "{token} after {last}");
            last = token;
            leadership.resign().await;
        }
        last
    };
    let all = futures_util::future::join_all((0..AT_A_TIME).map(one_by_one)).await;
    all.into_iter().max().expect("some workers")
}

fn timing() -> TimingConfig {
    TimingConfig {
        interval: Duration::from_secs(10),
        op_timeout: Some(Duration::from_secs(10)),
        stall_polls: 6,
        ..Default::default()
    }
}

#[test]
fn many_locks_leave_a_redis_as_it_was() {
    let server = RedisServer::start();
    let election = |name: String| {
        let builder = Election::builder(name).store(server.url()).timing(timing());
        builder.ephemeral(true).build().expect("an election")
    };
    super::run(async {
        // The memory of the server, which is not of these names, is there from now on.
        let options = StoreOptions::default();
        let store = incumbent::store::open(&server.address(), &options).expect("a store");
        let who = super::requests::who("first");
        super::requests::seen(store.as_ref(), &super::requests::name("first"), &who).await;
        store
            .withdraw(&super::requests::name("first"), &who)
            .await
            .expect("it is gone");
        server.grow_old();
        let held = || {
            let keys = server.text(&["DBSIZE"]);
            (keys, server.text(&["HLEN", "{incumbent:}:memory"]))
        };
        let before = held();
        let first = take_and_release(number() / 100, election).await;
        let last = take_and_release(number(), election).await;
        assert!(last > first, "tokens rise although nothing is left");
        assert_eq!(held(), before);
    });
}

/// How many rows a table of the file has.
fn rows(file: &Path, table: &str) -> i64 {
    let connection = rusqlite::Connection::open(file).expect("it opens");
    let count = format!("SELECT count(*) FROM {table}");
    let counted = connection.query_row(&count, [], |row| row.get(0));
    counted.expect("a number")
}

#[test]
fn many_locks_leave_an_sqlite_file_as_it_was() {
    let directory = tempfile::tempdir().expect("a directory");
    let file = directory.path().join("locks.db");
    let address = format!("sqlite:{}", file.display());
    super::run(async {
        let taken = take_and_release(number() / 10, |name| {
            let builder = Election::builder(name).store(&address).timing(timing());
            builder.ephemeral(true).build().expect("an election")
        });
        assert!(taken.await > 0);
    });
    for table in ["election", "history", "candidate"] {
        assert_eq!(rows(&file, table), 0, "{table}");
    }
    assert!(
        rows(&file, "deleted") <= 100,
        "what wakes other processes is bounded"
    );
}

#[test]
fn many_locks_leave_a_memory_store_as_it_was() {
    let store = std::sync::Arc::new(MemoryStore::new("many"));
    super::run(async {
        let taken = take_and_release(number() / 10, |name| {
            let builder = Election::builder(name).store_object(store.clone());
            let builder = builder.timing(timing()).ephemeral(true);
            builder.build().expect("an election")
        });
        assert!(taken.await > 0);
    });
    // Nothing of an election is left in it, and its text shows all that is.
    let left = format!("{store:?}");
    assert!(!left.contains("order:"), "{left}");
}

//! Orders to a store that has lost its memory, or was restarted, and that no candidate has asked anything since.

use std::path::Path;
use std::sync::Arc;

use incumbent::Election;
use incumbent::protocol::Record;
use incumbent::store::{self, Inspection, SqliteStore, Store, StoreOptions};

use super::fixtures::OP_TIMEOUT;
use super::requests::{claim, granted, name, seen, who};
use super::support::redis::RedisServer;

/// What the store answers once it can be reached again.
async fn shown(store: &dyn Store) -> Inspection {
    loop {
        match store.inspect(&name("billing")).await {
            Ok(shown) => return shown,
            Err(_) => tokio::time::sleep(std::time::Duration::from_millis(5)).await,
        }
    }
}

async fn obeys_although_it_loses(store: Arc<dyn Store>, mut lose: impl FnMut()) {
    let (a, election) = (who("a"), name("billing"));
    let builder = Election::builder("billing").store_object(Arc::clone(&store));
    let operator = builder.build().expect("an election").operator();
    let absent = seen(store.as_ref(), &election, &a).await;
    granted(store.as_ref(), &election, &a, &claim(&a, 7, absent)).await;
    lose();
    assert!(!shown(store.as_ref()).await.record.is_free());
    operator.depose_now().await.expect("it is deposed");
    lose();
    assert!(shown(store.as_ref()).await.record.is_free());
    operator.forget().await.expect("it is forgotten");
    assert_eq!(shown(store.as_ref()).await.record, Record::ABSENT);
    assert_eq!(store.elections().await.expect("it reads"), []);
}

#[test]
fn a_file_obeys_orders_after_its_wake_file_was_lost() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("elections.db");
    let store = Arc::new(SqliteStore::open(Path::new(&path), OP_TIMEOUT));
    super::run(obeys_although_it_loses(store, || {
        std::fs::remove_file(folder.path().join("elections.db-wake")).expect("it is there");
    }));
}

#[test]
fn a_redis_obeys_orders_after_it_has_lost_its_memory() {
    let server = RedisServer::start();
    let store = store::open(&server.address(), &StoreOptions::default()).expect("a store");
    super::run(obeys_although_it_loses(store, || {
        server.command(&["DEL", "{incumbent:}:memory"]);
    }));
}

#[test]
fn a_redis_obeys_orders_after_a_restart() {
    let mut server = RedisServer::settings().durable().start();
    let store = store::open(&server.address(), &StoreOptions::default()).expect("a store");
    super::run(obeys_although_it_loses(store, || server.restart()));
}

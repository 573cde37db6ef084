//! What only the inside can arrange: a process that is not the one in which the client was made.

use std::cell::Cell;
use std::sync::Arc;

use super::{Client, Wait};
use crate::election::{Builder, CampaignError};
use crate::protocol::ElectionName;
use crate::store::{MemoryStore, Store};

thread_local! {
    static FORKS: Cell<u32> = const { Cell::new(0) };
}

/// The process of a thread: a fork keeps all of its memory, and changes the process id.
pub(super) fn this_process() -> u32 {
    std::process::id() + FORKS.get()
}

#[tokio::test]
async fn a_forked_process_does_not_share_the_locks_of_its_parent() {
    let store = Arc::new(MemoryStore::new("forked"));
    let builder = Builder::<()>::new(String::new()).store_object(store.clone());
    let client = Arc::new(Client::new(builder.setup(true).unwrap()));
    // The first is won by the election thread, and the second by this one.
    for name in ["order:42", "order:43"] {
        let name: ElectionName = name.parse().unwrap();
        let held = client.acquire(&name, Wait::Forever).await.unwrap();
        assert!(!held.is_forked());
        FORKS.set(1);
        assert!(held.is_forked());
        let refused = client.acquire(&name, Wait::Never).await.err().unwrap();
        assert!(matches!(refused, CampaignError::System { .. }), "{refused}");
        drop(held);
        FORKS.set(0);
        client
            .acquire(&"another".parse().unwrap(), Wait::Forever)
            .await
            .unwrap()
            .release()
            .await;
        let record = store.inspect(&name).await.unwrap().record;
        assert!(record.holder().is_some(), "{record:?}");
    }
}

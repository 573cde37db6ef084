//! Wake-ups: a standby that only begins to listen hears of what is free already.

use super::*;
use crate::protocol::LossReason;

/// The thread of a store begins to listen after its first operation. A release may come in between.
#[tokio::test]
async fn a_release_before_the_thread_listens_is_not_missed() {
    let Scratch { path, .. } = &scratch();
    let leader = SqliteStore::open(path, TIMEOUT);
    elect(&leader).await;
    let release = Request::Release {
        holder: who("a").id().clone(),
        term: FencingToken::new(1).expect("a valid term"),
        reason: LossReason::Resigned,
        delete: false,
    };
    let released = leader.execute(&billing(), &who("a"), &release).await;
    let standby = SqliteStore::open(path, TIMEOUT);
    let mut wake_ups = standby.wake_ups(&billing(), who("b").id());
    observe(&standby).await.expect("it opens");
    let told = tokio::time::timeout(6 * TIMEOUT, wake_ups.next()).await;
    let told = told.expect("a wake-up").expect("the store is open");
    assert_eq!(told.record, released.expect("a release").record);
}

//! Wake-ups: a standby that only begins to listen hears of what is free already.

use super::*;
use crate::protocol::LossReason;
use crate::store::beside;

fn release() -> Request {
    Request::Release {
        holder: who("a").id().clone(),
        term: FencingToken::new(1).expect("a valid term"),
        reason: LossReason::Resigned,
        delete: false,
    }
}

/// The thread of a store begins to listen after its first operation. A release may come in between.
#[tokio::test]
async fn a_release_before_the_thread_listens_is_not_missed() {
    let Scratch { path, .. } = &scratch();
    let leader = SqliteStore::open(path, TIMEOUT);
    elect(&leader).await;
    let released = leader.execute(&billing(), &who("a"), &release()).await;
    let standby = SqliteStore::open(path, TIMEOUT);
    let mut wake_ups = standby.wake_ups(&billing(), who("b").id());
    observe(&standby).await.expect("it opens");
    let told = tokio::time::timeout(6 * TIMEOUT, wake_ups.next()).await;
    let told = told.expect("a wake-up").expect("the store is open");
    assert_eq!(told.record, released.expect("a release").record);
}

/// A release touches the file beside the database itself.
#[tokio::test]
async fn a_standby_that_uses_a_link_is_woken_by_a_leader_that_does_not() {
    let Scratch { directory, path } = &scratch();
    let leader = SqliteStore::open(path, TIMEOUT);
    elect(&leader).await;
    let link = directory.path().join("link.db");
    std::os::unix::fs::symlink(path, &link).expect("a link");
    let standby = SqliteStore::open(&link, TIMEOUT);
    observe(&standby).await.expect("it opens");
    let mut wake_ups = standby.wake_ups(&billing(), who("b").id());
    // A job that comes after it began to listen.
    let read = standby.ask(|database| database.elections()).await;
    read.expect("it reads");
    let released = leader.execute(&billing(), &who("a"), &release()).await;
    let told = tokio::time::timeout(6 * TIMEOUT, wake_ups.next()).await;
    let told = told.expect("a wake-up").expect("the store is open");
    assert_eq!(told.record, released.expect("a release").record);
    assert!(!beside(&link, "-wake").exists());
}

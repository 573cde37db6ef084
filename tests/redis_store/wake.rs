//! Wake-ups: a standby hears of a release at once, whatever happened to the connection before.

use std::time::Duration;

use incumbent::protocol::{Occupancy, Record, WallMillis};
use incumbent::store::WakeUps;

use crate::election::Election;
use crate::faults::{subscribed, until};
use crate::support::redis::RedisServer;

/// The next release, which must come.
async fn heard(wake_ups: &mut WakeUps) -> (Record, WallMillis) {
    tokio::time::timeout(Duration::from_secs(20), wake_ups.next())
        .await
        .expect("no wake-up")
        .expect("the wake-ups ended")
}

#[tokio::test]
async fn a_release_wakes_with_all_that_a_claim_needs() {
    let server = RedisServer::start();
    let a = Election::new(&server.address(), "a");
    let b = a.rival("b");
    let mut first = b.store.wake_ups(&b.name);
    let mut second = b.store.wake_ups(&b.name);
    let mut other = b.store.wake_ups(&"other".parse().unwrap());
    subscribed(&server, 2).await;

    a.win(7).await;
    a.beat(7).await.unwrap();
    let released = a.release(7).await.unwrap();
    let (record, clock) = heard(&mut first).await;
    assert_eq!(record, released.record);
    assert_eq!(record.occupancy, Occupancy::Vacant);
    assert_eq!(clock, released.clock);
    assert_eq!(heard(&mut second).await.0, released.record);
    // Claimed as it was heard, without another look.
    b.claim(9, record.mark()).await.unwrap();
    assert!(b.inspect().await.unwrap().holder.is_some());

    assert!(other.0.try_recv().is_err(), "another election is not woken");
}

/// The next release under this term, which must come. An older one may be told again before it.
async fn heard_of(wake_ups: &mut WakeUps, term: u64) {
    while heard(wake_ups).await.0.term.get() != term {}
}

#[tokio::test]
async fn a_release_just_before_the_subscription_stands_is_not_missed() {
    let server = RedisServer::start();
    let a = Election::new(&server.address(), "a");
    let b = a.rival("b");
    for term in 1..4 {
        a.win(term).await;
        b.observe().await.unwrap();
        // It takes some round trips until the server knows who listens.
        let mut wake_ups = b.store.wake_ups(&b.name);
        a.release(term).await.unwrap();
        heard_of(&mut wake_ups, term).await;
        server.command(&["CLIENT", "KILL", "TYPE", "pubsub"]);
    }
}

#[tokio::test]
async fn a_restart_of_the_server_does_not_end_the_wake_ups() {
    let mut server = RedisServer::start();
    let a = Election::new(&server.address(), "a");
    let mut wake_ups = a.store.wake_ups(&a.name);
    subscribed(&server, 1).await;
    for term in 1..4 {
        server.restart();
        subscribed(&server, 1).await;
        until("it is there again", async || a.observe().await.is_ok()).await;
        a.win(term).await;
        a.release(term).await.unwrap();
        heard_of(&mut wake_ups, term).await;
    }
    server.command(&["CLIENT", "KILL", "TYPE", "pubsub"]);
    subscribed(&server, 1).await;
    a.win(9).await;
    a.release(9).await.unwrap();
    heard_of(&mut wake_ups, 9).await;
}

#[tokio::test]
async fn a_server_that_comes_up_late_is_subscribed_to() {
    let mut server = RedisServer::start();
    server.kill();
    let a = Election::new(&server.address(), "a");
    let mut wake_ups = a.store.wake_ups(&a.name);
    tokio::time::sleep(Duration::from_millis(50)).await;
    server.start_again();
    subscribed(&server, 1).await;
    until("it is there", async || a.observe().await.is_ok()).await;
    a.win(1).await;
    a.release(1).await.unwrap();
    heard(&mut wake_ups).await;
}

#[tokio::test]
async fn a_message_that_is_no_release_wakes_nobody() {
    let server = RedisServer::start();
    let a = Election::new(&server.address(), "a");
    let mut wake_ups = a.store.wake_ups(&a.name);
    subscribed(&server, 1).await;
    let max = (1_u64 << 53).to_string();
    for message in [
        "",
        "released",
        "7 7 7 0",
        "7 7 7 0 1 1",
        "7 8 7 0 1",
        "7 7 -7 0 1",
        "7 7 07 0 1",
        "7 7 7 2 1",
        "7  7 7 0 1",
        "7 7 7 0 281474976710657",
        "7 7 4611686018427387905 0 1",
        &format!("{max} 7 7 0 1"),
        &"9".repeat(1_000_000),
    ] {
        server.command(&["PUBLISH", "{incumbent:billing}:events", message]);
    }
    server.command(&["PUBLISH", "{incumbent:billing}:events", "9 8 7 1 6"]);
    let (record, clock) = heard(&mut wake_ups).await;
    assert_eq!(
        (record.floor.get(), record.term.get(), record.beat.get()),
        (9, 8, 7)
    );
    assert!(record.unproven);
    assert_eq!(clock.get(), 6);
}

#[tokio::test]
async fn a_standby_that_does_not_listen_holds_up_nobody_and_memory_is_bounded() {
    let server = RedisServer::start();
    let a = Election::new(&server.address(), "a");
    let mut deaf = a.store.wake_ups(&a.name);
    let mut keen = a.store.wake_ups(&a.name);
    subscribed(&server, 1).await;
    let releases = 3 * u64::try_from(WakeUps::CAPACITY).unwrap();
    for term in 1..=releases {
        a.win(term).await;
        a.release(term).await.unwrap();
        assert_eq!(heard(&mut keen).await.0.term.get(), term);
    }
    let mut waiting = 0;
    while deaf.0.try_recv().is_ok() {
        waiting += 1;
    }
    assert_eq!(waiting, WakeUps::CAPACITY);
}

/// A store outlives the runtime that used it first: the connections are made anew on the next.
#[test]
fn a_store_goes_on_after_its_runtime_has_ended() {
    let server = RedisServer::start();
    let a = Election::new(&server.address(), "a");
    // Asked for outside of any runtime: the first request starts the subscription.
    let mut wake_ups = a.store.wake_ups(&a.name);
    for term in 1..4 {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .unwrap();
        runtime.block_on(async {
            a.win(term).await;
            subscribed(&server, 1).await;
            a.release(term).await.unwrap();
            heard_of(&mut wake_ups, term).await;
        });
    }
}

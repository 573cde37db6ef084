//! The memory of a server as it stands in its key, and what is wrong with it.

use std::time::Duration;

use incumbent::protocol::{Order, Request, Verdict};
use incumbent::{Election as Campaigned, EventKind};

use crate::election::{Election, options};
use crate::faults::until;
use crate::support::redis::RedisServer;

const MEMORY: &str = "{incumbent:}:memory";
const LISTED: &str = "@incumbent:billing";

fn kept(server: &RedisServer) -> String {
    server.text(&["HGET", MEMORY, "memory"])
}

#[tokio::test]
async fn keys_of_another_format_are_refused_with_what_to_do_and_left_alone() {
    let server = RedisServer::start();
    let a = Election::new(&server.address(), "a");
    let seen = a.win(7).await.mark();
    let other = kept(&server).replacen("1 ", "2 ", 1);
    server.command(&["HSET", MEMORY, "memory", &other]);
    let before = server.info("rdb_changes_since_last_save");
    let order = async |order| a.execute(&Request::Order(order)).await.unwrap_err();
    let errors = [
        a.observe().await.unwrap_err(),
        a.claim(9, seen).await.unwrap_err(),
        a.beat(7).await.unwrap_err(),
        a.release(7).await.unwrap_err(),
        order(Order::Resume).await,
        order(Order::Depose { expected: seen }).await,
        a.inspect().await.unwrap_err(),
    ];
    assert_eq!(server.info("rdb_changes_since_last_save"), before);
    let examined = a.store.examine().await.unwrap();
    let tried = examined.trial.unwrap().unwrap_err();
    for error in errors.iter().chain([&tried]) {
        assert!(error.is_misconfigured(), "{error}");
        for part in [a.store.label(), "format \"2\"", "format 1", "--key-prefix"] {
            assert!(error.to_string().contains(part), "{error}");
        }
    }
    // Under another prefix all is well.
    let beside = options().key_prefix("other:");
    let b = Election::with(&server.address(), &beside, "billing", "b");
    b.win(1).await;
}

/// It is begun again, once.
#[tokio::test]
async fn a_memory_that_cannot_be_read_is_as_good_as_none() {
    let server = RedisServer::start();
    let a = Election::new(&server.address(), "a");
    let mut before = a.win(7).await.memory.id;
    let long = format!("1 1.1 0 0 0 {}", "f".repeat(5_000_000));
    for value in [
        "",
        "x",
        "1",
        "1 1 0 0 0 f",
        "1 1.1 0 0 f",
        "1 1.1 -1 0 0 f",
        "1  1.1 0 0 0 f",
        &long,
    ] {
        server.command(&["HSET", MEMORY, "memory", value]);
        assert_eq!(a.inspect().await.unwrap().memory, None, "{value:.30?}");
        let seen = a.observe().await.unwrap();
        assert_ne!(seen.memory.id, before, "{value:.30?}");
        assert!(seen.memory.age.is_zero());
        before = seen.memory.id;
        // What is known of it now holds, and its leader goes on.
        assert_eq!(a.inspect().await.unwrap().memory, Some(seen.memory));
        let beaten = a.beat(7).await.unwrap();
        assert_eq!(
            (beaten.verdict, beaten.memory.id),
            (Verdict::Granted, before)
        );
    }
    // A floor in the list that cannot be read is written again by the next heartbeat.
    for value in ["", "x", "-1", "07", "9007199254740992", &long] {
        server.command(&["HSET", MEMORY, LISTED, value]);
        let beaten = a.beat(7).await.unwrap();
        assert_eq!(
            (beaten.verdict, beaten.memory.id),
            (Verdict::Granted, before)
        );
        assert_eq!(server.text(&["HGET", MEMORY, LISTED]), "7");
    }
}

/// Numbers that no store has written.
#[tokio::test]
async fn a_memory_out_of_all_bounds_is_told_with_its_place() {
    let server = RedisServer::start();
    let a = Election::new(&server.address(), "a");
    a.win(7).await;
    let sound = kept(&server);
    let (_, server_id) = sound.rsplit_once(' ').unwrap();
    for value in [
        "01.1 0 0 0",
        "281474976710657.1 0 0 0",
        "1.18446744073709551616 0 0 0",
        "1.1 07 0 0",
        "1.1 0 9007199254740992 0",
        "1.1 0 0 18446744073709551616",
    ] {
        let garbage = format!("1 {value} {server_id}");
        server.command(&["HSET", MEMORY, "memory", &garbage]);
        for error in [
            a.observe().await.unwrap_err(),
            a.inspect().await.unwrap_err(),
        ] {
            assert!(error.is_garbled(), "{error}");
            for part in [MEMORY, value] {
                assert!(error.to_string().contains(part), "{error}");
            }
        }
    }
    server.command(&["DEL", MEMORY]);
    assert_eq!(a.beat(7).await.unwrap().verdict, Verdict::Granted);
}

/// The leader of any election there vouches for the server, and a new election needs no wait.
#[tokio::test]
async fn a_new_election_on_a_server_that_others_vouched_for_is_led_without_a_wait() {
    let server = RedisServer::start();
    // Each campaign connects by itself, as another process would.
    let campaign = async |name: &str, url: String| {
        let election = Campaigned::builder(name)
            .store(url)
            .interval(Duration::from_millis(100))
            .stop_grace(Duration::from_millis(100))
            .build()
            .unwrap();
        let mut events = election.events();
        let leadership = election.campaign().await.unwrap();
        let mut waited = false;
        while let Ok(event) = events.try_recv() {
            waited |= matches!(event.kind, EventKind::Probation { .. });
        }
        (leadership, waited, election.timing().probation())
    };
    let (first, waited, probation) = campaign("first", server.url()).await;
    assert!(waited, "a new server may have forgotten someone");
    until("it has been vouched for", async || {
        let age = kept(&server).split(' ').nth(2).unwrap().parse().unwrap();
        Duration::from_millis(age) >= probation
    })
    .await;
    let (second, waited, _) = campaign("second", server.unix_url()).await;
    assert!(!waited);
    second.resign().await;
    first.resign().await;
}

/// A claim is refused when the memory has changed since its candidate looked: an examination must not do that to
/// those who campaign meanwhile.
#[tokio::test]
async fn an_examination_leaves_the_memory_as_it_was_and_nothing_behind() {
    let server = RedisServer::start();
    let a = Election::new(&server.address(), "a");
    let seen = a.win(7).await.mark();
    let before = [kept(&server), server.text(&["DBSIZE"])];
    let examined = a.store.examine().await.unwrap();
    examined.trial.unwrap().unwrap();
    assert_eq!([kept(&server), server.text(&["DBSIZE"])], before);
    assert_eq!(server.text(&["HLEN", MEMORY]), "2");
    assert_eq!(a.observe().await.unwrap().mark(), seen);
}

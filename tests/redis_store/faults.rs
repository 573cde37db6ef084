//! Faults of a server, the store's error for each, and its recovery.
#![allow(
    clippy::disallowed_methods,
    reason = "a test measures how long it waited by the machine's clock"
)]

use std::collections::BTreeSet;
use std::io::{Read, Write};
use std::net::TcpListener;
use std::time::{Duration, Instant};

use incumbent::protocol::{Failure, Occupancy, Record, Verdict};
use incumbent::store::{self, StoreAddress, StoreError, StoreOptions, WakeUp, WakeUps};

use crate::election::{Election, HASTY, hasty, nothing, options};
use crate::support::redis::RedisServer;

/// How long to wait for an automatic recovery.
const PATIENCE: Duration = Duration::from_secs(20);

/// The error of an operation that has [`HASTY`] to end. Both timers run on the same runtime, which polls the
/// operation first, so a busy machine does not make it late.
async fn failure(a: &Election) -> StoreError {
    let outcome = tokio::time::timeout(HASTY + HASTY / 4, a.observe()).await;
    outcome.expect("it ends in time").unwrap_err()
}

#[tokio::test]
async fn a_server_that_lost_its_scripts_gets_them_again() {
    let server = RedisServer::start();
    let a = Election::new(&server.address(), "a");
    a.win(7).await;
    server.command(&["SCRIPT", "FLUSH"]);
    assert_eq!(a.beat(7).await.unwrap().verdict, Verdict::Granted);
    assert_eq!(
        server.text(&["GET", "incumbent:billing"]),
        "8",
        "it ran once"
    );
    server.command(&["SCRIPT", "FLUSH"]);
    assert_eq!(a.release(7).await.unwrap().verdict, Verdict::Granted);
}

#[tokio::test]
async fn wrong_credentials_are_denied_and_never_shown() {
    let server = RedisServer::settings().password("hunter2").start();
    let bare = format!("127.0.0.1:{}", server.port());
    for wrong in [
        format!("redis://{bare}"),
        format!("redis://:hunter3@{bare}"),
        format!("redis://somebody:hunter3@{bare}"),
    ] {
        let address: StoreAddress = wrong.parse().unwrap();
        let error = Election::new(&address, "a").observe().await.unwrap_err();
        assert!(error.is_denied(), "{wrong}: {error}");
        assert_eq!(error.failure(), Failure::NotExecuted);
        for shown in [
            error.to_string(),
            format!("{error:?}"),
            address.to_string(),
            format!("{address:?}"),
        ] {
            assert!(!shown.contains("hunter"), "{shown}");
        }
    }
    Election::new(&server.address(), "a")
        .observe()
        .await
        .unwrap();
    let address = format!("redis://{bare}").parse().unwrap();
    let options = options().password("hunter2");
    assert!(!format!("{options:?}").contains("hunter"));
    Election::with(&address, &options, "billing", "a")
        .observe()
        .await
        .unwrap();
}

#[tokio::test]
async fn a_user_without_a_permission_is_denied_and_writes_nothing() {
    let server = RedisServer::start();
    let bare = format!("127.0.0.1:{}", server.port());
    server.command(&[
        "ACL",
        "SETUSER",
        "reader",
        "on",
        ">pw",
        "~*",
        "&*",
        "+@read",
        "+@connection",
        "+evalsha",
        "+eval",
        "+time",
    ]);
    server.command(&[
        "ACL",
        "SETUSER",
        "elsewhere",
        "on",
        ">pw",
        "~other:*",
        "&*",
        "+@all",
    ]);
    // May write the counter, and nothing that goes with it.
    server.command(&[
        "ACL", "SETUSER", "counter", "on", ">pw", "~*", "&*", "+@all", "-hset", "-zadd",
    ]);
    for user in ["reader", "elsewhere", "counter"] {
        let address = format!("redis://{user}:pw@{bare}").parse().unwrap();
        let a = Election::new(&address, "a");
        if user != "counter" {
            let error = a.observe().await.unwrap_err();
            assert!(error.is_denied(), "{user}: {error}");
        }
        let error = a.claim(7, nothing()).await.unwrap_err();
        assert!(error.is_denied(), "{user}: {error}");
        assert_eq!(server.text(&["DBSIZE"]), "0", "{user}");
    }
    // What the documentation says is enough.
    let documented = include_str!("../../docs/redis.md")
        .lines()
        .find(|line| line.starts_with("ACL SETUSER"))
        .unwrap()
        .replace(">PASSWORD", ">pw");
    server.command(&documented.split(' ').collect::<Vec<_>>());
    let address = format!("redis://elector:pw@{bare}").parse().unwrap();
    let a = Election::new(&address, "a");
    let mut wake_ups = a.store.wake_ups(&a.name, a.who.id());
    subscribed(&server, 2).await;
    a.win(7).await;
    a.beat(7).await.unwrap();
    a.inspect().await.unwrap();
    a.release(7).await.unwrap();
    assert_eq!(a.store.history(&a.name, 10).await.unwrap().len(), 2);
    assert_eq!(
        a.store.elections().await.unwrap(),
        std::slice::from_ref(&a.name)
    );
    woken(&mut wake_ups).await;
    assert_eq!(server.text(&["ACL", "LOG", "RESET"]), "OK");
}

#[tokio::test]
async fn a_replica_takes_nothing_and_is_not_believed() {
    let master = RedisServer::start();
    let server = RedisServer::start();
    let a = Election::new(&server.address(), "a");
    let seen = a.win(7).await.mark();
    server.command(&["REPLICAOF", "127.0.0.1", &master.port().to_string()]);
    // A replica that has lost what it held shows an absent record.
    let errors = [
        a.observe().await.unwrap_err(),
        a.claim(9, seen).await.unwrap_err(),
        a.claim(9, nothing()).await.unwrap_err(),
    ];
    for error in errors {
        assert!(matches!(error, StoreError::Unwritable { .. }), "{error}");
        assert_eq!(error.failure(), Failure::NotExecuted);
    }
    server.command(&["REPLICAOF", "NO", "ONE"]);
    a.observe().await.unwrap();
}

#[tokio::test]
async fn a_full_server_takes_no_claim_and_lets_a_holder_go() {
    let server = RedisServer::start();
    let a = Election::new(&server.address(), "a");
    let b = a.rival("b");
    a.win(7).await;
    server.command(&["CONFIG", "SET", "maxmemory", "1"]);
    let beat = a.beat(7).await.unwrap_err();
    assert!(matches!(beat, StoreError::Unwritable { .. }), "{beat}");
    let seen = b.observe().await.unwrap();
    assert_eq!(
        seen.record.holder(),
        Some(a.who.id()),
        "it can still be read"
    );
    let released = a.release(7).await.unwrap();
    assert_eq!(released.verdict, Verdict::Granted);
    let error = b.claim(9, released.mark()).await.unwrap_err();
    assert!(matches!(error, StoreError::Unwritable { .. }), "{error}");
    assert_eq!(server.text(&["EXISTS", "incumbent:billing"]), "0");
    server.command(&["CONFIG", "SET", "maxmemory", "0"]);
    b.win(9).await;
}

#[tokio::test]
async fn a_server_that_hangs_costs_no_more_than_the_timeout_and_comes_back() {
    for url in [RedisServer::url, RedisServer::unix_url] {
        let server = RedisServer::start();
        let address = url(&server).parse().unwrap();
        let a = Election::with(&address, &hasty(), "billing", "a");
        a.win(7).await;
        server.freeze();
        let since = Instant::now();
        let error = failure(&a).await;
        assert!(matches!(error, StoreError::Unknown { .. }), "{error}");
        assert!(since.elapsed() >= HASTY, "the server has all of its time");
        // The stuck connection is gone, and a new one is not welcomed.
        let error = failure(&a).await;
        assert!(matches!(error, StoreError::Unreachable { .. }), "{error}");
        server.thaw();
        until("it answers again", async || a.beat(7).await.is_ok()).await;
    }
}

#[tokio::test]
async fn a_restarted_server_is_found_again() {
    let mut server = RedisServer::settings().durable().start();
    let patient = StoreOptions::default().op_timeout(PATIENCE * 2);
    let a = Election::with(&server.address(), &patient, "billing", "a");
    let held = a.win(7).await;
    server.kill();
    // A refused connection is reported long before op_timeout.
    until("the end is noticed", async || {
        matches!(a.observe().await, Err(StoreError::Unreachable { .. }))
    })
    .await;
    let refused = tokio::time::timeout(PATIENCE, a.observe()).await;
    let error = refused.expect("it is known at once").unwrap_err();
    assert_eq!(error.failure(), Failure::NotExecuted);

    server.start_again();
    until("it is there again", async || a.observe().await.is_ok()).await;
    let kept = a.beat(7).await.unwrap();
    assert_eq!(kept.verdict, Verdict::Granted, "it kept its data");

    // It comes back with what it saved before the heartbeats that followed.
    server.command(&["BGREWRITEAOF"]);
    until("it is saved", async || {
        server.info("aof_rewrite_in_progress") == "0" && server.info("aof_rewrite_scheduled") == "0"
    })
    .await;
    let saved = server.snapshot();
    a.beat(7).await.unwrap();
    server.restart_from(&saved);
    until("it is there again", async || a.observe().await.is_ok()).await;
    let older = a.observe().await.unwrap();
    assert_eq!(older.record, kept.record);

    server.restart_empty();
    until("it is there again", async || a.observe().await.is_ok()).await;
    let reply = a.beat(7).await.unwrap();
    assert_eq!(reply.verdict, Verdict::Refused, "it forgot");
    assert_eq!(reply.record, Record::ABSENT);
    let won = a.win(9).await;
    // Whatever it came back with, no one knows what it lost.
    let memories = [held, kept, older, won].map(|reply| reply.memory);
    assert!(memories.iter().all(|memory| memory.age.is_zero()));
    let ids: BTreeSet<_> = memories.iter().map(|memory| memory.id).collect();
    assert_eq!(ids.len(), memories.len(), "{memories:?}");
}

#[tokio::test]
async fn a_connection_that_ends_while_nobody_uses_it_costs_no_request() {
    let server = RedisServer::start();
    let a = Election::new(&server.address(), "a");
    a.win(7).await;
    server.command(&["CLIENT", "KILL", "TYPE", "normal", "SKIPME", "yes"]);
    // The end of the connection has arrived before this returns.
    until("the connection is closed", async || {
        server.info("connected_clients") == "1"
    })
    .await;
    until("its end is noticed", async || {
        !is_half_closed(server.port())
    })
    .await;
    assert_eq!(a.beat(7).await.unwrap().verdict, Verdict::Granted);
}

/// Whether the server at this port of `127.0.0.1` has closed a connection that this process still has open
/// (`proc_pid_net(5)`).
fn is_half_closed(port: u16) -> bool {
    let peer = format!("0100007F:{port:04X}");
    let connections = std::fs::read_to_string("/proc/self/net/tcp").unwrap();
    let mut states = connections.lines().filter_map(|line| {
        let mut fields = line.split_whitespace().skip(2);
        (fields.next()? == peer).then(|| fields.next())?
    });
    // CLOSE_WAIT.
    states.any(|state| state == "08")
}

#[tokio::test]
async fn connections_that_are_killed_again_and_again_do_not_stop_a_leader() {
    let server = RedisServer::start();
    let a = Election::new(&server.address(), "a");
    a.win(7).await;
    for _ in 0..50 {
        server.command(&["CLIENT", "KILL", "TYPE", "normal", "SKIPME", "yes"]);
        match a.beat(7).await {
            Ok(reply) => assert_eq!(reply.verdict, Verdict::Granted),
            Err(error) => {
                assert!(matches!(error, StoreError::Unknown { .. }), "{error}");
                assert_eq!(a.beat(7).await.unwrap().verdict, Verdict::Granted);
            }
        }
    }
    // What a killed connection carried did not arrive, and what was granted ran once.
    assert_eq!(server.text(&["GET", "incumbent:billing"]), "57");
}

#[tokio::test]
async fn a_peer_that_is_no_redis_is_an_error_in_time() {
    let answers: [&[u8]; 4] = [
        b"",
        b"HTTP/1.1 400 Bad Request\r\n\r\n",
        b"$-5\r\n",
        b"*3\r\n",
    ];
    for answer in answers {
        let listener = TcpListener::bind(("127.0.0.1", 0)).unwrap();
        let port = listener.local_addr().unwrap().port();
        let peer = std::thread::spawn(move || {
            // Two attempts, then it is gone.
            for _ in 0..2 {
                let (mut stream, _) = listener.accept().unwrap();
                let mut request = [0; 1000];
                let _read = stream.read(&mut request).unwrap();
                stream.write_all(answer).unwrap();
            }
        });
        let address = format!("redis://127.0.0.1:{port}").parse().unwrap();
        let a = Election::with(&address, &hasty(), "billing", "a");
        until("it has been asked twice", async || {
            let error = failure(&a).await;
            assert!(
                matches!(
                    error,
                    StoreError::Unreachable { .. } | StoreError::Denied { .. }
                ),
                "{error}"
            );
            peer.is_finished()
        })
        .await;
        peer.join().unwrap();
    }
}

/// The subscription must not hammer a server that accepts every connection and drops it.
#[tokio::test]
async fn a_server_that_drops_every_connection_is_asked_with_ever_longer_pauses() {
    let listener = tokio::net::TcpListener::bind(("127.0.0.1", 0))
        .await
        .unwrap();
    let port = listener.local_addr().unwrap().port();
    let address = format!("redis://127.0.0.1:{port}").parse().unwrap();
    let a = Election::new(&address, "a");
    let _wake_ups = a.store.wake_ups(&a.name, a.who.id());
    let mut attempts = Vec::new();
    while attempts.len() < 9 {
        let accepted = tokio::time::timeout(PATIENCE, listener.accept()).await;
        drop(accepted.expect("it is asked again").unwrap());
        attempts.push(Instant::now());
    }
    let pauses: Vec<Duration> = attempts.windows(2).map(|two| two[1] - two[0]).collect();
    // A pause is twice the one before it, less up to half of it: the second next is always longer. The first
    // pauses are too short to measure on a busy machine.
    let longer = pauses[3..].windows(3).all(|three| three[0] < three[2]);
    assert!(longer, "{pauses:?}");
}

#[tokio::test]
async fn a_database_is_one_of_its_own_and_one_that_is_missing_is_said() {
    let server = RedisServer::settings().set("databases", &["4"]).start();
    let address = format!("{}/3", server.url()).parse().unwrap();
    let a = Election::new(&address, "a");
    a.win(7).await;
    let other = Election::new(&server.address(), "a");
    assert_eq!(
        other.observe().await.unwrap().record.occupancy,
        Occupancy::Absent
    );

    let unix = format!("{}?db=3", server.unix_url()).parse().unwrap();
    let same = Election::new(&unix, "a");
    assert_eq!(same.beat(7).await.unwrap().verdict, Verdict::Granted);

    let address = format!("{}/4", server.url()).parse().unwrap();
    let error = Election::new(&address, "a").observe().await.unwrap_err();
    assert!(error.is_misconfigured(), "{error}");
    assert!(error.to_string().contains("out of range"), "{error}");
}

#[tokio::test]
async fn a_process_has_one_connection_to_a_server_and_one_for_its_wake_ups() {
    let server = RedisServer::start();
    let quick = options()
        .op_timeout(Duration::from_secs(9))
        .key_prefix("other:");
    let mut open = Vec::new();
    for n in 0..200 {
        let options = if n % 2 == 0 { options() } else { quick.clone() };
        let a = Election::with(&server.address(), &options, &format!("e{n}"), "a");
        open.push((a.store.wake_ups(&a.name, a.who.id()), a));
    }
    let all = open.iter().map(|(_, a)| a.observe());
    for reply in futures_util::future::join_all(all).await {
        reply.unwrap();
    }
    subscribed(&server, 400).await;
    let list = server.text(&["CLIENT", "LIST", "TYPE", "normal"]);
    let normal = list
        .lines()
        .filter(|line| !line.contains("cmd=client"))
        .count();
    let list = server.text(&["CLIENT", "LIST", "TYPE", "pubsub"]);
    assert_eq!((normal, list.lines().count()), (1, 1));
    assert!(std::sync::Arc::ptr_eq(
        &store::open(&server.address(), &options()).unwrap(),
        &open[0].1.store
    ));

    drop(open);
    until("both are closed", async || {
        server.info("connected_clients") == "1"
    })
    .await;
}

#[tokio::test]
async fn many_requests_to_a_server_that_is_down_share_the_attempts_to_connect() {
    let listener = TcpListener::bind(("127.0.0.1", 0)).unwrap();
    listener.set_nonblocking(true).unwrap();
    let port = listener.local_addr().unwrap().port();
    let address = format!("redis://127.0.0.1:{port}").parse().unwrap();
    let elections: Vec<_> = (0..500)
        .map(|n| Election::with(&address, &hasty(), &format!("e{n}"), "a"))
        .collect();
    // No one accepts: the attempt hangs until its time is over.
    let all = elections.iter().map(Election::observe);
    for reply in futures_util::future::join_all(all).await {
        assert!(matches!(reply, Err(StoreError::Unreachable { .. })));
    }
    let mut attempts = 0;
    while listener.accept().is_ok() {
        attempts += 1;
    }
    assert_eq!(attempts, 1);
}

/// Waits until the server knows of as many subscriptions.
pub(crate) async fn subscribed(server: &RedisServer, channels: usize) {
    until("all are subscribed", async || {
        server.info("pubsub_channels") == channels.to_string()
    })
    .await;
}

/// Waits for the next message to a standby.
pub(crate) async fn woken(wake_ups: &mut WakeUps) -> WakeUp {
    let told = tokio::time::timeout(PATIENCE, wake_ups.next()).await;
    told.expect("a standby is woken")
        .expect("the store is open")
}

/// Waits for something that happens without a further request.
pub(crate) async fn until(what: &str, mut happened: impl AsyncFnMut() -> bool) {
    let since = Instant::now();
    while !happened().await {
        assert!(since.elapsed() < PATIENCE, "not yet: {what}");
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

//! Heartbeats that travel together: each means what it means by itself.

use futures_util::FutureExt;
use futures_util::future::join_all;
use incumbent::protocol::{FencingToken, Order, Request};
use incumbent::store::StoreError;
use tokio::runtime::Builder;

use crate::election::{Election, hasty, options};
use crate::faults::until;
use crate::support::redis::RedisServer;

const USUAL: [&str; 4] = ["usual-1", "usual-2", "usual-3", "usual-4"];

/// What may be unusual about a heartbeat.
const UNUSUAL: [&str; 13] = [
    "a stranger counted",
    "the counter is gone",
    "a rival's",
    "of another term",
    "paused",
    "asked to resign",
    "garbled",
    "of another type",
    "unlisted",
    "above its term",
    "of the floor, above its term",
    "deleted",
    "vacant",
];

/// The elections, all held by `a` under the term 7, and what then happened to some of them.
async fn prepare(server: &RedisServer) -> Vec<(Election, u64)> {
    let mut beats = Vec::new();
    for (number, what) in USUAL.iter().chain(&UNUSUAL).enumerate() {
        let name = format!("e{number:02}");
        let a = Election::with(&server.address(), &options(), &name, "a");
        a.win(7).await;
        let (key, record) = (
            format!("incumbent:{name}"),
            format!("{{incumbent:{name}}}:record"),
        );
        let operator = a.rival("operator");
        let order = async |order| drop(operator.execute(&Request::Order(order)).await.unwrap());
        let mut beat = (a, 7);
        match *what {
            "a stranger counted" => drop(server.command(&["INCR", &key])),
            "the counter is gone" => drop(server.command(&["DEL", &key])),
            "a rival's" => beat.0 = beat.0.rival("b"),
            "of another term" => beat.1 = 6,
            "paused" => {
                let by = operator.who.id().clone();
                let (lasts, reason) = (None, None);
                order(Order::Pause {
                    lasts,
                    by,
                    reason,
                    replaces: true,
                })
                .await;
            }
            "asked to resign" => {
                let (term, to) = (FencingToken::new(7).unwrap(), None);
                order(Order::Resign { term, to }).await;
            }
            "garbled" => drop(server.command(&["HSET", &record, "window_ns", "-1"])),
            "of another type" => {
                server.command(&["DEL", &record]);
                server.command(&["SET", &record, "text"]);
            }
            "unlisted" => {
                server.command(&["HDEL", "{incumbent:}:memory", &format!("@{key}")]);
            }
            "above its term" => drop(server.command(&["HSET", &record, "floor", "8"])),
            "of the floor, above its term" => {
                server.command(&["HSET", &record, "floor", "8"]);
                server.command(&["HSET", "{incumbent:}:memory", &format!("@{key}"), "8"]);
                beat.1 = 8;
            }
            "deleted" => {
                server.command(&["HDEL", "{incumbent:}:memory", &format!("@{key}")]);
                server.command(&["DEL", &key, &record]);
            }
            "vacant" => drop(beat.0.release(7).await.unwrap()),
            _ => {}
        }
        beats.push(beat);
    }
    beats
}

/// The outcome of a heartbeat, without what differs between the servers.
fn told(server: &RedisServer, outcome: Result<incumbent::protocol::Reply, StoreError>) -> String {
    match outcome {
        Ok(reply) => format!("{:?} {:?}", reply.verdict, reply.record),
        Err(error) => error
            .to_string()
            .replace(&server.port().to_string(), "PORT"),
    }
}

fn calls(server: &RedisServer) -> u64 {
    let stats = server.text(&["INFO", "commandstats"]);
    let line = stats
        .lines()
        .find(|line| line.starts_with("cmdstat_evalsha:"));
    let calls = line.unwrap().split(['=', ',']).nth(1);
    calls.unwrap().parse().unwrap()
}

#[tokio::test]
async fn a_heartbeat_means_the_same_alone_and_with_others() {
    let (apart, together) = (RedisServer::start(), RedisServer::start());
    let (one_by_one, at_once) = (prepare(&apart).await, prepare(&together).await);
    for round in 0..2 {
        let mut expected = Vec::new();
        for (election, term) in &one_by_one {
            expected.push(told(&apart, election.beat(*term).await));
        }
        let before = calls(&together);
        let outcomes = join_all(at_once.iter().map(|(election, term)| election.beat(*term))).await;
        let sent = calls(&together) - before;
        let found: Vec<_> = outcomes
            .into_iter()
            .map(|one| told(&together, one))
            .collect();
        assert_eq!(found, expected, "round {round}");
        // In the first round the one that was not listed is listed by itself.
        let alone = UNUSUAL.len() - round;
        assert_eq!(sent, 1 + u64::try_from(alone).unwrap(), "round {round}");
    }
    for (server, elections) in [(&apart, &one_by_one), (&together, &at_once)] {
        let of = |field| server.text(&["HGET", "{incumbent:e00}:record", field]);
        assert_eq!(of("beat"), "9");
        // People see by this field that the leader is alive.
        let beaten = of("changed");
        until("another millisecond has begun", async || {
            let beats = elections[..2]
                .iter()
                .map(|(election, term)| election.beat(*term));
            join_all(beats).await;
            of("changed") > beaten
        })
        .await;
    }
}

/// The first one is counted before its record refuses it; the others are then sent by themselves.
#[tokio::test]
async fn a_heartbeat_that_fails_among_others_is_not_sent_again() {
    let server = RedisServer::start();
    let names = ["one", "two", "three"];
    let elections = names.map(|name| Election::with(&server.address(), &options(), name, "a"));
    for a in &elections {
        a.win(7).await;
    }
    server.command(&["ACL", "SETUSER", "default", "-hset"]);
    for outcome in join_all(elections.each_ref().map(|a| a.beat(7))).await {
        let error = outcome.unwrap_err();
        assert!(
            error.is_denied() && error.to_string().contains("hset"),
            "{error}"
        );
    }
    for name in names {
        assert_eq!(server.text(&["GET", &format!("incumbent:{name}")]), "8");
    }
}

/// More than travel in one call.
#[tokio::test]
async fn each_of_many_heartbeats_is_carried_out_once() {
    let server = RedisServer::start();
    let mut elections = Vec::new();
    for number in 0..150 {
        let a = Election::with(&server.address(), &options(), &format!("e{number}"), "a");
        a.win(7).await;
        elections.push(a);
    }
    let before = calls(&server);
    for beat in 8..11 {
        for reply in join_all(elections.iter().map(|election| election.beat(7))).await {
            assert_eq!(reply.unwrap().record.beat.to_string(), beat.to_string());
        }
    }
    assert_eq!(calls(&server) - before, 9, "three calls for each round");
}

/// A candidate that ends while its heartbeat waits sends none, and one that ends later takes no reply away.
#[tokio::test]
async fn a_heartbeat_that_is_given_up_leaves_the_others() {
    let server = RedisServer::start();
    let names = ["a", "b", "c", "d"];
    let all = names.map(|name| Election::with(&server.address(), &options(), name, "a"));
    for election in &all {
        election.win(7).await;
    }
    let [mut early, mut late, mut third, mut fourth] =
        all.each_ref().map(|it| Box::pin(it.beat(7)));
    for beat in [&mut early, &mut late, &mut third, &mut fourth] {
        assert!(
            beat.now_or_never().is_none(),
            "it waits for those that are ready"
        );
    }
    drop(early);
    server.freeze();
    // The task that sends them is ready, and runs before this one does for the hundredth time.
    for _ in 0..100 {
        tokio::task::yield_now().await;
    }
    drop(late);
    server.thaw();
    for beat in [third, fourth] {
        assert_eq!(beat.await.unwrap().record.beat.to_string(), "8");
    }
    let kept = names.map(|name| server.text(&["GET", &format!("incumbent:{name}")]));
    assert_eq!(kept, ["7", "8", "8", "8"]);
}

/// No heartbeat waits for the task of another runtime, or for one that has ended.
#[test]
fn a_heartbeat_depends_on_no_other_runtime() {
    let server = RedisServer::start();
    let [idle, runtime] = [(); 2].map(|()| Builder::new_current_thread().enable_all().build());
    let (idle, runtime) = (idle.unwrap(), runtime.unwrap());
    let [a, b] = ["a", "b"].map(|name| Election::with(&server.address(), &options(), name, "a"));
    runtime.block_on(async {
        a.win(7).await;
        b.win(7).await;
    });
    let mut waiting = Box::pin(a.beat(7));
    idle.block_on(async { assert!((&mut waiting).now_or_never().is_none()) });
    let beaten = runtime.block_on(b.beat(7)).unwrap();
    assert_eq!(beaten.record.beat.to_string(), "8");
    assert_eq!(server.text(&["GET", "incumbent:a"]), "7");
    drop(idle);
    let beaten = runtime.block_on(waiting).unwrap();
    assert_eq!(beaten.record.beat.to_string(), "8");
}

/// What may have been carried out is unknown of each of them, and after that they go on.
#[tokio::test]
async fn a_server_that_does_not_answer_leaves_all_of_them_unknown() {
    let server = RedisServer::start();
    let [a, b] = ["a", "b"].map(|name| Election::with(&server.address(), &hasty(), name, "a"));
    for election in [&a, &b] {
        election.win(7).await;
    }
    server.freeze();
    let (first, second) = tokio::join!(a.beat(7), b.beat(7));
    for error in [first.unwrap_err(), second.unwrap_err()] {
        assert!(matches!(error, StoreError::Unknown { .. }), "{error:?}");
    }
    server.thaw();
    until("they beat again", async || {
        let (first, second) = tokio::join!(a.beat(7), b.beat(7));
        first.is_ok() && second.is_ok()
    })
    .await;
}

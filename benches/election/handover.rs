//! A clean handover: from the resign call to the work of a standby. No poll is in its path.
//!
//! The floor is the same by hand: a script deletes a key and publishes, and each of the waiting
//! connections answers the message with `SETNX`, until one has the key.

use std::time::Duration;

use incumbent::election::clock;
use incumbent::protocol::Timestamp;
use incumbent::store::StoreOptions;
use incumbent::{Election, Leadership};
use redis::{AsyncTypedCommands, PushKind, Script};
use tokio::sync::mpsc;

use crate::raw;
use crate::report::{heading, median, ratio, time};
use crate::support::redis::RedisServer;

const ROUNDS: usize = 200;
/// How long a new leader works, so that all others stand by again.
const TURN: Duration = Duration::from_millis(20);

pub(crate) fn run() {
    for standbys in [1, 50] {
        heading(&format!("clean handover on Redis, {standbys} standing by"));
        let server = RedisServer::start();
        let runtime = crate::runtime();
        let floor = runtime.block_on(by_hand(&server, standbys));
        time("floor: PUBLISH to SETNX", floor);
        let handover = runtime.block_on(elected(&server, standbys));
        ratio("resign() to the work of the next", handover, floor, 2.0);
    }
}

/// Every candidate has a connection of its own, as if it were a process of its own.
async fn elected(server: &RedisServer, standbys: usize) -> Duration {
    let (won, mut wins) = mpsc::unbounded_channel::<(usize, Timestamp, Leadership)>();
    let mut turns = Vec::new();
    for number in 0..=standbys {
        // Options that differ keep the connections apart.
        let options = StoreOptions {
            username: Some("default".to_owned()),
            password: Some(format!("unused-{number}").into()),
            ..StoreOptions::default()
        };
        let election = Election::builder("handover")
            .store(&server.url())
            .store_options(options)
            .build()
            .expect("a configuration");
        let (go, mut turn) = mpsc::unbounded_channel::<()>();
        let won = won.clone();
        turns.push(go);
        tokio::spawn(async move {
            while turn.recv().await.is_some() {
                let leadership = election.campaign().await.expect("a leadership");
                if won.send((number, clock::now(), leadership)).is_err() {
                    return;
                }
            }
        });
    }
    for turn in &turns {
        turn.send(()).expect("it waits for its turn");
    }
    let (mut last, _, mut leadership) = wins.recv().await.expect("a first leader");
    tokio::time::sleep(Duration::from_secs(2)).await;
    let mut times = Vec::new();
    for _ in 0..ROUNDS {
        let begin = clock::now();
        let resigned = tokio::spawn(leadership.resign());
        let (number, began, next) = wins.recv().await.expect("a next leader");
        times.push(began.since(begin));
        resigned.await.expect("no panic");
        // Who resigned stands by again only now, for it would win its own election.
        turns[last].send(()).expect("it waits for its turn");
        (last, leadership) = (number, next);
        tokio::time::sleep(TURN).await;
    }
    median(times)
}

async fn by_hand(server: &RedisServer, standbys: usize) -> Duration {
    const CHANNEL: &str = "raw:events";
    let (won, mut wins) = mpsc::unbounded_channel();
    for number in 0..=standbys {
        let won = won.clone();
        let (pushes, mut pushed) = mpsc::unbounded_channel();
        let mut subscription = raw::connect(server, Some(pushes)).await;
        let mut connection = raw::connect(server, None).await;
        subscription
            .subscribe(CHANNEL)
            .await
            .expect("a subscription");
        tokio::spawn(async move {
            while let Some(push) = pushed.recv().await {
                let released = push.kind == PushKind::Message;
                if released
                    && connection
                        .set_nx("raw:lock", number)
                        .await
                        .expect("an answer")
                {
                    let told = won.send(clock::now());
                    told.expect("the measurement goes on");
                }
            }
            drop(subscription);
        });
    }
    let release = Script::new(
        "redis.call('DEL', KEYS[1]) redis.call('PUBLISH', ARGV[1], 'released') return 1",
    );
    let mut connection = raw::connect(server, None).await;
    let mut times = Vec::new();
    for _ in 0..ROUNDS {
        let begin = clock::now();
        let _one: i64 = release
            .key("raw:lock")
            .arg(CHANNEL)
            .invoke_async(&mut connection)
            .await
            .expect("an answer");
        let taken: Timestamp = wins.recv().await.expect("somebody takes it");
        times.push(taken.since(begin));
        tokio::time::sleep(TURN).await;
    }
    median(times)
}

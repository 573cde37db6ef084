//! A clean handover: from the resign call to the work of a standby. No poll is in its path.
//!
//! The floor is the same by hand: a script deletes a key and publishes, and each of the waiting
//! connections answers the message with `SETNX`, until one has the key. Both take turns on one server
//! with as many subscribers each, so that whatever else the machine does meets both.

use std::time::Duration;

use incumbent::election::clock;
use incumbent::protocol::Timestamp;
use incumbent::store::StoreOptions;
use incumbent::{Election, Leadership};
use redis::aio::MultiplexedConnection;
use redis::{AsyncTypedCommands, PushKind, Script};
use tokio::sync::mpsc;

use crate::raw;
use crate::report::{heading, median, ratio, time};
use crate::support::redis::RedisServer;

const ROUNDS: usize = 300;
/// How long a new leader works, so that all others stand by again.
const TURN: Duration = Duration::from_millis(20);

pub(crate) fn run() {
    for standbys in [1, 50] {
        heading(&format!("clean handover on Redis, {standbys} standing by"));
        let server = RedisServer::start();
        let (floor, handover) = crate::runtime().block_on(in_turns(&server, standbys));
        time("floor: PUBLISH to SETNX", floor);
        ratio("resign() to the work of the next", handover, floor, 2.0);
    }
}

async fn in_turns(server: &RedisServer, standbys: usize) -> (Duration, Duration) {
    let mut by_hand = ByHand::start(server, standbys).await;
    let mut elected = Elected::start(server, standbys).await;
    let (mut floors, mut handovers) = (Vec::new(), Vec::new());
    for _ in 0..ROUNDS {
        floors.push(by_hand.hand_over().await);
        tokio::time::sleep(TURN).await;
        handovers.push(elected.hand_over().await);
        tokio::time::sleep(TURN).await;
    }
    (median(floors), median(handovers))
}

/// Candidates, each with a connection of its own, as if it were a process of its own.
struct Elected {
    turns: Vec<mpsc::UnboundedSender<()>>,
    wins: mpsc::UnboundedReceiver<Win>,
    leader: Option<(usize, Leadership)>,
}

/// Which candidate won, and when its work began.
type Win = (usize, Timestamp, Leadership);

impl Elected {
    async fn start(server: &RedisServer, standbys: usize) -> Self {
        let (won, mut wins) = mpsc::unbounded_channel::<Win>();
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
        let (first, _, leadership) = wins.recv().await.expect("a first leader");
        tokio::time::sleep(Duration::from_secs(2)).await;
        Self {
            turns,
            wins,
            leader: Some((first, leadership)),
        }
    }

    async fn hand_over(&mut self) -> Duration {
        let (last, leadership) = self.leader.take().expect("somebody leads");
        let begin = clock::now();
        let resigned = tokio::spawn(leadership.resign());
        let (number, began, next) = self.wins.recv().await.expect("a next leader");
        resigned.await.expect("no panic");
        // Who resigned stands by again only now, for it would win its own election.
        self.turns[last].send(()).expect("it waits for its turn");
        self.leader = Some((number, next));
        began.since(begin)
    }
}

/// The same without an election.
struct ByHand {
    release: Script,
    connection: MultiplexedConnection,
    wins: mpsc::UnboundedReceiver<Timestamp>,
}

impl ByHand {
    const CHANNEL: &str = "raw:events";

    async fn start(server: &RedisServer, standbys: usize) -> Self {
        let (won, wins) = mpsc::unbounded_channel();
        for number in 0..=standbys {
            let won = won.clone();
            let (pushes, mut pushed) = mpsc::unbounded_channel();
            let mut subscription = raw::connect(server, Some(pushes)).await;
            let mut connection = raw::connect(server, None).await;
            subscription
                .subscribe(Self::CHANNEL)
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
        Self {
            release: Script::new(
                "redis.call('DEL', KEYS[1]) redis.call('PUBLISH', ARGV[1], 'released') return 1",
            ),
            connection: raw::connect(server, None).await,
            wins,
        }
    }

    async fn hand_over(&mut self) -> Duration {
        let begin = clock::now();
        let _one: i64 = self
            .release
            .key("raw:lock")
            .arg(Self::CHANNEL)
            .invoke_async(&mut self.connection)
            .await
            .expect("an answer");
        let taken = self.wins.recv().await.expect("somebody takes it");
        taken.since(begin)
    }
}

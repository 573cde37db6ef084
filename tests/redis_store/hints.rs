//! Releases without a leader's release: any client that may publish on a server may send them.

use std::time::Duration;

use incumbent::protocol::TimingConfig;
use incumbent::{Election, EventKind};
use tokio::task::JoinHandle;

use crate::faults::{subscribed, until};
use crate::support::redis::RedisServer;

/// The highest floor that a message may name, and one below it.
const FORGED: [&str; 4] = [
    "9007199254740990 1 1 -",
    "9007199254740991 9007199254740991 9007199254740991 -",
    "9007199254740990 9007199254740990 1 -",
    "4503599627370496 4503599627370496 4503599627370496 - nobody:0000000000000000",
];

/// A token that no clock of these years numbers.
const LIFTED: u64 = 1 << 52;

fn election(server: &RedisServer) -> Election {
    let timing = TimingConfig {
        interval: Duration::from_millis(200),
        stall_polls: 10,
        stop_grace: Duration::from_millis(500),
        ..Default::default()
    };
    let builder = Election::builder("billing").store(server.url());
    builder.timing(timing).build().unwrap()
}

/// Publishes all of them, under the memory that the server has and under another one.
fn forge(server: &RedisServer) {
    let memory = server.text(&["HGET", "{incumbent:}:memory", "memory"]);
    let memory = memory.split(' ').nth(1).unwrap();
    for (message, memory) in FORGED.iter().flat_map(|one| [(one, memory), (one, "1.1")]) {
        let message = format!("{memory} 0 0 {message}");
        server.command(&["PUBLISH", "{incumbent:billing}:events", &message]);
    }
}

/// The outcome of a campaign, which must not take long.
async fn in_time<T>(campaign: JoinHandle<T>) -> T {
    let outcome = tokio::time::timeout(Duration::from_secs(20), campaign).await;
    outcome.expect("no one was elected").unwrap()
}

#[tokio::test]
async fn forged_releases_neither_silence_a_standby_nor_lift_its_token() {
    let server = RedisServer::start();
    let (first, second) = (election(&server), election(&server));
    let leadership = first.campaign().await.unwrap();
    let mut events = second.events();
    let campaign = tokio::spawn(async move { second.campaign().await.unwrap() });
    while !matches!(
        events.recv().await.unwrap().kind,
        EventKind::Following { .. }
    ) {}
    subscribed(&server, 2).await;
    for _ in 0..20 {
        forge(&server);
        tokio::time::sleep(Duration::from_millis(20)).await;
        leadership.lease().check().unwrap();
    }
    leadership.resign().await;
    let successor = in_time(campaign).await;
    assert!(successor.fencing_token().get() < LIFTED);
    let record = ["HGET", "{incumbent:billing}:record", "floor"];
    assert_eq!(server.text(&record), successor.fencing_token().to_string());
    successor.resign().await;
}

/// If a message counted as a look at the store, the counter of the dead leader would never stall.
#[tokio::test]
async fn forged_releases_do_not_keep_a_dead_leader_in_office() {
    let server = RedisServer::start();
    election(&server).campaign().await.unwrap().resign().await;
    let record = "{incumbent:billing}:record";
    let who = "dead:1|dead|1|0.1.0|200000000/10/200000000/50000000/500000000";
    let held = [
        "holder",
        "dead:1",
        "window_ns",
        "2000000000",
        "identity",
        who,
    ];
    server.command(&[&["HSET", record][..], &held].concat());
    let standby = election(&server);
    let mut events = standby.events();
    let campaign = tokio::spawn(async move { standby.campaign().await.unwrap() });
    until("it follows the dead leader", async || {
        matches!(
            events.recv().await.unwrap().kind,
            EventKind::Following { .. }
        )
    })
    .await;
    until("it leads", async || {
        forge(&server);
        campaign.is_finished()
    })
    .await;
    let successor = campaign.await.unwrap();
    assert!(successor.fencing_token().get() < LIFTED);
    successor.resign().await;
}

/// A record that was forged is another matter: it is what the store replies.
#[tokio::test]
async fn a_floor_at_the_end_of_its_range_is_an_event_of_every_candidate() {
    let server = RedisServer::start();
    let election = election(&server);
    election.campaign().await.unwrap().resign().await;
    let record = "{incumbent:billing}:record";
    server.command(&["HSET", record, "floor", "9007199254740991"]);
    let mut events = election.events();
    let campaigning = election.clone();
    let campaign = tokio::spawn(async move { campaigning.campaign().await.map(drop) });
    until("it is reported", async || {
        let told = events.recv().await.unwrap().kind;
        matches!(told, EventKind::TermsUsedUp { store } if *store == *server.url())
    })
    .await;
    assert_eq!(election.status().await.used_up().count(), 1);
    // The repair that docs/redis.md gives.
    server.command(&["DEL", record, "incumbent:billing", "{incumbent:}:memory"]);
    in_time(campaign).await.unwrap();
}

//! Cluster, with real servers.

use std::collections::BTreeSet;
use std::time::Duration;

use incumbent::protocol::{Record, Verdict};
use incumbent::store::{StoreAddress, StoreError};

use crate::election::{Election, HASTY, hasty, options};
use crate::faults::{until, woken};
use crate::support::redis::{RedisServer, Settings};

/// Three masters that share the slots.
pub(crate) async fn cluster(settings: impl Fn() -> Settings) -> [RedisServer; 3] {
    let nodes = [0, 1, 2].map(|_| {
        let settings = settings()
            .set("cluster-enabled", &["yes"])
            .set("cluster-node-timeout", &["5000"]);
        settings.start()
    });
    for (node, range) in nodes.iter().zip([0..5461, 5461..10923, 10923..16384]) {
        let slots: Vec<_> = range.map(|slot: u16| slot.to_string()).collect();
        let mut words = vec!["CLUSTER", "ADDSLOTS"];
        words.extend(slots.iter().map(String::as_str));
        node.command(&words);
    }
    let bus = |node: &RedisServer| {
        let this = node.text(&["CLUSTER", "NODES"]);
        let port = this
            .split('@')
            .nth(1)
            .unwrap()
            .split([' ', ','])
            .next()
            .unwrap();
        port.to_owned()
    };
    for node in &nodes[1..] {
        let port = node.port().to_string();
        nodes[0].command(&["CLUSTER", "MEET", "127.0.0.1", &port, &bus(node)]);
    }
    until("the cluster is complete", async || {
        nodes.iter().all(|node| {
            let state = node.text(&["CLUSTER", "INFO"]);
            state.contains("cluster_state:ok") && state.contains("cluster_known_nodes:3")
        })
    })
    .await;
    // A message that a node publishes is lost to those that it has not met, or that do not know it yet.
    for node in &nodes {
        let mut connection = node.connection();
        let mut listening = connection.as_pubsub();
        listening.subscribe("bus").unwrap();
        listening
            .set_read_timeout(Some(Duration::from_millis(10)))
            .unwrap();
        let mut heard = BTreeSet::new();
        until("a node hears of all the others", async || {
            for from in &nodes {
                from.command(&["PUBLISH", "bus", &from.port().to_string()]);
            }
            while let Ok(message) = listening.get_message() {
                heard.insert(message.get_payload::<u16>().unwrap());
            }
            heard.len() == nodes.len()
        })
        .await;
    }
    nodes
}

/// The address of a cluster by some of its nodes.
pub(crate) fn address_of(nodes: &[RedisServer]) -> StoreAddress {
    let nodes = nodes.iter().map(RedisServer::port);
    let list: Vec<_> = nodes.map(|port| format!("127.0.0.1:{port}")).collect();
    let address = format!("redis+cluster://{}", list.join(","));
    address.parse().unwrap()
}

#[tokio::test]
async fn a_cluster_keeps_each_election_on_one_of_its_nodes() {
    let nodes = cluster(RedisServer::settings).await;
    let address = address_of(&nodes);
    let (mut names, mut memories) = (Vec::new(), BTreeSet::new());
    for n in 0..20 {
        let name = format!("e{n:02}");
        let a = Election::with(&address, &options(), &name, "a");
        let held = a.win(7).await;
        assert!(memories.insert(held.memory.id), "each slot may move alone");
        assert_eq!(a.beat(7).await.unwrap().verdict, Verdict::Granted);
        let b = a.rival("b");
        let absent = Record::ABSENT.mark(&held.memory);
        assert_eq!(b.claim(8, absent).await.unwrap().verdict, Verdict::Refused);
        assert_eq!(a.inspect().await.unwrap().holder, Some(a.who.clone()));
        names.push(name.parse().unwrap());
    }
    for node in &nodes {
        assert_ne!(node.text(&["DBSIZE"]), "0", "no node has them all");
    }
    let a = Election::with(&address, &options(), "e00", "a");
    assert_eq!(a.store.elections().await.unwrap(), names);

    // A message reaches every node, so one subscription to any of them hears of all.
    let b = a.rival("b");
    let listen = |name| b.store.wake_ups(name, b.who.id());
    let mut wake_ups: Vec<_> = names.iter().map(listen).collect();
    until("all are subscribed", async || {
        let channels = nodes.iter().map(|node| node.info("pubsub_channels"));
        channels
            .map(|count| count.parse::<usize>().unwrap())
            .sum::<usize>()
            == 2 * names.len()
    })
    .await;
    for (name, wake_ups) in names.iter().zip(&mut wake_ups) {
        let a = Election::with(&address, &options(), name.as_str(), "a");
        a.rival("b").observe().await.unwrap();
        a.release(7).await.unwrap();
        let called = woken(wake_ups).await.called;
        assert_eq!(called.unwrap(), *b.who.id());
    }
    assert_eq!(a.store.history(&a.name, 10).await.unwrap().len(), 2);

    // A node of a cluster that is addressed as if it stood alone says what to do.
    let mut errors = Vec::new();
    for node in &nodes {
        let a = Election::new(&node.address(), "a");
        errors.extend(a.observe().await.err());
    }
    assert_eq!(errors.len(), nodes.len());
    for error in errors {
        assert!(error.is_misconfigured(), "{error}");
        assert!(error.to_string().contains("redis+cluster://"), "{error}");
    }

    for node in &nodes {
        node.command(&["ACL", "SETUSER", "default", "-info"]);
    }
    let address = address_of(&nodes[..1]);
    let error = Election::new(&address, "a").observe().await.unwrap_err();
    assert!(error.is_denied(), "{error}");
    assert!(error.to_string().contains("+info"), "{error}");
    let examined = a.store.examine().await.unwrap();
    assert!(examined.withheld.is_some_and(|error| error.is_denied()));
    let trial = examined.trial.and_then(Result::err);
    assert!(trial.is_some_and(|error| error.is_denied()));
    let refused: Vec<_> = examined.refused.iter().map(|(right, _)| *right).collect();
    assert_eq!(refused, ["info"]);
}

#[tokio::test]
async fn a_node_of_a_cluster_that_hangs_costs_no_more_than_the_timeout() {
    let nodes = cluster(RedisServer::settings).await;
    let address = address_of(&nodes);
    let a = Election::with(&address, &hasty(), "billing", "a");
    a.win(7).await;
    let node = nodes
        .iter()
        .find(|node| node.try_command(&["GET", "incumbent:billing"]).is_ok())
        .unwrap();
    node.freeze();
    let begun = tokio::time::Instant::now();
    let error = a.beat(7).await.unwrap_err();
    assert!(matches!(error, StoreError::Unknown { .. }), "{error}");
    assert!(begun.elapsed() < HASTY * 3);
    node.thaw();
    until("it answers again", async || a.beat(7).await.is_ok()).await;
}

/// As after CLUSTER RESET: it answers at once, and knows no other node.
#[tokio::test]
async fn a_seed_that_has_left_the_cluster_is_passed_over() {
    let nodes = cluster(RedisServer::settings).await;
    let settings = RedisServer::settings();
    let alone = settings.set("cluster-enabled", &["yes"]).start();
    // It answers first.
    for node in &nodes {
        node.freeze();
    }
    let seeds = [&alone, &nodes[0]].map(RedisServer::port);
    let [first, second] = seeds.map(|port| format!("127.0.0.1:{port}"));
    let address: StoreAddress = format!("redis+cluster://{first},{second}").parse().unwrap();
    let a = Election::new(&address, "a");
    let b = a.rival("b");
    let mut wake_ups = b.store.wake_ups(&b.name, b.who.id());
    let seen = tokio::spawn({
        let a = a.rival("a");
        async move { a.observe().await }
    });
    until("it is asked first", async || {
        alone
            .text(&["INFO", "commandstats"])
            .contains("cmdstat_cluster")
    })
    .await;
    for node in &nodes {
        node.thaw();
    }
    seen.await.unwrap().unwrap();
    a.win(7).await;
    b.observe().await.unwrap();
    until("it is subscribed to a node of the cluster", async || {
        let channels = nodes.iter().map(|node| node.info("pubsub_channels"));
        channels
            .map(|count| count.parse::<usize>().unwrap())
            .sum::<usize>()
            == 2
    })
    .await;
    a.release(7).await.unwrap();
    woken(&mut wake_ups).await;
}

/// The slots of a node that hangs are out of reach, and no others.
#[tokio::test]
async fn any_node_of_a_cluster_that_answers_is_enough() {
    let nodes = cluster(RedisServer::settings).await;
    let address = address_of(&nodes[..2]);
    nodes[0].freeze();
    let (mut won, mut silent) = (0, 0);
    for n in 0..20 {
        let a = Election::with(&address, &hasty(), &format!("e{n:02}"), "a");
        match a.observe().await {
            Ok(seen) => {
                let reply = a.claim(7, seen.mark()).await.unwrap();
                assert_eq!(reply.verdict, Verdict::Granted);
                won += 1;
            }
            Err(error) => {
                assert!(matches!(error, StoreError::Unreachable { .. }), "{error}");
                silent += 1;
            }
        }
    }
    let of = |node: &RedisServer| node.text(&["DBSIZE"]).parse::<usize>().unwrap();
    assert!(won > 0 && silent > 0, "{won} won, {silent} silent");
    assert!(of(&nodes[1]) > 0 && of(&nodes[2]) > 0);
    // What the others have is found, and the node that hangs is named.
    let a = Election::with(&address, &hasty(), "e00", "a");
    let (known, failed) = a.store.known_elections().await;
    assert_eq!(known.len(), won);
    let named = format!("its node 127.0.0.1:{}", nodes[0].port());
    let failed = failed.unwrap().to_string();
    assert!(failed.contains(&named), "{failed}");
    let examined = a.store.examine().await.unwrap();
    let errors = examined.refused.into_iter().map(|(_, error)| error);
    let told: Vec<String> = errors
        .chain(examined.trial.and_then(Result::err))
        .map(|error| error.to_string())
        .collect();
    assert!(told.iter().any(|error| error.contains(&named)), "{told:?}");
    nodes[0].thaw();
    assert_eq!(of(&nodes[0]), 0);
}

/// A slot that has moved, or is about to, is followed to its new node.
#[tokio::test]
async fn an_election_is_followed_to_the_node_that_its_slot_moves_to() {
    let nodes = cluster(RedisServer::settings).await;
    let address = address_of(&nodes[..1]);
    let a = Election::new(&address, "a");
    let held = a.win(7).await;
    let slot = nodes[0].text(&["CLUSTER", "KEYSLOT", "incumbent:billing"]);
    let id = |node: &RedisServer| node.text(&["CLUSTER", "MYID"]);
    let has = |node: &RedisServer| node.try_command(&["GET", "incumbent:billing"]).is_ok();
    let from = nodes.iter().position(has).unwrap();
    let (from, to) = (&nodes[from], &nodes[(from + 1) % 3]);
    to.command(&["CLUSTER", "SETSLOT", &slot, "IMPORTING", &id(from)]);
    from.command(&["CLUSTER", "SETSLOT", &slot, "MIGRATING", &id(to)]);
    let (host, port) = ("127.0.0.1", to.port().to_string());
    for key in [
        "incumbent:billing",
        "{incumbent:billing}:record",
        "{incumbent:billing}:candidates",
        "{incumbent:billing}:history",
        "{incumbent:billing}:memory",
    ] {
        from.command(&["MIGRATE", host, &port, key, "0", "5000"]);
    }
    assert_eq!(
        a.beat(7).await.unwrap().verdict,
        Verdict::Granted,
        "while it moves"
    );
    for node in &nodes {
        node.command(&["CLUSTER", "SETSLOT", &slot, "NODE", &id(to)]);
    }
    assert_eq!(
        a.beat(7).await.unwrap().verdict,
        Verdict::Granted,
        "when it has moved"
    );
    assert_eq!(to.text(&["GET", "incumbent:billing"]), "9");
    let moved = a.observe().await.unwrap();
    assert_ne!(moved.memory.id, held.memory.id, "another node cannot vouch");
}

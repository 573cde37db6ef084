//! Sentinel and Cluster, each with real servers.

use std::collections::BTreeSet;

use incumbent::protocol::{Record, Verdict};
use incumbent::store::{self, StoreAddress, StoreError, StoreOptions};

use crate::election::{Election, options};
use crate::faults::{subscribed, until};
use crate::support::redis::{RedisServer, Settings, free_port};

/// A master, its replica, and a sentinel that knows both.
async fn sentinel() -> (RedisServer, RedisServer, RedisServer) {
    let master = RedisServer::start();
    let replica = RedisServer::settings()
        .set("replicaof", &["127.0.0.1", &master.port().to_string()])
        .start();
    until("the replica follows", async || {
        master.info("connected_slaves") == "1" && replica.info("master_link_status") == "up"
    })
    .await;
    let sentinel = RedisServer::settings().sentinel("main", &master).start();
    until("the sentinel knows both", async || {
        let known = sentinel.info("master0");
        known.contains("status=ok") && known.contains("slaves=1")
    })
    .await;
    (master, replica, sentinel)
}

/// A master that is replaced in good order goes on answering for many seconds; no one may stay with it.
#[tokio::test]
async fn a_master_that_was_replaced_is_left_while_it_still_answers() {
    let (old, new, sentinel) = sentinel().await;
    let address = format!("redis+sentinel://127.0.0.1:{}/main", sentinel.port());
    let a = Election::new(&address.parse().unwrap(), "a");
    let mut wake_ups = a.store.wake_ups(&a.name, a.who.id());
    a.win(7).await;
    // Beside the sentinel's own.
    subscribed(&old, 3).await;
    until("the sentinel is listened to", async || {
        sentinel
            .text(&["CLIENT", "LIST", "TYPE", "pubsub"])
            .contains(" sub=1 ")
    })
    .await;
    until("the sentinel trusts the replica", async || {
        sentinel
            .try_command(&["SENTINEL", "FAILOVER", "main"])
            .is_ok()
    })
    .await;
    until("beats go to the new master", async || {
        match a.beat(7).await {
            Ok(reply) => new.text(&["GET", "incumbent:billing"]) == reply.record.beat.to_string(),
            Err(_) => false,
        }
    })
    .await;
    assert_eq!(old.info("role"), "master", "it was left before it gave up");
    subscribed(&new, 3).await;
    a.release(7).await.unwrap();
    assert!(wake_ups.next().await.is_some());
}

#[tokio::test]
async fn a_sentinel_deployment_is_followed_to_its_new_master() {
    let (mut master, replica, sentinel) = sentinel().await;
    // The first sentinel of the list is not there.
    let address: StoreAddress = format!(
        "redis+sentinel://127.0.0.1:{},127.0.0.1:{}/main",
        free_port(),
        sentinel.port()
    )
    .parse()
    .unwrap();
    let a = Election::new(&address, "a");
    let mut wake_ups = a.store.wake_ups(&a.name, a.who.id());
    let held = a.win(7).await;
    assert_eq!(master.text(&["GET", "incumbent:billing"]), "7");
    // Beside the sentinel's own.
    subscribed(&master, 3).await;
    until("the replica has it", async || {
        replica.text(&["GET", "incumbent:billing"]) == "7"
    })
    .await;

    master.kill();
    until(
        "the replica is the master",
        async || matches!(a.beat(7).await, Ok(reply) if reply.verdict == Verdict::Granted),
    )
    .await;
    assert_eq!(replica.info("role"), "master");
    // It may lack what the old master acknowledged last.
    let promoted = a.observe().await.unwrap().memory;
    assert_ne!(promoted.id, held.memory.id);
    assert!(promoted.age.is_zero());
    subscribed(&replica, 3).await;
    a.release(7).await.unwrap();
    assert!(wake_ups.next().await.is_some());

    let address = format!("redis+sentinel://127.0.0.1:{}/other", sentinel.port());
    let a = Election::new(&address.parse().unwrap(), "a");
    let error = a.observe().await.unwrap_err();
    assert!(matches!(error, StoreError::Unreachable { .. }), "{error}");
    assert!(error.to_string().contains("other"), "{error}");
}

/// While a master is dead, a sentinel that refuses us says nothing about the others.
#[tokio::test]
async fn a_sentinel_that_refuses_us_is_no_refusal_while_another_waits_for_a_master() {
    let mut master = RedisServer::start();
    let open = RedisServer::settings().sentinel("main", &master).start();
    let closed = RedisServer::settings()
        .sentinel("main", &master)
        .password("of-the-sentinel")
        .start();
    until("the sentinel knows the master", async || {
        open.info("master0").contains("status=ok")
    })
    .await;
    master.kill();
    let (open, closed) = (open.port(), closed.port());
    for list in [[open, closed], [closed, open]] {
        let [first, second] = list;
        let address = format!("redis+sentinel://127.0.0.1:{first},127.0.0.1:{second}/main");
        let a = Election::new(&address.parse().unwrap(), "a");
        let error = a.observe().await.unwrap_err();
        assert!(matches!(error, StoreError::Unreachable { .. }), "{error}");
    }
}

/// Sentinels that ask for a password are asked, and listened to, with theirs: the servers have another.
#[tokio::test]
async fn sentinels_with_a_password_of_their_own_are_asked_and_listened_to() {
    let master = RedisServer::settings().password("of-the-servers").start();
    let sentinel = RedisServer::settings()
        .sentinel("main", &master)
        .set("sentinel", &["auth-pass", "main", "of-the-servers"])
        .password("of-the-sentinels")
        .start();
    until("the sentinel knows the master", async || {
        sentinel.info("master0").contains("status=ok")
    })
    .await;
    // It keeps no elections, so nothing depends on which one it is.
    sentinel.command(&["ACL", "SETUSER", "default", "-info"]);
    let directory = tempfile::tempdir().unwrap();
    let file = |name: &str, text: &str| {
        let path = directory.path().join(name);
        std::fs::write(&path, text).unwrap();
        path
    };
    let address = |query: &str| -> StoreAddress {
        let port = sentinel.port();
        format!("redis+sentinel://:of-the-servers@127.0.0.1:{port}/main{query}")
            .parse()
            .unwrap()
    };

    let right = file("right", "of-the-sentinels\n");
    for username in ["", "sentinel-username=default&"] {
        let query = format!("?{username}sentinel-password-file={}", right.display());
        let address = address(&query);
        let label = format!("redis+sentinel://127.0.0.1:{}/main", sentinel.port());
        assert_eq!(address.to_string(), label);
        let a = Election::new(&address, username.get(..1).unwrap_or("a"));
        let _wake_ups = a.store.wake_ups(&a.name, a.who.id());
        a.observe().await.unwrap();
    }
    until("the sentinel is listened to", async || {
        sentinel
            .text(&["CLIENT", "LIST", "TYPE", "pubsub"])
            .contains(" sub=1 ")
    })
    .await;

    let wrong = file("wrong", "of-the-servers");
    for query in [
        String::new(),
        format!("?sentinel-password-file={}", wrong.display()),
    ] {
        let error = Election::new(&address(&query), "a").observe().await;
        let error = error.unwrap_err();
        assert!(matches!(error, StoreError::Denied { .. }), "{error:?}");
        assert!(error.to_string().contains("a sentinel"), "{error}");
        assert!(!error.to_string().contains("of-the"), "{error}");
    }

    for (path, reason) in [
        (file("empty", "\n"), "it is empty"),
        (file("long", &"x".repeat(5000)), "more than 4096 bytes"),
        (directory.path().join("missing"), "No such file"),
    ] {
        let query = format!("?sentinel-password-file={}", path.display());
        let error = store::open(&address(&query), &options());
        let error = error.err().expect("it is refused").to_string();
        assert!(error.contains("password file of the sentinels"), "{error}");
        assert!(error.contains(reason), "{error}");
    }
}

#[tokio::test]
async fn a_cluster_keeps_each_election_on_one_of_its_nodes() {
    let nodes = cluster(RedisServer::settings).await;
    let list: Vec<_> = nodes
        .iter()
        .map(|node| format!("127.0.0.1:{}", node.port()))
        .collect();
    let address: StoreAddress = format!("redis+cluster://{}", list.join(","))
        .parse()
        .unwrap();
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
        let called = wake_ups.next().await.unwrap().called;
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
    let address = format!("redis+cluster://{}", list[0]).parse().unwrap();
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
    let list: Vec<_> = nodes
        .iter()
        .map(|node| format!("127.0.0.1:{}", node.port()))
        .collect();
    let address: StoreAddress = format!("redis+cluster://{}", list.join(","))
        .parse()
        .unwrap();
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
    assert!(begun.elapsed() < hasty().op_timeout * 3);
    node.thaw();
    until("it answers again", async || a.beat(7).await.is_ok()).await;
}

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
    nodes
}

/// A sentinel that hangs is connected to and never answers; any other will do.
#[tokio::test]
async fn any_sentinel_that_answers_is_enough() {
    let (_master, _replica, sentinel) = sentinel().await;
    let hung = [0, 1].map(|_| RedisServer::start());
    for server in &hung {
        server.freeze();
    }
    let [first, second] = hung.each_ref().map(RedisServer::port);
    let address: StoreAddress = format!(
        "redis+sentinel://127.0.0.1:{first},127.0.0.1:{second},127.0.0.1:{}/main",
        sentinel.port()
    )
    .parse()
    .unwrap();
    let a = Election::with(&address, &hasty(), "billing", "a");
    let mut wake_ups = a.store.wake_ups(&a.name, a.who.id());
    a.win(7).await;
    a.release(7).await.unwrap();
    assert!(wake_ups.next().await.is_some());
    // Where no other is left, the error says who did what.
    let dead = free_port();
    let hosts = [first, second, dead].map(|port| format!("127.0.0.1:{port}"));
    let address = format!("redis+sentinel://{}/main", hosts.join(","));
    let a = Election::with(&address.parse().unwrap(), &hasty(), "billing", "a");
    let direct = Election::with(&hung[0].address(), &hasty(), "billing", "a");
    // The second error is that of an attempt that is given up meanwhile.
    for _ in 0..3 {
        let error = a.observe().await.unwrap_err().to_string();
        for port in [first, second] {
            let said = format!("127.0.0.1:{port} accepted a connection and does not answer");
            assert!(error.contains(&said), "{error}");
        }
        let said = format!("127.0.0.1:{dead} failed: Connection refused");
        assert!(error.contains(&said), "{error}");
        let error = direct.observe().await.unwrap_err().to_string();
        let said = format!("127.0.0.1:{first} accepted a connection and does not answer");
        assert!(error.contains(&said), "{error}");
    }
    for server in &hung {
        server.thaw();
    }
}

/// The slots of a node that hangs are out of reach, and no others.
#[tokio::test]
async fn any_node_of_a_cluster_that_answers_is_enough() {
    let nodes = cluster(RedisServer::settings).await;
    let address: StoreAddress = format!(
        "redis+cluster://127.0.0.1:{},127.0.0.1:{}",
        nodes[0].port(),
        nodes[1].port()
    )
    .parse()
    .unwrap();
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
    let address: StoreAddress = format!("redis+cluster://127.0.0.1:{}", nodes[0].port())
        .parse()
        .unwrap();
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

pub(crate) fn hasty() -> StoreOptions {
    options().op_timeout(std::time::Duration::from_millis(500))
}

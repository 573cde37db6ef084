//! Sentinel, Cluster and TLS, each with real servers.

use std::path::Path;
use std::process::Command;

use incumbent::protocol::{Record, Verdict};
use incumbent::store::{self, InvalidAddress, StoreAddress, StoreError};

use crate::election::{Election, options};
use crate::faults::{subscribed, until};
use crate::support::redis::{RedisServer, free_port, major_version};

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

/// A master that is replaced in good order goes on answering for many seconds; nobody may stay with it.
#[tokio::test]
async fn a_master_that_was_replaced_is_left_while_it_still_answers() {
    let (old, new, sentinel) = sentinel().await;
    let address = format!("redis+sentinel://127.0.0.1:{}/main", sentinel.port());
    let a = Election::new(&address.parse().unwrap(), "a");
    let mut wake_ups = a.store.wake_ups(&a.name);
    a.win(7).await;
    // Beside the sentinel's own.
    subscribed(&old, 2).await;
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
    subscribed(&new, 2).await;
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
    let mut wake_ups = a.store.wake_ups(&a.name);
    a.win(7).await;
    assert_eq!(master.text(&["GET", "incumbent:billing"]), "7");
    // Beside the sentinel's own.
    subscribed(&master, 2).await;
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
    subscribed(&replica, 2).await;
    a.release(7).await.unwrap();
    assert!(wake_ups.next().await.is_some());

    let address = format!("redis+sentinel://127.0.0.1:{}/other", sentinel.port());
    let a = Election::new(&address.parse().unwrap(), "a");
    let error = a.observe().await.unwrap_err();
    assert!(matches!(error, StoreError::Unreachable { .. }), "{error}");
    assert!(error.to_string().contains("other"), "{error}");
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
        let _wake_ups = a.store.wake_ups(&a.name);
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
    let nodes = cluster().await;
    let list: Vec<_> = nodes
        .iter()
        .map(|node| format!("127.0.0.1:{}", node.port()))
        .collect();
    let address: StoreAddress = format!("redis+cluster://{}", list.join(","))
        .parse()
        .unwrap();
    let mut names = Vec::new();
    for n in 0..20 {
        let name = format!("e{n:02}");
        let a = Election::with(&address, &options(), &name, "a");
        a.win(7).await;
        assert_eq!(a.beat(7).await.unwrap().verdict, Verdict::Granted);
        let b = a.rival("b");
        assert_eq!(
            b.claim(8, Record::ABSENT.mark()).await.unwrap().verdict,
            Verdict::Refused
        );
        assert_eq!(a.inspect().await.unwrap().holder, Some(a.who.clone()));
        names.push(name.parse().unwrap());
    }
    for node in &nodes {
        assert_ne!(node.text(&["DBSIZE"]), "0", "no node has them all");
    }
    let a = Election::with(&address, &options(), "e00", "a");
    assert_eq!(a.store.elections().await.unwrap(), names);

    // A message reaches every node, so one subscription to any of them hears of all.
    let mut wake_ups: Vec<_> = names.iter().map(|name| a.store.wake_ups(name)).collect();
    until("all are subscribed", async || {
        let channels = nodes.iter().map(|node| node.info("pubsub_channels"));
        channels
            .map(|count| count.parse::<usize>().unwrap())
            .sum::<usize>()
            == names.len()
    })
    .await;
    for (name, wake_ups) in names.iter().zip(&mut wake_ups) {
        let a = Election::with(&address, &options(), name.as_str(), "a");
        a.release(7).await.unwrap();
        assert!(wake_ups.next().await.is_some());
    }
    assert_eq!(a.store.history(&a.name, 10).await.unwrap().len(), 2);

    // A node of a cluster that is addressed as if it stood alone says what to do.
    let mut errors = Vec::new();
    for node in &nodes {
        let a = Election::new(&node.address(), "a");
        errors.extend(a.observe().await.err());
    }
    assert_eq!(errors.len(), 2, "one node has the election");
    for error in errors {
        assert!(error.to_string().contains("redis+cluster://"), "{error}");
    }
}

#[tokio::test]
async fn a_node_of_a_cluster_that_hangs_costs_no_more_than_the_timeout() {
    let nodes = cluster().await;
    let list: Vec<_> = nodes
        .iter()
        .map(|node| format!("127.0.0.1:{}", node.port()))
        .collect();
    let address: StoreAddress = format!("redis+cluster://{}", list.join(","))
        .parse()
        .unwrap();
    let hasty = incumbent::store::StoreOptions {
        op_timeout: std::time::Duration::from_millis(500),
        ..options()
    };
    let a = Election::with(&address, &hasty, "billing", "a");
    a.win(7).await;
    let node = nodes
        .iter()
        .find(|node| node.try_command(&["GET", "incumbent:billing"]).is_ok())
        .unwrap();
    node.freeze();
    let begun = tokio::time::Instant::now();
    let error = a.beat(7).await.unwrap_err();
    assert!(matches!(error, StoreError::Unknown { .. }), "{error}");
    assert!(begun.elapsed() < hasty.op_timeout * 3);
    node.thaw();
    until("it answers again", async || a.beat(7).await.is_ok()).await;
}

/// Three masters that share the slots.
async fn cluster() -> [RedisServer; 3] {
    let nodes = [0, 1, 2].map(|_| {
        let settings = RedisServer::settings()
            .set("cluster-enabled", &["yes"])
            .set("cluster-node-timeout", &["5000"]);
        // Before version 7 the port of the cluster bus follows from the other one.
        let settings = match major_version() {
            ..7 => settings,
            7.. => settings.set("cluster-port", &[&free_port().to_string()]),
        };
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

#[tokio::test]
async fn tls_is_spoken_with_a_private_authority_and_a_client_certificate() {
    let certificates = tempfile::tempdir().unwrap();
    let file = |name: &str| certificates.path().join(name).display().to_string();
    authority(certificates.path(), "ca");
    authority(certificates.path(), "stranger");
    certificate(certificates.path(), "server");
    certificate(certificates.path(), "client");
    for clients in ["no", "yes"] {
        let port = free_port();
        let server = RedisServer::settings()
            .password("hunter2")
            .set("tls-port", &[&port.to_string()])
            .set("tls-cert-file", &[&file("server.crt")])
            .set("tls-key-file", &[&file("server.key")])
            .set("tls-ca-cert-file", &[&file("ca.crt")])
            .set("tls-auth-clients", &[clients])
            .start();
        let base = format!("rediss://:hunter2@127.0.0.1:{port}/1");
        let ca = format!("{base}?ca={}", file("ca.crt"));
        let both = format!(
            "{ca}&cert={}&key={}",
            file("client.crt"),
            file("client.key")
        );
        let election = |url: &str| Election::new(&url.parse().unwrap(), "a");

        let a = election(&both);
        let mut wake_ups = a.store.wake_ups(&a.name);
        subscribed(&server, 1).await;
        a.win(7).await;
        a.release(7).await.unwrap();
        assert!(wake_ups.next().await.is_some());

        assert_eq!(election(&ca).observe().await.is_ok(), clients == "no");
        for wrong in [base.clone(), format!("{base}?ca={}", file("stranger.crt"))] {
            let error = election(&wrong).observe().await.unwrap_err();
            assert!(matches!(error, StoreError::Unreachable { .. }), "{error}");
            assert!(error.to_string().contains("certificate"), "{error}");
        }
        drop(server);
    }

    for (query, what) in [
        ("ca=/nowhere/ca.crt".to_owned(), "/nowhere/ca.crt"),
        (format!("ca={}", file("server.key")), "server.key"),
        (
            format!("cert={}&key={}", file("client.key"), file("client.crt")),
            "client.key",
        ),
    ] {
        let address: StoreAddress = format!("rediss://localhost?{query}").parse().unwrap();
        let error = store::open(&address, &options()).err().unwrap();
        assert!(matches!(error, InvalidAddress::File { .. }), "{error}");
        assert!(error.to_string().contains(what), "{error}");
    }
}

fn authority(directory: &Path, name: &str) {
    let subject = format!("/CN={name}");
    let (key, crt) = (format!("{name}.key"), format!("{name}.crt"));
    openssl(
        directory,
        &[
            &[
                "req", "-x509", "-days", "2", "-subj", &subject, "-out", &crt,
            ],
            NEW_KEY,
            &["-keyout", &key],
        ],
    );
}

/// A certificate for this host, signed by the authority `ca`.
fn certificate(directory: &Path, name: &str) {
    let subject = format!("/CN={name}");
    let [key, csr, crt] = ["key", "csr", "crt"].map(|kind| format!("{name}.{kind}"));
    openssl(
        directory,
        &[
            &["req", "-subj", &subject, "-out", &csr],
            NEW_KEY,
            &["-keyout", &key],
        ],
    );
    std::fs::write(
        directory.join("extensions"),
        "basicConstraints=CA:FALSE\nsubjectAltName=DNS:localhost,IP:127.0.0.1\n",
    )
    .unwrap();
    openssl(
        directory,
        &[
            &["x509", "-req", "-days", "2", "-in", &csr, "-out", &crt],
            &["-CA", "ca.crt", "-CAkey", "ca.key", "-CAcreateserial"],
            &["-extfile", "extensions"],
        ],
    );
}

const NEW_KEY: &[&str] = &[
    "-newkey",
    "ec",
    "-pkeyopt",
    "ec_paramgen_curve:P-256",
    "-nodes",
];

fn openssl(directory: &Path, arguments: &[&[&str]]) {
    let output = Command::new("openssl")
        .args(arguments.concat())
        .current_dir(directory)
        .output()
        .unwrap_or_else(|error| panic!("openssl cannot be started ({error}): install openssl"));
    assert!(
        output.status.success(),
        "{}",
        String::from_utf8_lossy(&output.stderr)
    );
}

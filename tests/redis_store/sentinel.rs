//! Sentinel, with real servers.

use incumbent::protocol::Verdict;
use incumbent::store::{self, StoreAddress, StoreError};

use crate::election::{Election, hasty, options};
use crate::faults::{subscribed, until, woken};
use crate::support::port::ClosedPort;
use crate::support::redis::RedisServer;

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

/// Waits until this many stores listen to a sentinel.
async fn listened_to(sentinel: &RedisServer, stores: usize) {
    until("the sentinel is listened to", async || {
        let clients = sentinel.text(&["CLIENT", "LIST", "TYPE", "pubsub"]);
        clients.matches(" sub=1 ").count() == stores
    })
    .await;
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
    listened_to(&sentinel, 1).await;
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
    woken(&mut wake_ups).await;
}

/// No request finds it out either: a standby sends none for a while.
#[tokio::test]
async fn a_new_master_that_was_announced_while_no_one_listened_is_found() {
    let [old, new] = [(); 2].map(|()| RedisServer::start());
    let sentinel = RedisServer::settings().sentinel("main", &old).start();
    let trusts = async |server: &RedisServer| {
        until("the sentinel knows the master", async || {
            let known = sentinel.info("master0");
            known.contains("status=ok") && known.contains(&format!(":{},", server.port()))
        })
        .await;
    };
    trusts(&old).await;
    let address = format!("redis+sentinel://127.0.0.1:{}/main", sentinel.port());
    let a = Election::new(&address.parse().unwrap(), "a");
    let _wake_ups = a.store.wake_ups(&a.name, a.who.id());
    a.win(7).await;
    // Beside the sentinel's own.
    subscribed(&old, 3).await;
    listened_to(&sentinel, 1).await;
    // This way it announces nothing.
    sentinel.command(&["SENTINEL", "REMOVE", "main"]);
    let port = new.port().to_string();
    sentinel.command(&["SENTINEL", "MONITOR", "main", "127.0.0.1", &port, "1"]);
    trusts(&new).await;
    sentinel.command(&["CLIENT", "KILL", "TYPE", "pubsub"]);
    subscribed(&new, 3).await;
}

#[tokio::test]
async fn a_sentinel_deployment_is_followed_to_its_new_master() {
    let (mut master, replica, sentinel) = sentinel().await;
    // The first sentinel of the list is not there.
    let closed = ClosedPort::new();
    let address: StoreAddress = format!(
        "redis+sentinel://127.0.0.1:{},127.0.0.1:{}/main",
        closed.port(),
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
    woken(&mut wake_ups).await;

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
    // A store listens for as long as someone has it.
    let mut listening = Vec::new();
    for username in ["", "sentinel-username=default&"] {
        let query = format!("?{username}sentinel-password-file={}", right.display());
        let address = address(&query);
        let label = format!("redis+sentinel://127.0.0.1:{}/main", sentinel.port());
        assert_eq!(address.to_string(), label);
        let a = Election::new(&address, username.get(..1).unwrap_or("a"));
        a.observe().await.unwrap();
        listening.push(a);
    }
    listened_to(&sentinel, listening.len()).await;

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
    woken(&mut wake_ups).await;
    // Where no other is left, the error says who did what.
    let closed = ClosedPort::new();
    let dead = closed.port();
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

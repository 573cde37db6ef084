//! A store is one server, however many an address leads to.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use incumbent::store::{StoreAddress, StoreError};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinHandle;

use crate::election::Election;
use crate::faults::until;
use crate::support::redis::RedisServer;

/// A proxy that leads new connections to the next of `ports` in turn.
struct Balancer {
    port: u16,
    ports: Arc<Vec<AtomicUsize>>,
    task: JoinHandle<()>,
}

impl Balancer {
    /// Leads this many connections in a row to each server.
    async fn before(servers: &[&RedisServer], in_a_row: usize) -> Self {
        let listener = TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let ports = servers
            .iter()
            .map(|server| AtomicUsize::new(server.port().into()));
        let ports: Arc<Vec<_>> = Arc::new(ports.collect());
        let targets = Arc::clone(&ports);
        let task = tokio::spawn(async move {
            for turn in 0.. {
                let Ok((mut client, _)) = listener.accept().await else {
                    return;
                };
                let port = targets[turn / in_a_row % targets.len()].load(Ordering::Relaxed);
                tokio::spawn(async move {
                    let port = u16::try_from(port).unwrap();
                    // Either side may hang up, or the server may be gone.
                    if let Ok(mut server) = TcpStream::connect(("127.0.0.1", port)).await {
                        let _ended = tokio::io::copy_bidirectional(&mut client, &mut server).await;
                    }
                });
            }
        });
        Self { port, ports, task }
    }

    /// Leads all new connections to one server.
    fn turn_to(&self, server: &RedisServer) {
        for port in self.ports.iter() {
            port.store(server.port().into(), Ordering::Relaxed);
        }
    }

    fn address(&self) -> StoreAddress {
        format!("redis://127.0.0.1:{}", self.port).parse().unwrap()
    }
}

impl Drop for Balancer {
    fn drop(&mut self) {
        self.task.abort();
    }
}

#[tokio::test]
async fn a_proxy_in_front_of_two_servers_is_refused() {
    refused_behind_a_proxy(1).await;
}

#[tokio::test]
async fn a_proxy_that_changes_servers_every_few_connections_is_refused() {
    refused_behind_a_proxy(3).await;
}

async fn refused_behind_a_proxy(in_a_row: usize) {
    let (one, other) = (RedisServer::start(), RedisServer::start());
    let proxy = Balancer::before(&[&one, &other], in_a_row).await;
    for _ in 0..3 {
        let error = Election::new(&proxy.address(), "a")
            .observe()
            .await
            .unwrap_err();
        assert!(matches!(error, StoreError::Misconfigured { .. }), "{error}");
        assert!(error.to_string().contains("different servers"), "{error}");
    }
    for server in [&one, &other] {
        assert_eq!(server.text(&["DBSIZE"]), "0");
    }
    proxy.turn_to(&one);
    let a = Election::new(&proxy.address(), "a");
    until("the proxy leads to one server", async || {
        a.observe().await.is_ok()
    })
    .await;
}

/// A server that is down for a moment may be up for the next candidate.
#[tokio::test]
async fn a_proxy_whose_other_server_is_down_is_not_trusted() {
    let (one, other) = (RedisServer::start(), RedisServer::start());
    let proxy = Balancer::before(&[&one, &other], 1).await;
    drop(other);
    for _ in 0..3 {
        let error = Election::new(&proxy.address(), "a")
            .observe()
            .await
            .unwrap_err();
        assert!(matches!(error, StoreError::Unreachable { .. }), "{error}");
    }
    assert_eq!(one.text(&["DBSIZE"]), "0");
}

/// The leader on the server that an address led to a moment ago may still act, and the new one cannot know: its
/// memory is another one.
#[tokio::test]
async fn another_server_than_before_is_used_when_no_one_can_lead_on_the_old_one_and_has_another_memory()
 {
    // The permission to ask the old server what it is may be taken away meanwhile.
    tokio::join!(claimed_on_another("+info"), claimed_on_another("-info"));
}

async fn claimed_on_another(right_on_the_old: &str) {
    let (one, other) = (RedisServer::start(), RedisServer::start());
    // The other server has a record of a leader that resigned, so nothing there looks lost.
    let b = Election::new(&other.address(), "b");
    b.win(5).await;
    b.release(5).await.unwrap();

    let proxy = Balancer::before(&[&one], 1).await;
    let a = Election::new(&proxy.address(), "a");
    let before = a.observe().await.unwrap();

    one.command(&["ACL", "SETUSER", "default", right_on_the_old]);
    proxy.turn_to(&other);
    // The connection to the old server still works: the change is noticed anyway, and neither server is used for
    // as long as someone may still lead on the old one.
    until("the address is refused", async || match a.observe().await {
        Ok(seen) => {
            assert_eq!(
                seen.memory.id, before.memory.id,
                "no one was refused before"
            );
            false
        }
        // Without the permission the old server carries out nothing any more.
        Err(error) if error.is_denied() && right_on_the_old == "-info" => false,
        Err(error) => {
            assert!(error.is_misconfigured(), "{error}");
            assert!(error.to_string().contains("leads to the one"), "{error}");
            true
        }
    })
    .await;
    until("requests go to the other server", async || {
        a.observe()
            .await
            .is_ok_and(|seen| seen.record.term.get() == 5)
    })
    .await;
    let reply = a.win(7).await;
    assert_ne!(reply.memory.id, before.memory.id);
}

#[tokio::test]
async fn a_runtime_with_connections_of_its_own_uses_no_other_server_than_its_process() {
    let (one, other) = (RedisServer::start(), RedisServer::start());
    let proxy = Balancer::before(&[&one], 1).await;
    let main = Election::new(&proxy.address(), "a");
    let early = main.apart();
    main.observe().await.unwrap();
    early.observe().await.unwrap();
    proxy.turn_to(&other);
    for candidate in [&main.apart(), &early, &main] {
        let error = candidate.observe().await.unwrap_err();
        assert!(error.is_misconfigured(), "{error}");
        assert!(error.to_string().contains("leads to the one"), "{error}");
    }
    assert_eq!(other.text(&["DBSIZE"]), "0");
}

/// The first look meets both servers, and as many connections after that lead to one of them.
#[tokio::test]
async fn a_runtime_that_was_refused_looks_at_more_connections_the_next_time() {
    let (one, other) = (RedisServer::start(), RedisServer::start());
    let proxy = Balancer::before(&[&one, &other], 6).await;
    let apart = Election::new(&proxy.address(), "a").apart();
    let mut before = Vec::new();
    for _ in 0..4 {
        before.push(TcpStream::connect(("127.0.0.1", proxy.port)).await.unwrap());
    }
    let mut refused = 0;
    while refused < 40 {
        let error = apart.observe().await.unwrap_err();
        assert!(error.is_misconfigured(), "{error}");
        refused += 1;
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    for server in [&one, &other] {
        assert_eq!(server.text(&["DBSIZE"]), "0");
    }
}

#[tokio::test]
async fn a_process_that_uses_only_connections_apart_notices_that_its_address_was_moved() {
    let (one, other) = (RedisServer::start(), RedisServer::start());
    let proxy = Balancer::before(&[&one], 1).await;
    let main = Election::new(&proxy.address(), "a");
    let apart = main.apart();
    main.observe().await.unwrap();
    let before = apart.observe().await.unwrap();
    proxy.turn_to(&other);
    until("the address is refused", async || {
        match apart.observe().await {
            Ok(seen) => {
                assert_eq!(seen.memory.id, before.memory.id, "no one was refused");
                false
            }
            Err(error) => error.is_misconfigured(),
        }
    })
    .await;
    let mut after = None;
    until("the address is used again", async || {
        after = apart.observe().await.ok();
        after.is_some()
    })
    .await;
    assert_ne!(
        after.unwrap().memory.id,
        before.memory.id,
        "the old server is used again"
    );
}

#[tokio::test]
async fn a_runtime_follows_its_process_to_another_server() {
    let (one, other) = (RedisServer::start(), RedisServer::start());
    let proxy = Balancer::before(&[&one], 1).await;
    let main = Election::new(&proxy.address(), "a");
    let apart = main.apart();
    let before = apart.observe().await.unwrap();
    proxy.turn_to(&other);
    let seen = main.observe().await.unwrap();
    assert_ne!(seen.memory.id, before.memory.id);
    let followed = apart.observe().await.unwrap();
    assert_eq!(followed.memory.id, seen.memory.id);
}

/// Behind an address of servers that do not say which they are, each candidate could reach another one.
#[tokio::test]
async fn a_server_that_does_not_report_its_run_id_is_refused() {
    let refused = async |url: &str| {
        let error = Election::new(&url.parse().unwrap(), "a").observe().await;
        error.unwrap_err()
    };
    let (one, other) = (RedisServer::start(), RedisServer::start());
    for server in [&one, &other] {
        server.command(&["ACL", "SETUSER", "default", "-info"]);
    }
    let proxy = Balancer::before(&[&one, &other], 1).await;
    for url in [
        format!("redis://127.0.0.1:{}", proxy.port),
        one.url(),
        one.unix_url(),
    ] {
        let error = refused(&url).await;
        assert!(error.is_denied(), "{error}");
        assert!(error.to_string().contains("NOPERM"), "{error}");
        assert!(error.to_string().contains("the right +info"), "{error}");
    }
    // One of the two reports it.
    other.command(&["ACL", "SETUSER", "default", "+info"]);
    let proxy = Balancer::before(&[&other, &one], 1).await;
    let error = refused(&format!("redis://127.0.0.1:{}", proxy.port)).await;
    assert!(error.is_denied(), "{error}");

    for name in ["", "hidden"] {
        let server = RedisServer::settings()
            .set("rename-command", &["INFO", name])
            .password("right")
            .start();
        let error = refused(&server.url()).await;
        assert!(error.is_misconfigured(), "{error}");
        assert!(error.to_string().contains("unknown command"), "{error}");
        assert!(error.to_string().contains("rename-command"), "{error}");
        // Its own error comes first.
        let error = refused(&server.url().replace("right", "wrong")).await;
        assert!(error.is_denied(), "{error}");
        assert!(error.to_string().contains("WRONGPASS"), "{error}");
    }
    for server in [one, other] {
        assert_eq!(server.text(&["DBSIZE"]), "0");
    }
}

/// As a proxy answers with a custom `INFO`.
#[tokio::test]
async fn an_info_without_a_run_id_is_no_identity() {
    let listener = TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
    let url = format!("redis://{}", listener.local_addr().unwrap());
    let proxy = async {
        loop {
            let (mut client, _) = listener.accept().await.unwrap();
            let mut asked = Vec::new();
            while !asked.ends_with(b"INFO\r\n") {
                assert_ne!(client.read_buf(&mut asked).await.unwrap(), 0);
            }
            let answer = b"+OK\r\n+OK\r\n$11\r\nrole:master\r\n";
            client.write_all(answer).await.unwrap();
        }
    };
    let a = Election::new(&url.parse().unwrap(), "a");
    let error = tokio::select! {
        observed = a.observe() => observed.unwrap_err(),
        () = proxy => unreachable!(),
    };
    assert!(error.is_misconfigured(), "{error}");
    assert!(error.to_string().contains("has no run_id"), "{error}");
}

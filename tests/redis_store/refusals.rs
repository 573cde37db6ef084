//! What a server answers instead of carrying out a request, on whatever server the tests run: each version
//! words it differently, and a script learns of it in yet another way.

use std::io::Write;
use std::net::TcpStream;

use incumbent::protocol::{Mark, Occupancy, Verdict};
use incumbent::store::{StoreAddress, StoreError};

use crate::election::Election;
use crate::faults::until;
use crate::support::redis::{RedisServer, Settings, free_port, major_version};

/// What kind of error a fault must be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    /// Trying again is pointless: exit status 77.
    Denied,
    /// The server cannot take it now, and has not executed it.
    Unwritable,
}

fn kind(error: &StoreError) -> Kind {
    match error {
        StoreError::Denied { .. } => Kind::Denied,
        StoreError::Unwritable { .. } => Kind::Unwritable,
        other => panic!("{other}"),
    }
}

/// A candidate that holds its election under term 7, on a server that nothing is wrong with.
async fn held(server: &RedisServer) -> (Election, Mark) {
    let a = Election::new(&server.address(), "a");
    let seen = a.win(7).await.mark();
    (a, seen)
}

/// Everything that candidates ask of a store, each of which would be granted.
async fn every_request((a, seen): &(Election, Mark)) -> [Option<StoreError>; 4] {
    let b = a.rival("b");
    [
        a.observe().await.err(),
        b.claim(9, *seen).await.err(),
        a.beat(7).await.err(),
        a.release(7).await.err(),
    ]
}

/// The server is there, answers, and takes nothing: an outage with the server's own words, at every request
/// that writes.
async fn takes_nothing(
    code: &str,
    settings: Settings,
    harm: impl AsyncFn(&RedisServer),
    undo: impl AsyncFn(&RedisServer),
) {
    let server = settings.start();
    let a = held(&server).await;
    harm(&server).await;
    for (at, error) in every_request(&a).await.into_iter().enumerate() {
        let error = error.unwrap_or_else(|| panic!("{code}: request {at} was carried out"));
        assert_eq!(kind(&error), Kind::Unwritable, "{code}: {error}");
        let said = format!("cannot take the request: {code} ");
        assert!(error.to_string().contains(&said), "{code}: {error}");
    }
    undo(&server).await;
    until(
        "it takes requests again",
        async || matches!(a.0.beat(7).await, Ok(reply) if reply.verdict == Verdict::Granted),
    )
    .await;
}

fn replica_of_nobody(server: &RedisServer) {
    server.command(&["REPLICAOF", "127.0.0.1", &free_port().to_string()]);
}

#[tokio::test]
async fn a_server_that_takes_no_writes_is_an_outage_in_its_own_words() {
    let master = async |server: &RedisServer| {
        server.command(&["REPLICAOF", "NO", "ONE"]);
    };
    takes_nothing(
        "READONLY",
        Settings::default(),
        async |server| replica_of_nobody(server),
        master,
    )
    .await;
    takes_nothing(
        "MASTERDOWN",
        Settings::default().set("replica-serve-stale-data", &["no"]),
        async |server| replica_of_nobody(server),
        master,
    )
    .await;
    takes_nothing("BUSY", Settings::default(), keep_busy, async |server| {
        server.command(&["SCRIPT", "KILL"]);
    })
    .await;
    // Version 6 lets scripts write anyway, as docs/redis.md says.
    if major_version() >= 7 {
        let replicas = async |server: &RedisServer, count: &str| {
            server.command(&["CONFIG", "SET", "min-replicas-to-write", count]);
        };
        takes_nothing(
            "NOREPLICAS",
            Settings::default(),
            async |server| replicas(server, "1").await,
            async |server| replicas(server, "0").await,
        )
        .await;
    }
}

/// Has the server run a script that never ends.
async fn keep_busy(server: &RedisServer) {
    server.command(&["CONFIG", "SET", "lua-time-limit", "1"]);
    let mut stream = TcpStream::connect(("127.0.0.1", server.port())).unwrap();
    stream
        .write_all(b"EVAL \"while true do end\" 0\r\n")
        .unwrap();
    until("it is busy", async || {
        let refused = server.try_command(&["GET", "a"]).err();
        refused.is_some_and(|error| error.code() == Some("BUSY"))
    })
    .await;
}

/// A server that cannot save refuses writes and can still be read.
#[tokio::test]
async fn a_server_that_cannot_save_takes_no_claim_and_no_heartbeat() {
    let server = RedisServer::settings().set("save", &["3600", "1"]).start();
    let a = held(&server).await;
    // A folder has the name of the file.
    std::fs::create_dir_all(server.directory().join("dump.rdb/in-the-way")).unwrap();
    server.command(&["BGSAVE"]);
    until("it has failed", async || {
        server.info("rdb_last_bgsave_status") == "err"
    })
    .await;
    let [observed, claimed, beaten, released] = every_request(&a).await;
    assert!(observed.is_none(), "{observed:?}");
    for error in [claimed.unwrap(), beaten.unwrap(), released.unwrap()] {
        assert_eq!(kind(&error), Kind::Unwritable, "{error}");
        assert!(error.to_string().contains(": MISCONF "), "{error}");
    }
}

#[tokio::test]
async fn a_connection_to_a_server_that_was_demoted_is_not_used_again() {
    let server = RedisServer::start();
    let standby = held(&server).await.0.rival("b");
    standby.observe().await.unwrap();
    replica_of_nobody(&server);
    for _ in 0..3 {
        let before = accepted(&server);
        let error = standby.observe().await.unwrap_err();
        assert_eq!(kind(&error), Kind::Unwritable, "{error}");
        // The next one finds the new master, where a Sentinel or a name leads to one.
        standby.observe().await.unwrap_err();
        assert!(accepted(&server) > before + 1, "it stayed where it was");
    }
}

/// How many connections the server has accepted, one for the question included.
fn accepted(server: &RedisServer) -> u64 {
    server.info("total_connections_received").parse().unwrap()
}

/// The rights of the documented user, one at a time taken away: whatever an election cannot do without is
/// refused at once, by the name of the command.
#[tokio::test]
async fn a_right_that_is_missing_is_named_by_the_request_that_needs_it() {
    let server = RedisServer::start();
    for right in [
        "evalsha", "time", "info", "get", "hmget", "zadd", "setnx", "getset", "incr", "del", "hset",
    ] {
        server.command(&["FLUSHALL"]);
        let taken = format!("-{right}");
        server.command(&[
            "ACL", "SETUSER", "elector", "reset", "on", ">pw", "~*", "&*", "+@all", &taken,
        ]);
        let url = format!("redis://elector:pw@127.0.0.1:{}", server.port());
        let error = campaign(&url).await.expect_err(right);
        assert_eq!(kind(&error), Kind::Denied, "{right}: {error}");
        assert!(error.to_string().contains(right), "{right}: {error}");
        server.command(&["ACL", "DELUSER", "elector"]);
    }
}

/// What a release leaves behind then is read by people only, and not of a record that is vacant.
#[tokio::test]
async fn a_release_without_the_permission_to_tidy_up_is_granted() {
    let server = RedisServer::start();
    let a = held(&server).await.0;
    server.command(&["ACL", "SETUSER", "default", "-hdel"]);
    let reply = a.release(7).await.unwrap();
    assert_eq!(reply.verdict, Verdict::Granted);
    assert_eq!(reply.record.occupancy, Occupancy::Vacant);
    assert_eq!(a.inspect().await.unwrap().holder, None);
}

/// Commands that a provider has disabled, or renamed.
#[tokio::test]
async fn a_command_that_is_renamed_away_is_told_in_the_words_of_the_server() {
    for command in ["EVALSHA", "HSET", "SETNX", "ZADD"] {
        for name in ["", "hidden"] {
            let server = RedisServer::settings()
                .set("rename-command", &[command, name])
                .start();
            let error = campaign(&server.url()).await.expect_err(command);
            assert_eq!(kind(&error), Kind::Denied, "{command}: {error}");
            let said = error.to_string().to_lowercase();
            assert!(said.contains("unknown"), "{command}: {error}");
            assert!(said.contains(&command.to_lowercase()), "{error}");
            assert_eq!(server.text(&["EXISTS", "incumbent:billing"]), "0");
        }
    }
}

/// One election from its first claim to its last release, over an address.
async fn campaign(url: &str) -> Result<(), StoreError> {
    let address: StoreAddress = url.parse().unwrap();
    let a = Election::new(&address, "a");
    let seen = a.observe().await?;
    let claimed = a.claim(7, seen.mark()).await?;
    a.beat(7).await?;
    let beaten = a.observe().await?.mark();
    assert_ne!(beaten, claimed.mark());
    let b = a.rival("b");
    b.claim(9, beaten).await?;
    b.release(9).await?;
    Ok(())
}

/// A server that has no room for another client will have some again.
#[tokio::test]
async fn a_server_with_too_many_clients_is_waited_for() {
    let server = RedisServer::start();
    let mut kept = server.connection();
    let mut limit = async |count: &str| {
        let mut command = redis::cmd("CONFIG");
        command.arg("SET").arg("maxclients").arg(count);
        command.exec(&mut kept).unwrap();
    };
    limit("1").await;
    let a = Election::new(&server.address(), "a");
    let error = a.observe().await.unwrap_err();
    assert!(matches!(error, StoreError::Unreachable { .. }), "{error}");
    limit("100").await;
    until("there is room", async || a.observe().await.is_ok()).await;
}

/// A node that has no slots answers nothing, however it is asked.
#[tokio::test]
async fn a_cluster_that_is_down_is_an_outage() {
    let server = RedisServer::settings()
        .set("cluster-enabled", &["yes"])
        .start();
    let address = server.url().replace("redis://", "redis+cluster://");
    let error = campaign(&address).await.unwrap_err();
    assert!(matches!(error, StoreError::Unreachable { .. }), "{error}");
    assert!(error.to_string().contains("serves slot"), "{error}");

    let error = campaign(&server.url()).await.unwrap_err();
    let text = error.to_string();
    match error {
        StoreError::Unwritable { .. } => assert!(text.contains("CLUSTERDOWN"), "{text}"),
        // Valkey 9.1 looks first whether the keys belong to one slot.
        _ => assert!(
            text.contains("CROSSSLOT") && text.contains("use redis+cluster://"),
            "{text}"
        ),
    }
}

/// Version 7 and later apply `min-replicas-to-write` to what a script writes.
#[tokio::test]
async fn replicas_are_waited_for_from_version_7_on() {
    let server = RedisServer::settings()
        .set("min-replicas-to-write", &["1"])
        .start();
    assert_eq!(campaign(&server.url()).await.is_ok(), major_version() < 7);
}

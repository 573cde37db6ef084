//! The floor: the same client and the same server, without an election.

use std::time::Duration;

use incumbent::election::clock;
use redis::aio::MultiplexedConnection;
use redis::{AsyncConnectionConfig, Client, IntoConnectionInfo, PushInfo, Script};
use tokio::sync::mpsc;

use crate::report::median;
use crate::support::redis::RedisServer;

/// A connection as the store makes it: without delay, and with pushes if they are wanted.
pub(crate) async fn connect(
    server: &RedisServer,
    pushes: Option<mpsc::UnboundedSender<PushInfo>>,
) -> MultiplexedConnection {
    let info = format!("{}/?protocol=resp3", server.url())
        .into_connection_info()
        .expect("an address");
    let tcp = info.tcp_settings().clone().set_nodelay(true);
    let client = Client::open(info.set_tcp_settings(tcp)).expect("a client");
    let mut config = AsyncConnectionConfig::new()
        .set_connection_timeout(None)
        .set_response_timeout(None);
    if let Some(pushes) = pushes {
        config = config.set_push_sender(pushes);
    }
    client
        .get_multiplexed_async_connection_with_config(&config)
        .await
        .expect("a connection")
}

/// The median of a bare `EVALSHA` that sets a key if it is absent and deletes it the next time.
pub(crate) async fn evalsha(server: &RedisServer, rounds: usize) -> Duration {
    let script = Script::new(
        "if redis.call('SETNX', KEYS[1], ARGV[1]) == 0 then redis.call('DEL', KEYS[1]) end return 1",
    );
    let mut connection = connect(server, None).await;
    let mut times = Vec::with_capacity(rounds);
    for _ in 0..rounds {
        let begin = clock::now();
        let _one: i64 = script
            .key("raw")
            .arg(1)
            .invoke_async(&mut connection)
            .await
            .expect("an answer");
        times.push(clock::now().since(begin));
    }
    median(times)
}

/// The median of a bare `EVALSHA` of the store's own claim: what the server needs for it, and a round
/// trip.
pub(crate) async fn claim(server: &RedisServer, rounds: usize) -> Duration {
    let script = Script::new(concat!(
        include_str!("../../src/store/redis/scripts/record.lua"),
        "\n",
        include_str!("../../src/store/redis/scripts/claim.lua"),
    ));
    const KEYS: [&str; 4] = ["{raw}", "{raw}:record", "{raw}:candidates", "{raw}:history"];
    let mut connection = connect(server, None).await;
    let mut times = Vec::with_capacity(rounds);
    for _ in 0..rounds {
        // The last claim, of this measurement or of one before.
        let _deleted: i64 = redis::cmd("DEL")
            .arg(&KEYS)
            .query_async(&mut connection)
            .await
            .expect("an answer");
        let mut claim = script.prepare_invoke();
        for key in KEYS {
            claim.key(key);
        }
        for argument in [
            "id|host|1|0",
            "id",
            "1",
            "1",
            "5000000000",
            "0",
            "absent",
            "0",
            "0",
            "",
        ] {
            claim.arg(argument);
        }
        let begin = clock::now();
        let answer: redis::Value = claim
            .invoke_async(&mut connection)
            .await
            .expect("an answer");
        times.push(clock::now().since(begin));
        let granted =
            matches!(&answer, redis::Value::Array(items) if items[0] == redis::Value::Int(1));
        assert!(granted, "{answer:?}");
    }
    median(times)
}

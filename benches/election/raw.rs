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
    url: &str,
    pushes: Option<mpsc::UnboundedSender<PushInfo>>,
) -> MultiplexedConnection {
    let info = format!("{url}/?protocol=resp3")
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

/// What a bare `EVALSHA` takes that sets a key if it is absent and deletes it the next time.
pub(crate) async fn evalsha(mut connection: MultiplexedConnection, rounds: u64) -> Vec<Duration> {
    let script = Script::new(
        "if redis.call('SETNX', KEYS[1], ARGV[1]) == 0 then redis.call('DEL', KEYS[1]) end return 1",
    );
    let mut times = Vec::new();
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
    times
}

/// A connection with its own thread for reading and writing, like that of the elections.
pub(crate) fn connect_on_another_thread(server: &RedisServer) -> MultiplexedConnection {
    let (made, connection) = std::sync::mpsc::channel();
    let (url, runtime) = (server.url(), crate::runtime());
    std::thread::spawn(move || {
        runtime.block_on(async {
            made.send(connect(&url, None).await)
                .expect("it is waited for");
            std::future::pending::<()>().await;
        });
    });
    connection.recv().expect("a connection")
}

/// The scripts of the store, as it puts them together.
macro_rules! script {
    ($file:literal) => {
        Script::new(concat!(
            include_str!("../../src/store/redis/scripts/record.lua"),
            "\n",
            include_str!("../../src/store/redis/scripts/changes.lua"),
            "\n",
            include_str!(concat!("../../src/store/redis/scripts/", $file)),
        ))
    };
}

/// What bare `EVALSHA`s of the store's own claim and release take, with the arguments of an election that
/// is won and given up again and again: what the server needs for each, and a round trip.
pub(crate) async fn claim_and_release(
    mut connection: MultiplexedConnection,
    rounds: u64,
    times: &mut Pair,
) {
    const KEYS: [&str; 4] = ["raw", "{raw}:record", "{raw}:candidates", "{raw}:history"];
    const ID: &str = "host:12345:0123456789abcdef";
    const WHO: &str = "host:12345:0123456789abcdef|host|12345|0.1.0|\
                       1000000000/5/1000000000/1000000000/5000000000";
    const FIRST: u64 = 1_763_715_600_000;
    let (claim, release) = (script!("claim.lua"), script!("release.lua"));
    let _deleted: i64 = redis::cmd("DEL")
        .arg(&KEYS)
        .query_async(&mut connection)
        .await
        .expect("an answer");
    let mut expected = ["absent".to_owned(), "0".to_owned(), "0".to_owned()];
    for term in FIRST..=FIRST + rounds {
        let number = term.to_string();
        let [shape, before, beat] = &expected;
        let claimed = [
            WHO,
            ID,
            &number,
            &number,
            "5000000000",
            "0",
            shape,
            before,
            beat,
            "",
        ];
        let released = [WHO, ID, &number, "{raw}:events", "resigned"];
        let mut took = Vec::new();
        for (script, arguments) in [(&claim, &claimed[..]), (&release, &released[..])] {
            let mut call = script.prepare_invoke();
            KEYS.iter().for_each(|key| {
                call.key(key);
            });
            arguments.iter().for_each(|argument| {
                call.arg(argument);
            });
            let begin = clock::now();
            let answer: redis::Value = call.invoke_async(&mut connection).await.expect("an answer");
            took.push(clock::now().since(begin));
            let granted =
                matches!(&answer, redis::Value::Array(items) if items[0] == redis::Value::Int(1));
            assert!(granted, "{answer:?}");
        }
        // The first claim is of an absent record, and teaches the server its script.
        if term > FIRST {
            times.wins.push(took[0]);
            times.ends.push(took[1]);
        }
        expected = ["vacant".to_owned(), number.clone(), number];
    }
}

/// How long winning took, and giving up.
#[derive(Default)]
pub(crate) struct Pair {
    pub(crate) wins: Vec<Duration>,
    pub(crate) ends: Vec<Duration>,
}

impl Pair {
    pub(crate) fn medians(self) -> [Duration; 2] {
        [median(self.wins), median(self.ends)]
    }
}

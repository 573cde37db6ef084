//! The floor: the same client and the same server, without an election.

use std::time::Duration;

use incumbent::election::clock;
use incumbent::store::fuzzing;
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

/// What bare `EVALSHA`s of the store's own claim and release take, with the arguments of an election that
/// is won and given up again and again: what the server needs for each, and a round trip.
pub(crate) async fn claim_and_release(
    mut connection: MultiplexedConnection,
    rounds: u64,
    times: &mut Pair,
) {
    const KEYS: [&str; 5] = [
        "raw",
        "{raw}:record",
        "{raw}:candidates",
        "{raw}:memory",
        "{raw}:history",
    ];
    const ID: &str = "host:12345:0123456789abcdef";
    const WHO: &str = "host:12345:0123456789abcdef|host|12345|0.1.0|\
                       1000000000/5/1000000000/1000000000/5000000000";
    let [claim, release] = fuzzing::redis::claim_and_release().map(Script::new);
    let _deleted: i64 = redis::cmd("DEL")
        .arg(&KEYS)
        .query_async(&mut connection)
        .await
        .expect("an answer");
    // The first claim is of an absent record, and teaches the server its script.
    let (mut expected, mut memory) = (vec!["absent".to_owned()], String::new());
    for round in 0..=rounds {
        let nonce = round.to_string();
        let mut claimed = vec![WHO, ID, "1", "1", "5000000000", "sole", &memory];
        claimed.extend(["86400000", "0"]);
        claimed.extend(expected.iter().map(String::as_str));
        claimed.push(&nonce);
        let begin = clock::now();
        let held = granted(&claim, &KEYS, &claimed, &mut connection).await;
        let won = clock::now();
        let term = &held[4];
        let released = [WHO, ID, term, "{raw}:events", "resigned", "0", &nonce];
        let begun = clock::now();
        let left = granted(&release, &KEYS, &released, &mut connection).await;
        if round > 0 {
            times.wins.push(won.since(begin));
            times.ends.push(clock::now().since(begun));
        }
        let id = left[10].split(' ').nth(1).expect("the id of the memory");
        let mark = ["vacant", &left[4], &left[5], "", id, ""];
        (expected, memory) = (mark.map(str::to_owned).to_vec(), id.to_owned());
    }
}

/// The texts of the reply to a script that grants what it is asked for.
async fn granted(
    script: &Script,
    keys: &[&str],
    arguments: &[&str],
    connection: &mut MultiplexedConnection,
) -> Vec<String> {
    let mut call = script.prepare_invoke();
    keys.iter().for_each(|key| {
        call.key(key);
    });
    arguments.iter().for_each(|argument| {
        call.arg(argument);
    });
    let answer: redis::Value = call.invoke_async(connection).await.expect("an answer");
    let redis::Value::Array(items) = &answer else {
        panic!("{answer:?}")
    };
    assert_eq!(items[0], redis::Value::Int(1), "{answer:?}");
    let text = |item: &redis::Value| match item {
        redis::Value::BulkString(bytes) => String::from_utf8_lossy(bytes).into_owned(),
        _ => String::new(),
    };
    items.iter().map(text).collect()
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

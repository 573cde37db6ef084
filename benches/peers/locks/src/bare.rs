//! The floors: the same client library, server and scripts, without a lock.

use incumbent::store::fuzzing;
use redis::aio::MultiplexedConnection;
use redis::{AsyncConnectionConfig, Client, IntoConnectionInfo, Script, Value};

const ID: &str = "host:12345:0123456789abcdef";
const WHO: &str = "host:12345:0123456789abcdef|host|12345|0.1.0|1000000000/5/1000000000/1000000000/5000000000||12345678";

#[derive(Clone)]
pub struct Bare {
    connection: MultiplexedConnection,
    claim: Script,
    release: Script,
    nothing: Script,
    unset: Script,
    /// The memory that claims vouch for, as a lock does that knows it.
    memory: String,
    nonce: u64,
}

impl Bare {
    pub async fn connect(url: &str) -> Self {
        let info = url.into_connection_info().unwrap();
        let tcp = info.tcp_settings().clone().set_nodelay(true);
        let client = Client::open(info.set_tcp_settings(tcp)).unwrap();
        let config = AsyncConnectionConfig::new()
            .set_connection_timeout(None)
            .set_response_timeout(None);
        let connection = client
            .get_multiplexed_async_connection_with_config(&config)
            .await;
        let [claim, release] = fuzzing::redis::claim_and_release().map(Script::new);
        let mut bare = Self {
            connection: connection.unwrap(),
            claim,
            release,
            nothing: Script::new("return 1"),
            unset: Script::new(
                "if redis.call('GET', KEYS[1]) == ARGV[1] then return redis.call('DEL', KEYS[1]) else return 0 end",
            ),
            memory: String::new(),
            nonce: 0,
        };
        // The server learns its scripts.
        let token = bare.claim("learn").await;
        bare.release("learn", &token).await;
        bare.nothing().await;
        bare.set("learn").await;
        bare.unset("learn").await;
        bare
    }

    fn keys(name: &str) -> [String; 5] {
        let key = format!("incumbent:{name}");
        let companion = |what: &str| format!("{{{key}}}:{what}");
        [
            key.clone(),
            companion("record"),
            companion("candidates"),
            "{incumbent:}:memory".to_owned(),
            companion("history"),
        ]
    }

    /// The claim of a lock that no one holds. Returns the token.
    pub async fn claim(&mut self, name: &str) -> String {
        self.nonce += 1;
        let nonce = self.nonce.to_string();
        let mut call = self.claim.prepare_invoke();
        for key in &Self::keys(name)[..4] {
            call.key(key);
        }
        let age = "86400000";
        for argument in [WHO, ID, "1", "1", "5000000000", "sole"] {
            call.arg(argument);
        }
        for argument in [&self.memory, age, "1", "absent", &nonce] {
            call.arg(argument);
        }
        let answer = call.invoke_async(&mut self.connection).await.unwrap();
        let items = Self::granted(&answer, 5);
        let memory = items[5].split(' ').nth(1);
        self.memory = memory.unwrap().to_owned();
        items[2].clone()
    }

    /// The texts of a reply of that form.
    fn granted(answer: &Value, form: i64) -> Vec<String> {
        let Value::Array(items) = answer else {
            panic!("{answer:?}")
        };
        assert_eq!(items[0], Value::Int(form), "{answer:?}");
        let text = |item: &Value| match item {
            Value::BulkString(bytes) => String::from_utf8(bytes.clone()).unwrap(),
            _ => String::new(),
        };
        items.iter().map(text).collect()
    }

    pub async fn release(&mut self, name: &str, token: &str) {
        self.nonce += 1;
        let nonce = self.nonce.to_string();
        let mut call = self.release.prepare_invoke();
        let keys = Self::keys(name);
        for key in &keys {
            call.key(key);
        }
        let events = keys[4].replace(":history", ":events");
        for argument in [WHO, ID, token, &events, "resigned", "1", &nonce] {
            call.arg(argument);
        }
        let answer = call.invoke_async(&mut self.connection).await.unwrap();
        Self::granted(&answer, 6);
    }

    pub async fn nothing(&mut self) {
        let _one: i64 = self
            .nothing
            .invoke_async(&mut self.connection)
            .await
            .unwrap();
    }

    /// What a lock of rslock asks for.
    pub async fn set(&mut self, name: &str) {
        let mut set = redis::cmd("SET");
        set.arg(name).arg(ID).arg("NX").arg("PX").arg(5000);
        let _ok: Value = set.query_async(&mut self.connection).await.unwrap();
    }

    pub async fn unset(&mut self, name: &str) {
        let _one: i64 = self
            .unset
            .key(name)
            .arg(ID)
            .invoke_async(&mut self.connection)
            .await
            .unwrap();
    }
}

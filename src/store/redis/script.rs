//! The scripts, and how one is called: by its digest, and by its text when the server has lost it.

use std::sync::LazyLock;

use redis::aio::ConnectionLike;
use redis::{Cmd, ErrorKind, RedisResult, ServerErrorKind, Value};

/// A script that runs on the server, atomically.
pub(super) struct Script {
    text: String,
    digest: String,
}

/// Every script begins with `base.lua`, and those of one election go on with `head.lua`, which reads the memory of the
/// server.
macro_rules! script {
    ($($file:literal),+) => {
        LazyLock::new(|| {
            Script::new(concat!($(include_str!(concat!("scripts/", $file)), "\n"),+))
        })
    };
}

pub(super) static OBSERVE: LazyLock<Script> = script!(
    "base.lua",
    "head.lua",
    "record.lua",
    "memory.lua",
    "observe.lua"
);
pub(super) static CLAIM: LazyLock<Script> = script!(
    "base.lua",
    "head.lua",
    "claim_free.lua",
    "record.lua",
    "memory.lua",
    "history.lua",
    "claim.lua"
);
pub(super) static BEAT: LazyLock<Script> = script!(
    "base.lua",
    "head.lua",
    "record.lua",
    "memory.lua",
    "beat.lua"
);
pub(super) static BEATS: LazyLock<Script> = script!("base.lua", "beats.lua");
pub(super) static RELEASE: LazyLock<Script> = script!(
    "base.lua",
    "head.lua",
    "release_brief.lua",
    "record.lua",
    "memory.lua",
    "history.lua",
    "changes.lua",
    "release.lua"
);
/// Orders are rare: a server learns this one when it is first called.
pub(super) static ORDER: LazyLock<Script> = script!(
    "base.lua",
    "head.lua",
    "record.lua",
    "memory.lua",
    "history.lua",
    "changes.lua",
    "order.lua"
);
pub(super) static INSPECT: LazyLock<Script> =
    script!("base.lua", "head.lua", "record.lua", "inspect.lua");

/// The script as a server gets it. To a client that has not logged in, a server that wants a password answers so
/// only if no argument is longer than 16 KiB: otherwise it hangs up.
fn without_comments(text: &str) -> String {
    let lines = text.lines().map(str::trim);
    let code = lines.filter(|line| !line.is_empty() && !line.starts_with("--"));
    code.collect::<Vec<_>>().join("\n")
}

/// Loads all scripts into a server, in one round trip. A server that refuses, for lack of a permission for
/// example, gets them when they are called.
pub(super) async fn load_all(connection: &mut (impl ConnectionLike + Send)) -> RedisResult<()> {
    let mut pipeline = redis::pipe();
    for script in [&OBSERVE, &CLAIM, &BEAT, &BEATS, &RELEASE, &INSPECT] {
        pipeline.cmd("SCRIPT").arg("LOAD").arg(&script.text);
    }
    let count = pipeline.len();
    match connection.req_packed_commands(&pipeline, 0, count).await {
        Err(error) if error.is_io_error() => Err(error),
        Ok(_) | Err(_) => Ok(()),
    }
}

impl Script {
    fn new(text: &str) -> Self {
        let text = without_comments(text);
        Self {
            digest: redis::Script::new(&text).get_hash().to_owned(),
            text,
        }
    }

    #[cfg(feature = "_fuzzing")]
    pub(super) fn text(&self) -> &str {
        &self.text
    }

    /// Runs the script once: the first call is refused as a whole when the server does not know it.
    pub(super) async fn call(
        &self,
        connection: &mut (impl ConnectionLike + Send),
        keys: &[&str],
        arguments: &[&str],
    ) -> RedisResult<Value> {
        let by_digest = self.command("EVALSHA", &self.digest, keys, arguments);
        match value(connection.req_packed_command(&by_digest).await) {
            Err(error) if error.kind() == ErrorKind::Server(ServerErrorKind::NoScript) => {
                let by_text = self.command("EVAL", &self.text, keys, arguments);
                value(connection.req_packed_command(&by_text).await)
            }
            result => result,
        }
    }

    fn command(&self, how: &str, script: &str, keys: &[&str], arguments: &[&str]) -> Cmd {
        let texts = keys.iter().chain(arguments);
        // The number of keys has a few digits.
        let bytes = how.len() + script.len() + 8 + texts.map(|text| text.len()).sum::<usize>();
        let mut command = Cmd::with_capacity(3 + keys.len() + arguments.len(), bytes);
        command
            .arg(how)
            .arg(script)
            .arg(keys.len())
            .arg(keys)
            .arg(arguments);
        command
    }
}

/// A reply of the server that is an error, as an error.
pub(super) fn value(reply: RedisResult<Value>) -> RedisResult<Value> {
    match reply? {
        Value::ServerError(error) => Err(error.into()),
        value => Ok(value),
    }
}

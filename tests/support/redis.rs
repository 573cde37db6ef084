//! A real redis-server for one test.
#![allow(
    clippy::disallowed_methods,
    reason = "a test waits for a process by the machine's clock"
)]

use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::LazyLock;
use std::time::{Duration, Instant};

use incumbent::store::StoreAddress;
use redis::{Connection, RedisError, RedisResult, Value};
use rustix::process::{Pid, Signal, kill_process};
use tempfile::TempDir;

/// How long a server may take to obey.
const PATIENCE: Duration = Duration::from_secs(20);

/// A redis-server on a free port and a unix socket in a temporary directory. It is killed when it is
/// dropped.
pub struct RedisServer {
    directory: TempDir,
    settings: Settings,
    port: u16,
    child: Child,
}

/// What a server is started with.
#[derive(Default)]
pub struct Settings {
    /// Lines of `redis.conf`.
    lines: Vec<String>,
    environment: Vec<(String, String)>,
    password: Option<String>,
    sentinel: bool,
}

impl Settings {
    /// One more setting, as in `redis.conf`: the name and its values.
    #[must_use]
    pub fn set(mut self, name: &str, values: &[&str]) -> Self {
        let values = values.iter().map(|value| format!(" {value:?}"));
        self.lines
            .push(format!("{name}{}", values.collect::<String>()));
        self
    }

    /// One more variable of its environment.
    #[must_use]
    pub fn variable(mut self, name: &str, value: &str) -> Self {
        self.environment.push((name.to_owned(), value.to_owned()));
        self
    }

    /// Asks for a password.
    #[must_use]
    pub fn password(mut self, password: &str) -> Self {
        self.password = Some(password.to_owned());
        self.set("requirepass", &[password])
    }

    /// Acknowledges a write when it is on disk, so that a restart can keep the data.
    #[must_use]
    pub fn durable(self) -> Self {
        self.set("appendonly", &["yes"])
            .set("appendfsync", &["always"])
    }

    /// Allows `DEBUG`, as version 6 always does.
    #[must_use]
    pub fn debuggable(self) -> Self {
        match major_version() {
            ..7 => self,
            7.. => self.set("enable-debug-command", &["yes"]),
        }
    }

    /// Starts a Sentinel that watches `master` as `service`, alone.
    #[must_use]
    pub fn sentinel(self, service: &str, master: &RedisServer) -> Self {
        self.sentinel_at(service, master.port)
    }

    /// The same for a master at `port`.
    #[must_use]
    pub fn sentinel_at(mut self, service: &str, port: u16) -> Self {
        self.sentinel = true;
        let port = port.to_string();
        self.set("sentinel", &["monitor", service, "127.0.0.1", &port, "1"])
            .set("sentinel", &["down-after-milliseconds", service, "500"])
            .set("sentinel", &["failover-timeout", service, "2000"])
    }

    #[must_use]
    pub fn start(self) -> RedisServer {
        RedisServer::with(self)
    }

    /// Writes the configuration. A Sentinel keeps its state there afterwards, so it is written once.
    fn write(&self, directory: &Path, port: u16) {
        let directory_text = directory.display();
        let mut text = format!(
            "port {port}\nbind 127.0.0.1\ndaemonize no\ndir \"{directory_text}\"\n\
             unixsocket \"{directory_text}/redis.sock\"\n"
        );
        if !self.sentinel {
            text.push_str("save \"\"\n");
        }
        // Before version 7 the port of the cluster bus follows from the other one.
        let in_cluster = |line: &String| line.starts_with("cluster-enabled");
        if self.lines.iter().any(in_cluster) && major_version() >= 7 {
            text.push_str(&format!("cluster-port {}\n", free_port()));
        }
        for line in &self.lines {
            text.push_str(line);
            text.push('\n');
        }
        std::fs::write(directory.join("redis.conf"), text).unwrap();
    }
}

impl RedisServer {
    /// A server that keeps nothing on disk.
    #[must_use]
    pub fn start() -> Self {
        Settings::default().start()
    }

    #[must_use]
    pub fn settings() -> Settings {
        Settings::default()
    }

    fn with(mut settings: Settings) -> Self {
        let mut directory = tempfile::Builder::new().prefix("redis").tempdir().unwrap();
        // Another process may take the port between its choice and its use.
        for _ in 0..20 {
            let port = free_port();
            settings.write(directory.path(), port);
            let child = spawn(directory.path(), &settings);
            let mut server = Self {
                directory,
                settings,
                port,
                child,
            };
            if server.is_ready() {
                return server;
            }
            (directory, settings) = server.into_parts();
        }
        panic!("no free port for a redis-server")
    }

    /// The server over TCP.
    #[must_use]
    pub fn url(&self) -> String {
        match &self.settings.password {
            Some(password) => format!("redis://:{password}@127.0.0.1:{}", self.port),
            None => format!("redis://127.0.0.1:{}", self.port),
        }
    }

    /// The server over its unix socket.
    #[must_use]
    pub fn unix_url(&self) -> String {
        let socket = self.socket();
        match &self.settings.password {
            Some(password) => format!("redis+unix://:{password}@{}", socket.display()),
            None => format!("redis+unix://{}", socket.display()),
        }
    }

    #[must_use]
    pub fn address(&self) -> StoreAddress {
        self.url().parse().unwrap()
    }

    #[must_use]
    pub const fn port(&self) -> u16 {
        self.port
    }

    #[must_use]
    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    #[must_use]
    pub fn directory(&self) -> &Path {
        self.directory.path()
    }

    /// A connection of the test's own, past the store.
    #[must_use]
    pub fn connection(&self) -> Connection {
        self.connect().unwrap()
    }

    /// Runs one command and returns its reply; a reply that is an error ends the test. It is asked
    /// again when the connection breaks: a server that changes its role drops all of them.
    pub fn command(&self, words: &[&str]) -> Value {
        (0..10)
            .map(|_| self.try_command(words))
            .find(|reply| !reply.as_ref().is_err_and(RedisError::is_connection_dropped))
            .unwrap_or_else(|| panic!("{words:?}: the connection breaks each time"))
            .unwrap_or_else(|error| panic!("{words:?}: {error}"))
    }

    /// Runs one command.
    pub fn try_command(&self, words: &[&str]) -> RedisResult<Value> {
        let (name, arguments) = words.split_first().unwrap();
        redis::cmd(name).arg(arguments).query(&mut self.connect()?)
    }

    /// Runs one command and returns its reply as text.
    pub fn text(&self, words: &[&str]) -> String {
        match self.command(words) {
            Value::BulkString(bytes) => String::from_utf8(bytes).unwrap(),
            Value::SimpleString(text) => text,
            Value::Int(number) => number.to_string(),
            Value::Okay => "OK".to_owned(),
            Value::Nil => String::new(),
            other => panic!("{words:?} answered {other:?}"),
        }
    }

    /// Lets `user` log in with this password and no other, and do everything.
    pub fn let_in(&self, user: &str, password: &str) {
        let password = format!(">{password}");
        let words = ["resetpass", &password, "~*", "&*", "+@all"];
        self.command(&[&["ACL", "SETUSER", user, "on"], &words[..]].concat());
    }

    /// A figure from `INFO`.
    #[must_use]
    pub fn info(&self, name: &str) -> String {
        // A Sentinel of version 6 leaves out its masters when it is asked for everything.
        let info = match self.settings.sentinel {
            true => self.text(&["INFO"]),
            false => self.text(&["INFO", "everything"]),
        };
        let line = info
            .lines()
            .find_map(|line| line.strip_prefix(name)?.strip_prefix(':'));
        line.unwrap_or_else(|| panic!("INFO has no {name}"))
            .to_owned()
    }

    /// Makes the memory that elections have of it old enough for any timing.
    pub fn grow_old(&self) {
        let key = "{incumbent:}:memory";
        let memory = self.text(&["HGET", key, "memory"]);
        let mut fields: Vec<&str> = memory.split(' ').collect();
        fields[2] = "86400000";
        self.command(&["HSET", key, "memory", &fields.join(" ")]);
    }

    /// Kills it, as a crash would.
    pub fn kill(&mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }

    /// Starts it again on the same port and socket, with what its directory holds.
    pub fn start_again(&mut self) {
        assert!(self.child.try_wait().unwrap().is_some(), "it still runs");
        // While it was down, a server of another test may have taken its port.
        for _ in 0..3_000 {
            if TcpListener::bind(("127.0.0.1", self.port)).is_ok() {
                break;
            }
            std::thread::sleep(Duration::from_millis(10));
        }
        self.child = spawn(self.directory.path(), &self.settings);
        assert!(self.is_ready(), "it did not come back: {}", self.log());
    }

    /// Kills it and starts it again; a [`durable`](Settings::durable) one has its data back.
    pub fn restart(&mut self) {
        self.kill();
        self.start_again();
    }

    /// Kills it, deletes what it had on disk, and starts it again.
    pub fn restart_empty(&mut self) {
        self.kill();
        self.delete_data();
        self.start_again();
    }

    /// A copy of what it has on disk.
    #[must_use]
    pub fn snapshot(&self) -> TempDir {
        let copy = tempfile::tempdir().unwrap();
        for path in self.data() {
            copy_data(&path, copy.path());
        }
        copy
    }

    /// Kills it, and starts it again with a copy of what it had on disk before.
    pub fn restart_from(&mut self, snapshot: &TempDir) {
        self.kill();
        self.delete_data();
        for entry in std::fs::read_dir(snapshot.path()).unwrap() {
            copy_data(&entry.unwrap().path(), self.directory.path());
        }
        self.start_again();
    }

    fn delete_data(&self) {
        for path in self.data() {
            if path.is_dir() {
                std::fs::remove_dir_all(path).unwrap();
            } else {
                std::fs::remove_file(path).unwrap();
            }
        }
    }

    /// What it has on disk of its data: files, or a folder of them.
    fn data(&self) -> Vec<PathBuf> {
        let entries = std::fs::read_dir(self.directory.path()).unwrap();
        let paths = entries.map(|entry| entry.unwrap().path());
        let is_data = |path: &PathBuf| {
            let extension = path.extension();
            path.is_dir() || extension.is_some_and(|it| it == "rdb" || it == "aof")
        };
        paths.filter(is_data).collect()
    }

    /// Stops it in its tracks: connections stay open, and nothing is answered.
    pub fn freeze(&self) {
        self.signal(Signal::STOP);
    }

    /// Lets it go on.
    pub fn thaw(&self) {
        self.signal(Signal::CONT);
    }

    fn signal(&self, signal: Signal) {
        let pid = i32::try_from(self.child.id()).unwrap();
        kill_process(Pid::from_raw(pid).unwrap(), signal).unwrap();
    }

    /// Its unix socket.
    #[must_use]
    pub fn socket(&self) -> PathBuf {
        self.directory.path().join("redis.sock")
    }

    fn connect(&self) -> RedisResult<Connection> {
        redis::Client::open(redis_url(&self.socket(), self.settings.password.as_deref()))?
            .get_connection_with_timeout(PATIENCE)
    }

    /// What it has logged.
    #[must_use]
    pub fn log(&self) -> String {
        std::fs::read_to_string(self.directory.path().join("log")).unwrap()
    }

    /// Waits until it answers; `false` when it has ended instead.
    fn is_ready(&mut self) -> bool {
        let since = Instant::now();
        loop {
            if self.try_command(&["PING"]).is_ok() {
                return true;
            }
            if self.child.try_wait().unwrap().is_some() {
                return false;
            }
            assert!(since.elapsed() < PATIENCE, "no answer: {}", self.log());
            std::thread::sleep(Duration::from_millis(5));
        }
    }

    fn into_parts(mut self) -> (TempDir, Settings) {
        let another = tempfile::tempdir().unwrap();
        let directory = std::mem::replace(&mut self.directory, another);
        (directory, std::mem::take(&mut self.settings))
    }
}

impl Drop for RedisServer {
    fn drop(&mut self) {
        // It may have ended already.
        drop(self.child.kill());
        drop(self.child.wait());
    }
}

fn spawn(directory: &Path, settings: &Settings) -> Child {
    let log = std::fs::File::options()
        .create(true)
        .append(true)
        .open(directory.join("log"))
        .unwrap();
    Command::new(program())
        .arg(directory.join("redis.conf"))
        .args(settings.sentinel.then_some("--sentinel"))
        .envs(
            settings
                .environment
                .iter()
                .map(|(name, value)| (name, value)),
        )
        .stdin(Stdio::null())
        .stdout(log.try_clone().unwrap())
        .stderr(log)
        .spawn()
        .unwrap_or_else(|error| {
            let program = program();
            panic!("{program} cannot be started ({error}): tests/run installs what the tests need")
        })
}

/// The server under test. `tests/run` names each one that is supported in turn.
#[must_use]
pub fn program() -> &'static str {
    static PROGRAM: LazyLock<String> = LazyLock::new(|| {
        std::env::var("INCUMBENT_TEST_REDIS_SERVER").unwrap_or_else(|_| "redis-server".to_owned())
    });
    &PROGRAM
}

/// Its kind and its version: `Redis server v=7.0.15 sha=…`, or `Valkey server v=9.1.2 …`.
#[must_use]
pub fn version() -> (&'static str, &'static str) {
    static LINE: LazyLock<String> = LazyLock::new(|| {
        let output = Command::new(program()).arg("--version").output().unwrap();
        String::from_utf8(output.stdout).unwrap()
    });
    let (kind, rest) = LINE.split_once(" server v=").unwrap();
    (kind, rest.split(' ').next().unwrap())
}

/// The first number of its version.
#[must_use]
pub fn major_version() -> u32 {
    version().1.split('.').next().unwrap().parse().unwrap()
}

fn redis_url(socket: &Path, password: Option<&str>) -> String {
    match password {
        Some(password) => format!("unix://{}?pass={password}", socket.display()),
        None => format!("unix://{}", socket.display()),
    }
}

/// A port that was free a moment ago, outside of the range from which the system takes the ports of
/// outgoing connections: none of these can have it while its server is down.
#[must_use]
pub fn free_port() -> u16 {
    loop {
        let port = fastrand::u16(12_000..32_000);
        if TcpListener::bind(("127.0.0.1", port)).is_ok() {
            return port;
        }
    }
}

/// Copies a file, or a folder of files, into a folder.
fn copy_data(from: &Path, folder: &Path) {
    let to = folder.join(from.file_name().unwrap());
    if from.is_dir() {
        std::fs::create_dir(&to).unwrap();
        for entry in std::fs::read_dir(from).unwrap() {
            copy_data(&entry.unwrap().path(), &to);
        }
    } else {
        std::fs::copy(from, to).unwrap();
    }
}

//! A redis-server in a temporary directory.

use std::net::TcpListener;
use std::process::{Child, Command, Stdio};

use redis::{Client, Value};
use tempfile::TempDir;

pub struct Server {
    child: Child,
    port: u16,
    _directory: TempDir,
}

impl Server {
    pub fn start() -> Self {
        let directory = tempfile::tempdir().unwrap();
        let port = TcpListener::bind("127.0.0.1:0")
            .unwrap()
            .local_addr()
            .unwrap()
            .port();
        let child = Command::new("redis-server")
            .args([
                "--port",
                &port.to_string(),
                "--bind",
                "127.0.0.1",
                "--save",
                "",
                "--dir",
            ])
            .arg(directory.path())
            .stdout(Stdio::null())
            .spawn()
            .unwrap();
        let server = Self {
            child,
            port,
            _directory: directory,
        };
        while Client::open(server.url())
            .unwrap()
            .get_connection()
            .is_err()
        {
            std::thread::sleep(std::time::Duration::from_millis(5));
        }
        server
    }

    pub fn url(&self) -> String {
        format!("redis://127.0.0.1:{}", self.port)
    }

    fn text(&self, command: &mut redis::Cmd) -> String {
        let mut connection = Client::open(self.url()).unwrap().get_connection().unwrap();
        match command.query(&mut connection).unwrap() {
            Value::BulkString(bytes) => String::from_utf8(bytes).unwrap(),
            other => panic!("{other:?}"),
        }
    }

    /// Makes the memory that elections have of it old enough for any timing.
    pub fn grow_old(&self) {
        let key = "{incumbent:}:memory";
        let memory = self.text(redis::cmd("HGET").arg(key).arg("memory"));
        let mut fields: Vec<&str> = memory.split(' ').collect();
        fields[2] = "86400000";
        let mut connection = Client::open(self.url()).unwrap().get_connection().unwrap();
        let set = redis::cmd("HSET")
            .arg(key)
            .arg("memory")
            .arg(fields.join(" "))
            .query(&mut connection);
        let _unchanged: i64 = set.unwrap();
    }

    pub fn info(&self, name: &str) -> String {
        let info = self.text(redis::cmd("INFO").arg("everything"));
        let line = info
            .lines()
            .find_map(|line| line.strip_prefix(name)?.strip_prefix(':'));
        line.unwrap_or("").to_owned()
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }
}

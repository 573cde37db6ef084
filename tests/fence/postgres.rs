//! The statements for PostgreSQL, on a real server.

use std::fs;
use std::io::{BufRead, BufReader, Write};
use std::os::unix::fs::{PermissionsExt, chown};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};
use std::time::Duration;

use incumbent::fence::SqlFence;
use tempfile::TempDir;

/// A server on a socket in its own directory. It is stopped when it is dropped.
struct Postgres {
    directory: TempDir,
    server: Child,
}

/// The newest server that is installed.
fn programs() -> PathBuf {
    let versions = fs::read_dir("/usr/lib/postgresql").expect("tests/run installs PostgreSQL");
    let versions = versions.map(|version| version.unwrap().path().join("bin"));
    let usable = versions.filter(|bin| bin.join("postgres").exists());
    usable.max().expect("tests/run installs PostgreSQL")
}

/// A command as a user who is not root, for whom the server does not run.
fn command(program: &Path) -> Command {
    if !rustix::process::geteuid().is_root() {
        return Command::new(program);
    }
    let mut command = Command::new("setpriv");
    command
        .args(["--reuid", "65534", "--regid", "65534", "--clear-groups"])
        .arg(program);
    command
}

impl Postgres {
    fn start() -> Self {
        let directory = TempDir::new().unwrap();
        if rustix::process::geteuid().is_root() {
            chown(directory.path(), Some(65534), Some(65534)).unwrap();
        }
        fs::set_permissions(directory.path(), fs::Permissions::from_mode(0o700)).unwrap();
        let data = directory.path().join("data");
        let made = command(&programs().join("initdb"))
            .args(["--auth=trust", "--no-sync", "--username=test", "-D"])
            .arg(&data)
            .current_dir(directory.path())
            .output()
            .unwrap();
        assert!(made.status.success(), "{made:?}");
        let server = command(&programs().join("postgres"))
            .args(["-c", "listen_addresses=", "-c", "fsync=off", "-k"])
            .arg(directory.path())
            .arg("-D")
            .arg(&data)
            .current_dir(directory.path())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let server = Self { directory, server };
        let ready = || {
            let mut ask = command(&programs().join("pg_isready"));
            let asked = ask.arg("-q").arg("-h").arg(server.directory.path());
            asked.current_dir("/").status().unwrap().success()
        };
        while !ready() {
            std::thread::sleep(Duration::from_millis(20));
        }
        server
    }

    fn session(&self) -> Session {
        let mut client = command(&programs().join("psql"))
            .args(["-XqAt", "-U", "test", "-d", "postgres", "-h"])
            .arg(self.directory.path())
            .current_dir("/")
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut session = Session {
            to: client.stdin.take().unwrap(),
            from: BufReader::new(client.stdout.take().unwrap()),
            client,
        };
        // Prepared, the statements are used as a program does, with parameters.
        session.send(&format!(
            "PREPARE raise(text, bigint) AS {};",
            SqlFence::POSTGRES_RAISE
        ));
        session.send(&format!(
            "PREPARE highest(text) AS {};",
            SqlFence::POSTGRES_HIGHEST
        ));
        session
    }
}

impl Drop for Postgres {
    fn drop(&mut self) {
        // At SIGQUIT it ends at once, with its children.
        let pid = rustix::process::Pid::from_child(&self.server);
        rustix::process::kill_process(pid, rustix::process::Signal::QUIT).unwrap();
        self.server.wait().unwrap();
    }
}

/// One connection.
struct Session {
    client: Child,
    to: ChildStdin,
    from: BufReader<ChildStdout>,
}

impl Session {
    fn send(&mut self, text: &str) {
        writeln!(self.to, "{text}").unwrap();
    }

    /// The next line that a query has printed.
    fn line(&mut self) -> String {
        let mut line = String::new();
        self.from.read_line(&mut line).unwrap();
        line.trim_end().to_owned()
    }

    fn ask(&mut self, query: &str) -> String {
        self.send(query);
        self.line()
    }

    /// Has the token raised, and how many rows that changed printed.
    fn raise(&mut self, token: u64) {
        self.send(&format!(
            "EXECUTE raise('ledger', {token});\n\\echo :ROW_COUNT"
        ));
    }
}

impl Drop for Session {
    fn drop(&mut self) {
        // It may wait for a lock.
        self.client.kill().unwrap();
        self.client.wait().unwrap();
    }
}

#[test]
fn postgres_raises_a_token_and_refuses_a_lower_one_also_while_the_higher_is_being_written() {
    let server = Postgres::start();
    let mut first = server.session_of_a_new_database();
    let raised = [7, 7, 6, 8, 7].map(|token| {
        first.raise(token);
        first.line()
    });
    assert_eq!(raised, ["1", "1", "0", "1", "0"]);
    assert_eq!(first.ask("EXECUTE highest('ledger');"), "8");

    // The older leader waits for the newer one's transaction, and is refused when that is committed.
    let mut second = server.session();
    let backend = second.ask("SELECT pg_backend_pid();");
    first.send("BEGIN;");
    first.raise(10);
    assert_eq!(first.line(), "1");
    second.send("BEGIN;");
    second.raise(9);
    let waits = format!("SELECT wait_event_type FROM pg_stat_activity WHERE pid = {backend};");
    while first.ask(&waits) != "Lock" {
        // What a transaction has seen of the activity stays as it was.
        first.send("SELECT pg_stat_clear_snapshot() IS NULL;");
        first.line();
    }
    first.send("COMMIT;");
    assert_eq!(second.line(), "0");
    second.send("ROLLBACK;");

    // A transaction that fails takes its token with it.
    first.send("BEGIN;");
    first.raise(11);
    assert_eq!(first.line(), "1");
    first.send("ROLLBACK;");
    second.raise(10);
    assert_eq!(second.line(), "1");
}

impl Postgres {
    /// The first session, which makes the table twice.
    fn session_of_a_new_database(&self) -> Session {
        let mut client = command(&programs().join("psql"));
        let made = client
            .args(["-XqAt", "-U", "test", "-d", "postgres", "-h"])
            .arg(self.directory.path())
            .args(["-c", SqlFence::CREATE, "-c", SqlFence::CREATE])
            .current_dir("/")
            .output()
            .unwrap();
        assert!(made.status.success(), "{made:?}");
        self.session()
    }
}

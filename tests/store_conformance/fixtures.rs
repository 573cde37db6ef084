//! The stores under test, and what strangers can do to each of them.

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use incumbent::protocol::{Beat, ElectionName, Record};
use incumbent::store::{self, MemoryStore, SqliteStore, Store, StoreAddress, StoreOptions};
use tempfile::TempDir;

use super::support::file;
use super::support::redis::RedisServer;

/// Longer than any machine needs, so that only a store that hangs runs into it.
pub(crate) const OP_TIMEOUT: Duration = Duration::from_secs(20);

fn options() -> StoreOptions {
    StoreOptions::default().op_timeout(OP_TIMEOUT)
}

/// A store of one kind, empty at first.
pub(crate) trait Fixture: Send + Sync + 'static {
    /// How many random sequences it takes.
    const CASES: u32 = 40;

    /// A user of the store: another instance each time where the store allows several.
    fn user(&self) -> Arc<dyn Store>;

    /// Sets or deletes the counter as the bare protocol does; `shown` is the record that results. False
    /// when no one but its own writers can get at the store's counter.
    fn touch(
        &self,
        election: &ElectionName,
        counter: Option<Beat>,
        shown: &Record,
    ) -> impl Future<Output = bool> + Send;

    /// Loses the record of an election, and nothing else. False when the store cannot.
    fn lose(&self, election: &ElectionName) -> impl Future<Output = bool> + Send;

    /// Takes the role of a master away from the server and gives it back. False when it has no role.
    fn change_role(&self) -> impl Future<Output = bool> + Send;

    /// Loses all data, as a server that restarts empty. False when the store cannot.
    fn forget(&self) -> impl Future<Output = bool> + Send;

    /// Writes garbage into a field of the record of an election. Returns the name of the field, and
    /// nothing when the store keeps no raw fields.
    fn garble(&self, election: &ElectionName) -> impl Future<Output = Option<&'static str>> + Send;
}

pub(crate) struct Memory {
    store: Arc<MemoryStore>,
    forgets: bool,
}

impl Memory {
    pub(crate) fn durable() -> Self {
        Self {
            store: Arc::new(MemoryStore::new("test")),
            forgets: false,
        }
    }

    pub(crate) fn forgetful() -> Self {
        Self {
            store: Arc::new(MemoryStore::forgetful("test")),
            forgets: true,
        }
    }
}

impl Fixture for Memory {
    fn user(&self) -> Arc<dyn Store> {
        self.store.clone()
    }

    async fn touch(&self, election: &ElectionName, _: Option<Beat>, shown: &Record) -> bool {
        self.store.put(election, shown.clone());
        true
    }

    async fn lose(&self, election: &ElectionName) -> bool {
        if self.forgets {
            self.store.put(election, Record::ABSENT);
        }
        self.forgets
    }

    async fn change_role(&self) -> bool {
        false
    }

    async fn forget(&self) -> bool {
        if self.forgets {
            self.store.wipe();
        }
        self.forgets
    }

    async fn garble(&self, _: &ElectionName) -> Option<&'static str> {
        None
    }
}

pub(crate) struct Sqlite {
    directory: TempDir,
    shared: Option<Arc<dyn Store>>,
}

impl Sqlite {
    pub(crate) fn one_user() -> Self {
        let fixture = Self::a_user_each();
        let address = StoreAddress::sqlite(fixture.path());
        let shared = store::open(&address, &options()).expect("this build speaks to SQLite");
        Self {
            shared: Some(shared),
            ..fixture
        }
    }

    pub(crate) fn a_user_each() -> Self {
        let fixture = Self {
            directory: tempfile::tempdir().expect("a temporary directory"),
            shared: None,
        };
        file::long_in_use(&fixture.path());
        fixture
    }

    fn path(&self) -> PathBuf {
        self.directory.path().join("elections.db")
    }
}

impl Fixture for Sqlite {
    fn user(&self) -> Arc<dyn Store> {
        match &self.shared {
            Some(store) => store.clone(),
            None => Arc::new(SqliteStore::open(&self.path(), OP_TIMEOUT)),
        }
    }

    async fn touch(&self, _: &ElectionName, _: Option<Beat>, _: &Record) -> bool {
        false
    }

    async fn lose(&self, _: &ElectionName) -> bool {
        false
    }

    async fn change_role(&self) -> bool {
        false
    }

    async fn forget(&self) -> bool {
        false
    }

    async fn garble(&self, election: &ElectionName) -> Option<&'static str> {
        let database = rusqlite::Connection::open(self.path()).expect("the database");
        let changed = database
            .execute(
                "UPDATE election SET window_ns = -1 WHERE name = ?1",
                [election.as_str()],
            )
            .expect("garbage is written");
        assert_eq!(changed, 1);
        Some("window_ns")
    }
}

/// Users take turns between TCP and the unix socket, which are two connections.
pub(crate) struct Redis {
    server: RedisServer,
    users: AtomicUsize,
}

impl Redis {
    pub(crate) fn start() -> Self {
        Self {
            server: RedisServer::start(),
            users: AtomicUsize::new(0),
        }
    }

    fn counter(election: &ElectionName) -> String {
        format!("{}{election}", StoreOptions::KEY_PREFIX)
    }

    fn record(election: &ElectionName) -> String {
        format!("{{{}}}:record", Self::counter(election))
    }

    async fn command(&self, words: &[&str]) {
        tokio::task::block_in_place(|| self.server.command(words));
    }
}

impl Fixture for Redis {
    const CASES: u32 = 200;

    fn user(&self) -> Arc<dyn Store> {
        let url = if self.users.fetch_add(1, Ordering::Relaxed).is_multiple_of(2) {
            self.server.url()
        } else {
            self.server.unix_url()
        };
        let address = url.parse().expect("an address");
        store::open(&address, &options()).expect("this build speaks to Redis")
    }

    async fn touch(&self, election: &ElectionName, counter: Option<Beat>, _: &Record) -> bool {
        let key = Self::counter(election);
        match counter {
            Some(counter) => self.command(&["SET", &key, &counter.to_string()]).await,
            None => self.command(&["DEL", &key]).await,
        }
        true
    }

    async fn lose(&self, election: &ElectionName) -> bool {
        let key = Self::counter(election);
        let record = Self::record(election);
        self.command(&["DEL", &key, &record]).await;
        true
    }

    async fn change_role(&self) -> bool {
        // No one answers there, so it keeps its data.
        self.command(&["REPLICAOF", "127.0.0.1", "1"]).await;
        self.command(&["REPLICAOF", "NO", "ONE"]).await;
        true
    }

    async fn forget(&self) -> bool {
        self.command(&["FLUSHALL"]).await;
        true
    }

    async fn garble(&self, election: &ElectionName) -> Option<&'static str> {
        let key = Self::record(election);
        self.command(&["HSET", &key, "window_ns", "-1"]).await;
        Some("window_ns")
    }
}

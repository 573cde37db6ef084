//! A log of numbered entries behind a fence, kept in a file, in SQLite or in Redis.

use std::io::Read;

use incumbent::fence::{FenceError, FencedLog, FencingToken, RedisFence, SqlFence};

/// One entry: its number, and the token of the leader that wrote it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Entry {
    pub(crate) token: FencingToken,
    pub(crate) number: u64,
}

/// Where the log is.
pub(crate) enum Ledger {
    File(FencedLog),
    Sqlite(SqlFence, rusqlite::Connection),
    Redis(RedisFence, Box<redis::Connection>),
}

type Error = Box<dyn std::error::Error>;

/// Both keys of the log on Redis are in one slot of a Cluster, for one script touches both.
const KEY: &str = "{example-ledger}";
const FENCE: &str = "{example-ledger}:token";

impl Ledger {
    /// Opens `file:PATH`, `sqlite:PATH` or `redis://…`.
    pub(crate) fn open(address: &str) -> Result<Self, Error> {
        if let Some(path) = address.strip_prefix("file:") {
            return Ok(Self::File(FencedLog::new(path)));
        }
        if let Some(path) = address.strip_prefix("sqlite:") {
            let database = rusqlite::Connection::open(path)?;
            database.busy_timeout(std::time::Duration::from_secs(5))?;
            database.execute_batch(SqlFence::CREATE)?;
            database.execute_batch(
                "CREATE TABLE IF NOT EXISTS ledger (token INTEGER, number INTEGER)",
            )?;
            return Ok(Self::Sqlite(SqlFence::new("ledger"), database));
        }
        let connection = redis::Client::open(address)?.get_connection()?;
        Ok(Self::Redis(RedisFence::new(FENCE), Box::new(connection)))
    }

    /// Keeps out all leaders before this one.
    pub(crate) fn raise(&mut self, token: FencingToken) -> Result<(), FenceError> {
        match self {
            Self::File(log) => log.raise(token),
            Self::Sqlite(fence, database) => fence.transaction(database, token, |_| Ok(())),
            Self::Redis(fence, connection) => fence.raise_blocking(connection, token),
        }
    }

    /// Adds one entry, unless a newer leader was here.
    pub(crate) fn append(&mut self, token: FencingToken, number: u64) -> Result<(), FenceError> {
        let entry = format!("{token} {number}");
        match self {
            Self::File(log) => log.append(token, format!("{entry}\n").as_bytes()),
            Self::Sqlite(fence, database) => fence.transaction(database, token, |ledger| {
                let row = (i64::from(token), i64::try_from(number).ok());
                ledger.execute("INSERT INTO ledger (token, number) VALUES (?1, ?2)", row)?;
                Ok(())
            }),
            Self::Redis(fence, connection) => {
                let push = redis::cmd("RPUSH").arg(KEY).arg(entry).to_owned();
                fence.run_blocking(connection, token, &[KEY], &push)
            }
        }
    }

    /// All entries, the oldest first.
    pub(crate) fn entries(&mut self) -> Result<Vec<Entry>, Error> {
        match self {
            Self::File(log) => {
                let mut text = String::new();
                log.reader()?.read_to_string(&mut text)?;
                text.lines().map(parse).collect()
            }
            Self::Sqlite(_, database) => {
                let mut rows =
                    database.prepare("SELECT token, number FROM ledger ORDER BY rowid")?;
                let lines = rows.query_map((), |row| {
                    let (token, number): (i64, i64) = row.try_into()?;
                    Ok(format!("{token} {number}"))
                })?;
                lines.map(|line| parse(&line?)).collect()
            }
            Self::Redis(_, connection) => {
                let lines: Vec<String> = redis::cmd("LRANGE")
                    .arg(KEY)
                    .arg(0)
                    .arg(-1)
                    .query(connection)?;
                lines.iter().map(|line| parse(line)).collect()
            }
        }
    }

    /// The newest entry.
    pub(crate) fn last(&mut self) -> Result<Option<Entry>, Error> {
        Ok(self.entries()?.pop())
    }
}

fn parse(line: &str) -> Result<Entry, Error> {
    let (token, number) = line.split_once(' ').ok_or("an entry is TOKEN NUMBER")?;
    Ok(Entry {
        token: token.parse()?,
        number: number.parse()?,
    })
}

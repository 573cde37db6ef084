//! Whether the database can have forgotten a leader: how long it has remembered everything.
//!
//! A file of this host loses nothing that it acknowledged, but a person can put another in its place: a new
//! one after a deletion, or an older state of the same one, from a backup. So the database keeps a *stamp*,
//! a random number that is new whenever the election changes hands, and the same stamp is kept next to it, in
//! `PATH-wake`, which a restore leaves alone. Where the two differ, or the database is in another inode or
//! under another name than when it was stamped, its memory is reset: it is *born* now, on the clock that
//! all processes of this host share and that suspension does not stop. A claim on a memory that is
//! younger than a window waits out a probation before acting, as on a server that lost its data (`R8`).
//!
//! A file that was just made is as good as an old one when no one uses another file at its path
//! ([`FolderLocks`]): then no one can have led there.
//!
//! The stamps are compared and written under SQLite's lock for writing, and cost no flush to the disk. A
//! crash between the two writes costs a probation.

use std::fs::{self, File};
use std::io;
use std::os::unix::fs::{FileExt, MetadataExt};
use std::path::Path;
use std::time::{Duration, UNIX_EPOCH};

use rusqlite::{Connection, OptionalExtension, TransactionBehavior, params};

use super::files::{InodeLock, inode_at};
use super::folders::FolderLocks;
use super::patience::boot_time;
use super::record_row::signed;
use super::trouble::{Place, Trouble};
use super::wake;
use crate::protocol::Timestamp;
use crate::store::beside;

/// The time namespace in which the clock counts from the start of the host.
const INITIAL_TIME: &str = "time:[4026531834]";

/// A birth that no clock has reached: what was born later than now was born before this host was started.
const BEFORE_THIS_START: Timestamp = Timestamp::from_nanos(i64::MAX.unsigned_abs());

/// The second place of the stamp, and which file this is.
#[derive(Debug)]
pub(super) struct Memory {
    beside: File,
    file: String,
    /// Whether no process used another file at the path when this one was opened.
    alone: bool,
    _lock: InodeLock,
}

/// How a memory was found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Found {
    /// When it was born.
    pub(super) born: Timestamp,
    /// Whether this look resets it.
    pub(super) anew: bool,
}

impl Found {
    /// Whether a leader older than this memory may still act, when no one's window is longer.
    pub(super) fn is_younger_than(self, window: Duration) -> bool {
        let now = boot_time();
        // NTP may have boot time run faster than the clock of a leader, by a tenth at most.
        let window = window + window / 8;
        // What was born later than now was born before this host was started: no one from then is alive.
        self.born <= now && now.since(self.born) < window
    }
}

impl Memory {
    /// The memory of the database at `path`, which is canonical.
    pub(super) fn open(
        place: &Place,
        path: &Path,
        folders: &mut FolderLocks,
    ) -> Result<Self, Trouble> {
        let shifted = |namespace: &Path| namespace != Path::new(INITIAL_TIME);
        if fs::read_link("/proc/self/ns/time").is_ok_and(|namespace| shifted(&namespace)) {
            return Err(Trouble::Unsuitable(
                "this process runs in a time namespace, so its clock is not that of the other users of the \
                 file; run it outside, or use a redis:// store"
                    .to_owned(),
            ));
        }
        let about = |error: io::Error| Trouble::file(place, &error);
        let side = beside(path, "-wake");
        let _made = wake::make(&side).map_err(about)?;
        let lock = InodeLock::open(&side).map_err(about)?;
        let inode = inode_at(path).map_err(about)?;
        let file = describe(path).map_err(about)?;
        // A link may have led elsewhere a moment ago.
        let given = std::path::absolute(&place.path).map_err(about)?;
        lock.lock_with(place, &[inode])?;
        Ok(Self {
            beside: File::options()
                .read(true)
                .write(true)
                .open(side)
                .map_err(about)?,
            alone: folders.take(path, &file) && folders.take(&given, &file),
            file,
            _lock: lock,
        })
    }

    /// Begins the memory of a file that this process has just made. It has had no leader, and a leader of another
    /// file at its path would have been seen.
    pub(super) fn begin(&self, connection: &mut Connection) -> Result<(), Trouble> {
        if !self.alone {
            return Ok(());
        }
        let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
        if self.look(&transaction)?.anew {
            let found = Found {
                born: BEFORE_THIS_START,
                anew: true,
            };
            self.stamp(&transaction, found)?;
        }
        transaction.commit().map_err(Trouble::Commit)
    }

    /// Finds out how the memory is. To be called in a transaction that may write.
    pub(super) fn look(&self, connection: &Connection) -> Result<Found, Trouble> {
        let kept: Option<(i64, i64, String)> = connection
            .prepare_cached("SELECT born_ns, stamp, file FROM memory")?
            .query_row([], |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?)))
            .optional()?;
        let intact = kept.filter(|(_, stamp, file)| {
            *file == self.file && self.stamp_beside().is_some_and(|beside| beside == *stamp)
        });
        Ok(match intact {
            Some((born, ..)) => Found {
                born: Timestamp::from_nanos(u64::try_from(born).unwrap_or_default()),
                anew: false,
            },
            None => Found {
                born: boot_time(),
                anew: true,
            },
        })
    }

    /// Stamps the memory again, in the transaction that has looked.
    pub(super) fn stamp(&self, connection: &Connection, found: Found) -> Result<(), Trouble> {
        let stamp = fastrand::i64(..);
        let born = signed(found.born.as_nanos());
        connection
            .prepare_cached(
                "INSERT OR REPLACE INTO memory (id, born_ns, stamp, file) VALUES (1, ?1, ?2, ?3)",
            )?
            .execute(params![born, stamp, self.file])?;
        self.beside
            .write_all_at(&stamp.to_le_bytes(), 0)
            .map_err(|error| Trouble::Unusable(format!("cannot write the -wake file: {error}")))
    }

    fn stamp_beside(&self) -> Option<i64> {
        let mut bytes = [0; 8];
        self.beside.read_exact_at(&mut bytes, 0).ok()?;
        Some(i64::from_le_bytes(bytes))
    }
}

/// What no other file has in common with this one. Not the path: containers have it under another. An inode's
/// number may be used again, its birth not.
fn describe(path: &Path) -> io::Result<String> {
    let found = fs::metadata(path)?;
    let folder = fs::metadata(path.parent().unwrap_or(Path::new("/")))?;
    let made = found.created().ok();
    let made = made.and_then(|made| made.duration_since(UNIX_EPOCH).ok());
    Ok(format!(
        "{}:{}:{}/{}:{}/{}",
        found.dev(),
        found.ino(),
        made.unwrap_or_default().as_nanos(),
        folder.dev(),
        folder.ino(),
        path.file_name().unwrap_or_default().display()
    ))
}

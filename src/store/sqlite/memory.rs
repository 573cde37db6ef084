//! Whether the database can have forgotten a leader: how long it has remembered everything.
//!
//! A file of this host loses nothing that it acknowledged, but a person can put another in its place: a new
//! one after a deletion, or an older state of the same one, from a backup. So the database keeps a *stamp*,
//! a random number that is new whenever the election changes hands, and the same stamp is kept next to it, in
//! `PATH-wake`, which a restore leaves alone. Where the two differ, or the database is in another inode or
//! under another name than when it was stamped, its memory is reset: it is *born* now, on the clock that
//! all processes of this host share and that suspension does not stop. Its age is known from that clock, so no
//! candidate has to attest it.
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
use crate::protocol::{self, FencingToken, MemoryId, Timestamp, WallMillis};
use crate::store::{beside, fresh_memory, wall_clock};

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
    pub(super) memory: protocol::Memory,
    /// When it was born.
    born: Timestamp,
    /// Whether this look resets it, so that it has to be stamped.
    pub(super) anew: bool,
}

/// The age of what was born at `born`.
fn age_of(born: Timestamp) -> Duration {
    let now = boot_time();
    // What was born later than now was born before this host was started: no one from then is alive.
    if born > now {
        return protocol::Memory::MATURE;
    }
    let age = now.since(born);
    // NTP may have boot time run faster than the clock of a leader, by a tenth at most.
    (age - age / 9).min(protocol::Memory::MATURE)
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
            let memory = protocol::Memory::mature(fresh_memory(wall_clock()));
            let found = Found {
                memory,
                born: BEFORE_THIS_START,
                anew: true,
            };
            self.stamp(&transaction, found, memory)?;
        }
        transaction.commit().map_err(Trouble::Commit)
    }

    /// Finds out how the memory is. Only a transaction that may write can be sure that it has to begin anew:
    /// another process may be between the two writes of a stamp.
    pub(super) fn look(&self, connection: &Connection) -> Result<Found, Trouble> {
        let kept: Option<(protocol::Memory, i64, i64, String)> = connection
            .prepare_cached(
                "SELECT made_ms, nonce, floor, taken, born_ns, stamp, file FROM memory",
            )?
            .query_row([], |row| {
                let number = |index| row.get(index).map(i64::cast_unsigned);
                let memory = protocol::Memory {
                    floor: FencingToken::new(number(2)?).unwrap_or_default(),
                    taken: number(3)?,
                    ..protocol::Memory::young(MemoryId {
                        made: WallMillis::new(number(0)?).unwrap_or_default(),
                        nonce: number(1)?,
                    })
                };
                Ok((memory, row.get(4)?, row.get(5)?, row.get(6)?))
            })
            .optional()?;
        let is_intact = |stamp: i64, file: &str| {
            *file == self.file && self.stamp_beside().is_some_and(|beside| beside == stamp)
        };
        let now = boot_time();
        let fresh = || fresh_memory(wall_clock());
        Ok(match kept {
            Some((memory, born, stamp, file)) if is_intact(stamp, &file) => {
                let born = Timestamp::from_nanos(u64::try_from(born).unwrap_or_default());
                Found {
                    memory: protocol::Memory {
                        age: age_of(born),
                        ..memory
                    },
                    born,
                    anew: false,
                }
            }
            Some((memory, ..)) => Found {
                memory: memory.begun_again(fresh()),
                born: now,
                anew: true,
            },
            None => Found {
                memory: protocol::Memory::young(fresh()),
                born: now,
                anew: true,
            },
        })
    }

    /// Stamps the memory again, as it is now, in the transaction that has looked.
    pub(super) fn stamp(
        &self,
        connection: &Connection,
        found: Found,
        memory: protocol::Memory,
    ) -> Result<(), Trouble> {
        let stamp = fastrand::i64(..);
        connection
            .prepare_cached(
                "INSERT OR REPLACE INTO memory (id, made_ms, nonce, floor, taken, born_ns, stamp, file) \
                 VALUES (1, ?1, ?2, ?3, ?4, ?5, ?6, ?7)",
            )?
            .execute(params![
                signed(memory.id.made.get()),
                memory.id.nonce.cast_signed(),
                signed(memory.floor.get()),
                memory.taken.cast_signed(),
                signed(found.born.as_nanos()),
                stamp,
                self.file
            ])?;
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

//! Who has which files open at a path: how users of a database find out that it was deleted or replaced
//! under one of them.
//!
//! A user of a deleted file goes on as if nothing had happened, and a new file knows nothing of it. What
//! nobody can delete is a socket in the abstract namespace: each user binds one, named after the path
//! and the inodes that it has open, and looks for names with the same path and other inodes. The name
//! vanishes with its process. Both sides bind before they look, so at least one of two sees the other.

use std::fs;
use std::io::{self, BufRead, BufReader};
use std::os::linux::net::SocketAddrExt;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::MetadataExt;
use std::os::unix::net::{SocketAddr, UnixDatagram};
use std::path::Path;
use std::time::Duration;

use super::trouble::{Place, Trouble};
use crate::protocol::Timestamp;

/// The device and inode of the database, its log and its shared memory.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct FileIds([(u64, u64); 3]);

impl FileIds {
    pub(super) fn at(path: &Path) -> io::Result<Self> {
        let id =
            |suffix| fs::metadata(beside(path, suffix)).map(|found| (found.dev(), found.ino()));
        Ok(Self([id("")?, id("-wal")?, id("-shm")?]))
    }

    fn digest(self) -> u64 {
        let numbers = self.0.iter().flat_map(|(device, inode)| [*device, *inode]);
        fnv1a(numbers.flat_map(u64::to_ne_bytes))
    }
}

/// The path with `suffix` behind its file name.
pub(super) fn beside(path: &Path, suffix: &str) -> std::path::PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(suffix);
    name.into()
}

/// The name that tells which files this store has open.
#[derive(Debug)]
pub(super) struct Witness {
    ids: FileIds,
    _socket: UnixDatagram,
}

impl Witness {
    const PREFIX: &str = "incumbent-sqlite";

    /// Makes it known that these are the files in use at the path.
    ///
    /// # Errors
    ///
    /// [`Trouble::InUse`] when somebody has others open there.
    fn bind(place: &Place, ids: FileIds) -> Result<Self, Trouble> {
        let unavailable = |error: io::Error| Trouble::NoWitness(error.to_string());
        let path = fs::canonicalize(&place.path).map_err(|error| Trouble::file(place, &error))?;
        let at_path = format!(
            "{}:{:016x}:",
            Self::PREFIX,
            fnv1a(path.as_os_str().as_bytes().iter().copied())
        );
        let these = format!("{at_path}{:016x}:", ids.digest());
        let own = format!("{these}{}:{:016x}", std::process::id(), fastrand::u64(..));
        let socket = SocketAddr::from_abstract_name(&own)
            .and_then(|address| UnixDatagram::bind_addr(&address))
            .map_err(unavailable)?;
        let sockets = fs::File::open("/proc/net/unix").map_err(unavailable)?;
        for line in BufReader::new(sockets).split(b'\n') {
            let line = line.map_err(unavailable)?;
            // An abstract name is listed behind an @, at the end of the line.
            let line = String::from_utf8_lossy(&line);
            let Some((_, name)) = line.rsplit_once('@') else {
                continue;
            };
            if name.starts_with(&at_path) && !name.starts_with(&these) {
                let process = name.split(':').nth(3).unwrap_or_default().to_owned();
                return Err(Trouble::InUse { process });
            }
        }
        Ok(Self {
            ids,
            _socket: socket,
        })
    }
}

/// The files on which this store has granted leaderships, and until when these may last.
///
/// It outlives the connection: while it stands, no user of the path takes up another file.
#[derive(Debug)]
pub(super) struct Pledge {
    witness: Witness,
    until: Timestamp,
}

impl Pledge {
    pub(super) fn make(place: &Place, ids: FileIds) -> Result<Self, Trouble> {
        Ok(Self {
            witness: Witness::bind(place, ids)?,
            until: Timestamp::ZERO,
        })
    }

    pub(super) fn extend(&mut self, until: Timestamp) {
        self.until = self.until.max(until);
    }

    pub(super) fn is_over(&self, now: Timestamp) -> bool {
        now >= self.until
    }

    pub(super) fn left(&self, now: Timestamp) -> Duration {
        self.until.since(now)
    }

    pub(super) fn is_kept_by(&self, ids: Option<FileIds>) -> bool {
        ids == Some(self.witness.ids)
    }
}

/// FNV-1a (Fowler, Noll and Vo): the same in every version of this program, which `std` does not promise.
fn fnv1a(bytes: impl IntoIterator<Item = u8>) -> u64 {
    bytes.into_iter().fold(0xcbf2_9ce4_8422_2325, |hash, byte| {
        (hash ^ u64::from(byte)).wrapping_mul(0x0000_0100_0000_01b3)
    })
}

//! A fence around a file that is appended to.

use std::fs::{File, OpenOptions};
use std::io::{self, Read, Seek, SeekFrom, Take, Write};
use std::path::Path;

use super::FenceError;
use super::guard::{Guard, Locked, failed, sync_directory_of};
use crate::protocol::FencingToken;

/// A log that only the newest leader appends to. The highest token is kept next to it, in `PATH.fence`,
/// together with how many bytes of the log count: what a crash left of an append that never returned is
/// cut off by the next one.
///
/// All that said of locks, hosts and async code in [`FencedFile`](super::FencedFile) holds here too.
/// Anything appended past the fence is lost.
///
/// # Examples
///
/// ```
/// use std::io::Read;
/// use incumbent::fence::{FencedLog, FencingToken};
///
/// # let directory = tempfile::tempdir()?;
/// # let path = directory.path().join("ledger");
/// let ledger = FencedLog::new(&path);
/// let (old, new) = (FencingToken::new(7).unwrap(), FencingToken::new(8).unwrap());
/// ledger.append(old, b"one\n")?;
/// ledger.raise(new)?; // From here on nothing of the old leader's arrives.
/// assert!(ledger.append(old, b"late\n").unwrap_err().is_stale());
///
/// let mut text = String::new();
/// ledger.reader()?.read_to_string(&mut text)?;
/// assert_eq!(text, "one\n");
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug)]
pub struct FencedLog {
    guard: Guard,
}

impl FencedLog {
    /// A fence for the log at `path`, which need not exist yet.
    #[must_use]
    pub fn new(path: impl AsRef<Path>) -> Self {
        Self {
            guard: Guard::beside(path.as_ref()),
        }
    }

    /// Appends `bytes` as a whole, unless a token higher than `token` was seen. When this returns they
    /// are on disk; when it fails otherwise than by being refused they may be, and the next call on this
    /// log, by whomever, removes what is not.
    ///
    /// # Errors
    ///
    /// As [`FencedFile::replace`](super::FencedFile::replace), and [`FenceError::Cut`] when the log is
    /// shorter than what was appended to it.
    pub fn append(&self, token: FencingToken, bytes: &[u8]) -> Result<(), FenceError> {
        let guard = self.guard.found()?;
        let mut locked = guard.admit(token)?;
        let mut file = tidy(guard.data(), &locked)?;
        let path = guard.data();
        file.seek(SeekFrom::Start(locked.kept.length))
            .and_then(|_| file.write_all(bytes))
            .and_then(|()| file.sync_data())
            .map_err(|error| failed("appending to", path, error))?;
        let length = locked.kept.length + bytes.len() as u64;
        locked.keep(token, length)
    }

    /// Shows the fence the token of a new leader, so that nothing of its predecessors gets through any
    /// more. To be done before reading what they left.
    ///
    /// # Errors
    ///
    /// As [`FencedLog::append`].
    pub fn raise(&self, token: FencingToken) -> Result<(), FenceError> {
        let guard = self.guard.found()?;
        let mut locked = guard.admit(token)?;
        tidy(guard.data(), &locked)?;
        let length = locked.kept.length;
        locked.keep(token, length)
    }

    /// Reads what was appended so far, without anything that a crash left behind.
    ///
    /// # Errors
    ///
    /// As [`FencedLog::append`]; reading is never refused.
    pub fn reader(&self) -> Result<Take<File>, FenceError> {
        let guard = self.guard.found()?;
        let locked = guard.lock()?;
        let file = tidy(guard.data(), &locked)?;
        Ok(file.take(locked.kept.length))
    }
}

/// Opens the log, and cuts off what an append left that never returned.
fn tidy(path: &Path, locked: &Locked<'_>) -> Result<File, FenceError> {
    let opened = match open(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            let made = File::create_new(path).and_then(|_| open(path));
            sync_directory_of(path)?;
            made
        }
        opened => opened,
    };
    let file = opened.map_err(|error| failed("opening", path, error))?;
    let described = file.metadata();
    let found = described
        .map_err(|error| failed("looking at", path, error))?
        .len();
    let expected = locked.kept.length;
    if found < expected {
        return Err(FenceError::Cut {
            path: path.to_owned(),
            expected,
            found,
        });
    }
    if found > expected {
        file.set_len(expected)
            .map_err(|error| failed("cutting", path, error))?;
    }
    Ok(file)
}

fn open(path: &Path) -> io::Result<File> {
    OpenOptions::new().read(true).write(true).open(path)
}

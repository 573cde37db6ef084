//! The guard file next to a fenced file: its lock, and the highest token seen, safe against a crash at
//! any moment.
//!
//! ```text
//!   guard file:  slot 0 ─ sequence token length checksum      two slots, written in turn: a write that
//!                slot 1 ─ sequence token length checksum      a crash tears leaves the other one whole
//! ```
//!
//! The file is made once, as a whole, and never replaced, for its lock belongs to the file and not to
//! its name.

use std::fs::{self, File, OpenOptions, TryLockError};
use std::io;
use std::os::unix::fs::{FileExt, MetadataExt};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use super::FenceError;
use crate::protocol::FencingToken;
use crate::store::{beside, fnv1a, target};

/// The length of a slot's text.
const SLOT: usize = 76;
/// Where the second slot begins: on another page, so that no single write to disk reaches both.
const SECOND: u64 = 4096;
/// How often, and how far apart, a locked guard is tried.
const ATTEMPTS: u32 = 1000;
const PAUSE: Duration = Duration::from_millis(5);

/// The guard file of one fenced file.
#[derive(Clone, Debug)]
pub(super) struct Guard {
    data: PathBuf,
    path: PathBuf,
    resource: Arc<str>,
}

/// What a guard file remembers.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Kept {
    sequence: u64,
    /// The highest token seen.
    pub(super) token: FencingToken,
    /// How many bytes of a log count.
    pub(super) length: u64,
}

/// A guard file that is locked until this is dropped.
#[derive(Debug)]
pub(super) struct Locked<'a> {
    guard: &'a Guard,
    file: File,
    pub(super) kept: Kept,
}

impl Guard {
    /// How long a lock is waited for.
    pub(super) const PATIENCE: Duration = PAUSE.saturating_mul(ATTEMPTS);

    pub(super) fn beside(data: &Path) -> Self {
        let resource = data.display().to_string().into();
        Self::of(
            std::path::absolute(data).unwrap_or_else(|_| data.to_owned()),
            resource,
        )
    }

    fn of(data: PathBuf, resource: Arc<str>) -> Self {
        Self {
            path: beside(&data, ".fence"),
            data,
            resource,
        }
    }

    /// The guard of the file to which the path leads now. A second hard link would have a separate fence, so
    /// a file that has one is refused.
    pub(super) fn found(&self) -> Result<Self, FenceError> {
        let looked = |error| failed("looking at", &self.data, error);
        let data = target(&self.data).map_err(looked)?;
        match fs::metadata(&data) {
            Ok(found) if found.is_file() && found.nlink() > 1 => Err(looked(io::Error::other(
                "it has several names (hard links), each with its own fence; remove all but one",
            ))),
            _ => Ok(Self::of(data, Arc::clone(&self.resource))),
        }
    }

    /// The fenced file itself.
    pub(super) fn data(&self) -> &Path {
        &self.data
    }

    /// Locks the guard file, and makes it first when it is missing.
    pub(super) fn lock(&self) -> Result<Locked<'_>, FenceError> {
        let file = match self.open() {
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                self.make()?;
                self.open()
            }
            opened => opened,
        };
        let file = file.map_err(|error| failed("opening", &self.path, error))?;
        for _ in 0..ATTEMPTS {
            match file.try_lock() {
                Ok(()) => {
                    let kept = self.read(&file)?;
                    let guard = self;
                    return Ok(Locked { guard, file, kept });
                }
                Err(TryLockError::WouldBlock) => std::thread::sleep(PAUSE),
                Err(TryLockError::Error(error)) => {
                    return Err(failed("locking", &self.path, error));
                }
            }
        }
        Err(FenceError::Busy {
            path: self.path.clone(),
            waited: Self::PATIENCE,
        })
    }

    /// Locks the guard file for a writer with this token.
    pub(super) fn admit(&self, token: FencingToken) -> Result<Locked<'_>, FenceError> {
        let locked = self.lock()?;
        if token < locked.kept.token {
            return Err(FenceError::Stale {
                token,
                highest: locked.kept.token,
                resource: Arc::clone(&self.resource),
            });
        }
        Ok(locked)
    }

    fn open(&self) -> io::Result<File> {
        OpenOptions::new().read(true).write(true).open(&self.path)
    }

    /// Makes the guard file whole under another name, then gives it its own unless somebody was faster.
    fn make(&self) -> Result<(), FenceError> {
        let length = match fs::metadata(&self.data) {
            Ok(data) => data.len(),
            Err(error) if error.kind() == io::ErrorKind::NotFound => 0,
            Err(error) => return Err(failed("looking at", &self.data, error)),
        };
        let first = Kept {
            length,
            ..Kept::default()
        };
        let suffix = format!(".fence.{:016x}", fastrand::u64(..));
        let unfinished = beside(&self.data, &suffix);
        let made = File::create_new(&unfinished).and_then(|file| {
            file.write_all_at(first.to_text().as_bytes(), 0)?;
            file.sync_all()?;
            match fs::hard_link(&unfinished, &self.path) {
                Err(error) if error.kind() != io::ErrorKind::AlreadyExists => Err(error),
                Ok(()) | Err(_) => Ok(()),
            }
        });
        let removed = fs::remove_file(&unfinished);
        made.and(removed)
            .map_err(|error| failed("making", &self.path, error))?;
        sync_directory_of(&self.path)
    }

    fn read(&self, file: &File) -> Result<Kept, FenceError> {
        let mut slots = [[0; SLOT]; 2];
        for (slot, at) in slots.iter_mut().zip([0, SECOND]) {
            let read = read_up_to(file, slot, at);
            read.map_err(|error| failed("reading", &self.path, error))?;
        }
        let whole = slots.iter().filter_map(|slot| Kept::from_text(slot));
        whole
            .max_by_key(|kept| kept.sequence)
            .ok_or_else(|| FenceError::garbled(&self.resource, &slots[0]))
    }
}

impl Locked<'_> {
    /// Remembers a token and a length. When this returns they are on disk.
    pub(super) fn keep(&mut self, token: FencingToken, length: u64) -> Result<(), FenceError> {
        let next = Kept {
            sequence: self.kept.sequence.saturating_add(1),
            token,
            length,
        };
        let at = if next.sequence.is_multiple_of(2) {
            0
        } else {
            SECOND
        };
        let written = self.file.write_all_at(next.to_text().as_bytes(), at);
        written
            .and_then(|()| self.file.sync_data())
            .map_err(|error| failed("writing", &self.guard.path, error))?;
        self.kept = next;
        Ok(())
    }
}

impl Drop for Locked<'_> {
    /// A process that was forked meanwhile has the file open too, so closing it here does not unlock it.
    fn drop(&mut self) {
        if let Err(error) = self.file.unlock() {
            tracing::warn!(path = %self.guard.path.display(), %error, "cannot unlock the fence");
        }
    }
}

impl Kept {
    fn to_text(self) -> String {
        let Self {
            sequence,
            token,
            length,
        } = self;
        let body = format!("{sequence:020} {:016} {length:020}", token.get());
        format!("{body} {:016x}\n", fnv1a(body.bytes()))
    }

    fn from_text(slot: &[u8]) -> Option<Self> {
        let line = std::str::from_utf8(slot).ok()?.strip_suffix('\n')?;
        let (body, sum) = line.rsplit_once(' ')?;
        if u64::from_str_radix(sum, 16).ok()? != fnv1a(body.bytes()) {
            return None;
        }
        let mut fields = body.split(' ');
        let mut next = || fields.next();
        Some(Self {
            sequence: next()?.parse().ok()?,
            token: next()?.parse().ok()?,
            length: next()?.parse().ok()?,
        })
    }
}

fn read_up_to(file: &File, buffer: &mut [u8], at: u64) -> io::Result<()> {
    let mut filled = 0;
    while filled < buffer.len() {
        match file.read_at(&mut buffer[filled..], at + filled as u64) {
            Ok(0) => break,
            Ok(read) => filled += read,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    Ok(())
}

/// Makes a new or changed name of a file last.
pub(super) fn sync_directory_of(path: &Path) -> Result<(), FenceError> {
    let parent = path
        .parent()
        .filter(|parent| !parent.as_os_str().is_empty());
    let directory = parent.unwrap_or(Path::new("."));
    File::open(directory)
        .and_then(|opened| opened.sync_all())
        .map_err(|error| failed("syncing", directory, error))
}

pub(super) fn failed(action: &'static str, path: &Path, source: io::Error) -> FenceError {
    FenceError::Io {
        action,
        path: path.to_owned(),
        source: Arc::new(source),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_guard_is_unlocked_although_a_forked_process_has_its_file_open() {
        let directory = tempfile::tempdir().unwrap();
        let guard = Guard::beside(&directory.path().join("routes"));
        let locked = guard.lock().unwrap();
        let of_the_child = locked.file.try_clone().unwrap();
        drop(locked);
        guard.open().unwrap().try_lock().unwrap();
        drop(of_the_child);
    }
}

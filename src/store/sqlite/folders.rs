//! Whether anybody on this host uses another file at the same path.
//!
//! A file that was just made may replace a deleted one, and the leader in that one may still act. Such
//! a leader shares no file with the new one, but some folder above them both. So each user of a file locks one
//! byte of every folder above it, at an offset that depends on the way from there to the file and on which file it
//! found. Locks at other offsets of the same way are those of users of another file.
//!
//! Nothing rests on a lock but speed: where one cannot be taken or looked for, or is taken by somebody who only wants
//! to disturb, the first election in a new file waits a window, as if somebody else were seen.

use std::fs::File;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use nix::libc;

use super::files::{conflicts, lock, range};
use crate::store::fnv1a;

/// How many files each way may have led to.
const FILES: i64 = 1 << 22;
const WAYS: u64 = 1 << 40;

/// How many files one user shows to have used. No path has as many replaced within a window.
const KEPT: usize = 16;

/// The locks of one user, of all files that it has used: it may still lead in one that it has left.
#[derive(Debug, Default)]
pub(super) struct FolderLocks(Vec<FileLocks>);

/// The locks that show which file is used at a path.
#[derive(Debug)]
struct FileLocks {
    path: PathBuf,
    file: String,
    folders: Vec<FolderLock>,
    /// Whether every folder is locked.
    complete: bool,
}

#[derive(Debug)]
struct FolderLock {
    folder: File,
    way: i64,
    file: i64,
}

impl FolderLocks {
    /// Records that the file at the absolute `path` is the one that `file` describes, which describes no other.
    /// Returns whether it is certain that no process uses another file there.
    pub(super) fn take(&mut self, path: &Path, file: &str) -> bool {
        let known = |locks: &FileLocks| locks.path == path && locks.file == file;
        if !self.0.iter().any(known) {
            self.0.push(FileLocks::take(path, file));
        }
        let others = self.0.len().saturating_sub(KEPT);
        self.0.drain(..others);
        let mut locks = self.0.iter();
        locks
            .find(|locks| known(locks))
            .is_some_and(FileLocks::show_nobody_else)
    }
}

impl FileLocks {
    fn take(path: &Path, file: &str) -> Self {
        let ancestors = path.ancestors().skip(1);
        let taken: Vec<_> = ancestors
            .map(|folder| FolderLock::take(folder, path, file))
            .collect();
        Self {
            path: path.to_owned(),
            file: file.to_owned(),
            complete: taken.iter().all(Option::is_some),
            folders: taken.into_iter().flatten().collect(),
        }
    }

    fn show_nobody_else(&self) -> bool {
        self.complete && self.folders.iter().all(FolderLock::shows_nobody_else)
    }
}

impl FolderLock {
    fn take(folder: &Path, path: &Path, file: &str) -> Option<Self> {
        let way = path.strip_prefix(folder).ok()?.as_os_str().as_bytes();
        let way = i64::try_from(fnv1a(way.iter().copied()) % WAYS).ok()? * FILES;
        let digest = fnv1a(file.bytes()) % FILES.unsigned_abs();
        let file = way + i64::try_from(digest).ok()?;
        let folder = File::options()
            .read(true)
            .custom_flags(libc::O_DIRECTORY)
            .open(folder)
            .ok()?;
        lock(&folder, range(libc::F_RDLCK, file, 1)).ok()?;
        Some(Self { folder, way, file })
    }

    fn shows_nobody_else(&self) -> bool {
        let (begin, end) = (self.way, self.way + FILES);
        let before = (begin, self.file - begin);
        let after = (self.file + 1, end - self.file - 1);
        [before, after]
            .into_iter()
            .filter(|(_, length)| *length > 0)
            .all(|(from, length)| {
                conflicts(&self.folder, range(libc::F_WRLCK, from, length)) == Ok(false)
            })
    }
}

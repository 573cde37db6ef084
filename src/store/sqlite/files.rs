//! Which files a database is: one file is one file, under whatever name it is reached.
//!
//! SQLite finds the log and the shared memory of a database by name. A database with two names has two
//! logs, and its users do not see each other. Two things prevent that:
//!
//! - A file with a second hard link, or with its own mount, is refused.
//! - Each user locks one byte of the database's inode, far behind its content, at an offset that depends on
//!   which files it has open, and looks for locks at other offsets. The lock follows the inode through
//!   names, mounts and network namespaces, ends with the process, and cannot be taken by who may not open the file.
//!   Everyone locks before looking, so of two at least one sees the other. The same is done to `PATH-wake`,
//!   before SQLite opens anything: a process that has it open with another database has that one's log open as well.

use std::collections::BTreeMap;
use std::fs::{self, File, Metadata};
use std::io;
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::path::Path;
use std::sync::{Mutex, MutexGuard, PoisonError};

use nix::fcntl::{FcntlArg, fcntl};
use nix::libc;
use rustix::fs::{AtFlags, CWD, StatxAttributes, StatxFlags, statx};

use super::trouble::{Place, Trouble};
use crate::once::Once;
use crate::store::{beside, fnv1a};

/// A device and an inode on it.
type Inode = (u64, u64);

fn inode(found: &Metadata) -> Inode {
    (found.dev(), found.ino())
}

/// The inodes of the database, its log, its shared memory and the file that wakes others.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct FileIds([Inode; 4]);

impl FileIds {
    const SUFFIXES: [&str; 4] = ["", "-wal", "-shm", "-wake"];

    pub(super) fn at(path: &Path) -> io::Result<Self> {
        let mut ids = [(0, 0); 4];
        for (id, suffix) in ids.iter_mut().zip(Self::SUFFIXES) {
            let found = fs::metadata(beside(path, suffix))?;
            if found.nlink() != 1 {
                return Err(io::Error::other("it was deleted, or has a second name"));
            }
            *id = inode(&found);
        }
        Ok(Self(ids))
    }

    /// Whether the path, links followed, leads to this database.
    pub(super) fn is_at(self, path: &Path) -> bool {
        fs::metadata(path).is_ok_and(|found| inode(&found) == self.0[0])
    }

    /// All of them.
    pub(super) const fn all(&self) -> &[Inode] {
        &self.0
    }
}

/// The inode at a path.
pub(super) fn inode_at(path: &Path) -> io::Result<Inode> {
    fs::metadata(path).map(|found| inode(&found))
}

/// Refuses a file that can be reached under a second name.
pub(super) fn check_names(path: &Path) -> Result<(), Trouble> {
    let about = |error: io::Error| Trouble::about(path, &error);
    let found = fs::metadata(path).map_err(about)?;
    if found.nlink() > 1 {
        return Err(Trouble::Unsuitable(format!(
            "{} has {} names (hard links), and SQLite keeps a log for each of them; remove all but one, \
             or use a symbolic link",
            path.display(),
            found.nlink()
        )));
    }
    let found = statx(CWD, path, AtFlags::empty(), StatxFlags::BASIC_STATS);
    let found = found.map_err(|error| about(error.into()))?;
    if found.stx_attributes.contains(StatxAttributes::MOUNT_ROOT) {
        return Err(Trouble::Unsuitable(format!(
            "{} is mounted by itself, without the log that SQLite keeps beside it; mount its folder \
             instead",
            path.display()
        )));
    }
    Ok(())
}

/// What this process, apart from SQLite, has open of each database. Closing any descriptor of a file drops the
/// locks that SQLite has on it in this process (`fcntl(2)`, "Record locking"), so all of them are closed
/// together, after the last user.
static OPEN: Once<Mutex<BTreeMap<Inode, Open>>> = Once::new();

#[derive(Default)]
struct Open {
    users: usize,
    idle: Vec<File>,
}

fn open_files() -> MutexGuard<'static, BTreeMap<Inode, Open>> {
    let open = OPEN.get_or_init(Mutex::default);
    open.lock().unwrap_or_else(PoisonError::into_inner)
}

/// An inode in use, and the lock that shows which others are used with it. It must outlive the connection
/// of SQLite.
#[derive(Debug)]
pub(super) struct InodeLock {
    inode: Inode,
    file: Option<File>,
}

impl InodeLock {
    /// Behind all that SQLite locks: after this offset, each set of files has its own range.
    const BASE: i64 = 1 << 62;
    /// How many users one set of files can have.
    const RANGE: i64 = 1 << 22;
    const RANGES: u64 = 1 << 40;

    /// Begins to use the file at `path`. Nothing is locked yet.
    pub(super) fn open(path: &Path) -> io::Result<Self> {
        let mut open = open_files();
        let found = inode_at(path)?;
        let idle = open.get_mut(&found).and_then(|open| open.idle.pop());
        let file = match idle {
            Some(file) => file,
            None => File::options()
                .read(true)
                .write(true)
                .custom_flags(libc::O_NOFOLLOW)
                .open(path)?,
        };
        let inode = inode(&file.metadata()?);
        open.entry(inode).or_default().users += 1;
        Ok(Self {
            inode,
            file: Some(file),
        })
    }

    /// Shows that this inode is used with these.
    ///
    /// # Errors
    ///
    /// [`Trouble::InUse`] when someone uses it with others.
    pub(super) fn lock_with(&self, place: &Place, others: &[Inode]) -> Result<(), Trouble> {
        let numbers = others.iter().flat_map(|(device, inode)| [*device, *inode]);
        let digest = fnv1a(numbers.flat_map(u64::to_ne_bytes)) % Self::RANGES;
        let digest = i64::try_from(digest).unwrap_or_default();
        let (begin, end) = (digest * Self::RANGE, (digest + 1) * Self::RANGE);
        let about = |error: nix::Error| Trouble::file(place, &error.into());
        let Some(file) = &self.file else {
            unreachable!("the file is there until this is dropped");
        };
        // Any byte that no one else has will do.
        let mut tries = 0;
        while let Err(error) = lock(
            file,
            range(libc::F_WRLCK, begin + fastrand::i64(0..Self::RANGE), 1),
        ) {
            tries += 1;
            if error != nix::Error::EAGAIN || tries == 64 {
                return Err(about(error));
            }
        }
        let before = (begin > 0).then(|| range(libc::F_RDLCK, 0, begin));
        for others in before.into_iter().chain([range(libc::F_RDLCK, end, 0)]) {
            if conflicts(file, others).map_err(about)? {
                return Err(Trouble::InUse);
            }
        }
        Ok(())
    }
}

/// Takes or gives back a lock that belongs to this descriptor.
pub(super) fn lock(file: &File, range: libc::flock) -> nix::Result<()> {
    fcntl(file, FcntlArg::F_OFD_SETLK(&range)).map(drop)
}

/// Whether another descriptor has a lock that conflicts with this one.
pub(super) fn conflicts(file: &File, mut range: libc::flock) -> nix::Result<bool> {
    fcntl(file, FcntlArg::F_OFD_GETLK(&mut range))?;
    Ok(i32::from(range.l_type) != libc::F_UNLCK)
}

/// A range of locks from [`InodeLock::BASE`] on; a length of 0 reaches to the end.
pub(super) fn range(kind: i32, from: i64, length: i64) -> libc::flock {
    libc::flock {
        l_type: i16::try_from(kind).unwrap_or_default(),
        l_whence: 0,
        l_start: InodeLock::BASE + from,
        l_len: length,
        l_pid: 0,
    }
}

impl Drop for InodeLock {
    fn drop(&mut self) {
        let mut all = open_files();
        let Some(open) = all.get_mut(&self.inode) else {
            return;
        };
        open.users -= 1;
        if let Some(file) = self.file.take() {
            // All of its locks: nothing else locks through this descriptor.
            if lock(&file, range(libc::F_UNLCK, 0, 0)).is_ok() {
                open.idle.push(file);
            }
        }
        if open.users == 0 {
            all.remove(&self.inode);
        }
    }
}

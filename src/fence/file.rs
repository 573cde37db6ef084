//! A fence around a file that is replaced as a whole.

use std::fs::{self, OpenOptions, Permissions};
use std::io::{self, Write};
use std::os::unix::fs::{MetadataExt, OpenOptionsExt, PermissionsExt, fchown};
use std::path::Path;

use super::FenceError;
use super::guard::{Guard, failed, sync_directory_of};
use crate::protocol::FencingToken;
use crate::store::beside;

/// A file that only the newest leader replaces. The highest token is kept next to it, in `PATH.fence`.
///
/// Whatever symbolic links lead to the file, it has one fence; with a second hard link it is refused.
///
/// Readers need no lock: they find either the old content or the new one, complete, even after a crash.
/// All writers must be on one host, or on a file system that keeps a lock for as long as its holder
/// lives; one that takes locks away from clients that have gone silent, as NFS does, cannot fence them.
///
/// The calls wait for the disk: from async code, call them from a blocking task.
///
/// # Examples
///
/// ```
/// use incumbent::fence::{FencedFile, FencingToken};
///
/// # let directory = tempfile::tempdir()?;
/// # let path = directory.path().join("routes.json");
/// let routes = FencedFile::new(&path);
/// let (old, new) = (FencingToken::new(7).unwrap(), FencingToken::new(8).unwrap());
/// routes.replace(new, b"{}")?;
/// assert!(routes.replace(old, b"outdated").unwrap_err().is_stale());
/// assert_eq!(std::fs::read(&path)?, b"{}");
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug)]
pub struct FencedFile {
    guard: Guard,
}

impl FencedFile {
    /// A fence for the file at `path`, which need not exist yet.
    #[must_use]
    pub fn new(path: impl AsRef<Path>) -> Self {
        Self {
            guard: Guard::beside(path.as_ref()),
        }
    }

    /// Replaces the content, unless a token higher than `token` was seen. When this returns it is on
    /// disk. The file keeps its mode, and its owner and group where this process may set them.
    ///
    /// # Errors
    ///
    /// [`FenceError::Stale`] when a newer leader was seen; [`FenceError::Busy`] when another writer has
    /// kept the file locked for five seconds; [`FenceError::Io`] when a file operation failed.
    pub fn replace(&self, token: FencingToken, content: &[u8]) -> Result<(), FenceError> {
        let guard = self.guard.found()?;
        let mut locked = guard.admit(token)?;
        // Raised first: a crash may leave the old content under the new token, never the reverse.
        if token > locked.kept.token {
            locked.keep(token, 0)?;
        }
        let path = guard.data();
        let unfinished = beside(path, ".new");
        write_anew(&unfinished, path, content)
            .map_err(|error| failed("writing", &unfinished, error))?;
        fs::rename(&unfinished, path).map_err(|error| failed("replacing", path, error))?;
        sync_directory_of(path)
    }

    /// Shows the fence the token of a new leader, so that nothing of its predecessors gets through any
    /// more. To be done before reading what they left.
    ///
    /// # Errors
    ///
    /// As [`FencedFile::replace`].
    pub fn raise(&self, token: FencingToken) -> Result<(), FenceError> {
        let guard = self.guard.found()?;
        let mut locked = guard.admit(token)?;
        if token > locked.kept.token {
            locked.keep(token, 0)?;
        }
        Ok(())
    }
}

/// Writes a new file that takes the place of `old`, if that is there, with its mode. Where it cannot be of the group of
/// `old`, its group has no rights.
fn write_anew(path: &Path, old: &Path, content: &[u8]) -> io::Result<()> {
    match fs::remove_file(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
        Ok(()) | Err(_) => {}
    }
    let old = match fs::metadata(old) {
        Ok(old) => Some(old),
        Err(error) if error.kind() == io::ErrorKind::NotFound => None,
        Err(error) => return Err(error),
    };
    let mut options = OpenOptions::new();
    options.write(true).create_new(true);
    if old.is_some() {
        options.mode(0o600);
    }
    let mut file = options.open(path)?;
    if let Some(old) = old {
        let new = file.metadata()?;
        let is_kept = |changed: io::Result<()>| {
            changed
                .inspect_err(
                    |error| tracing::debug!(path = %path.display(), %error, "a file changes hands"),
                )
                .is_ok()
        };
        let group = new.gid() == old.gid() || is_kept(fchown(&file, None, Some(old.gid())));
        let rights = if group { 0o777 } else { 0o707 };
        // Before it is given to its owner, after which it might not be ours to change.
        file.set_permissions(Permissions::from_mode(old.mode() & rights))?;
        if new.uid() != old.uid() {
            is_kept(fchown(&file, Some(old.uid()), None));
        }
    }
    file.write_all(content)?;
    file.sync_all()
}

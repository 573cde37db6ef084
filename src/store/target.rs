//! Where a path leads: one file is one file, whatever links lead to it.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

/// The file that a path leads to, links followed. It need not exist yet.
pub(crate) fn target(path: &Path) -> io::Result<PathBuf> {
    /// As many as the kernel follows.
    const LINKS: usize = 40;

    let mut target = path.to_owned();
    for _ in 0..LINKS {
        match fs::canonicalize(&target) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            outcome => return outcome,
        }
        let Ok(link) = fs::read_link(&target) else {
            return Ok(target);
        };
        target = target.parent().unwrap_or(Path::new("/")).join(link);
    }
    Err(rustix::io::Errno::LOOP.into())
}

/// The path with `suffix` behind its name: a file that belongs to the one at `path`.
pub(crate) fn beside(path: &Path, suffix: &str) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(suffix);
    name.into()
}

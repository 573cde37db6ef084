//! `/proc`, kept open since before the program starts, because the program may mount something over it.

use std::fs::File;
use std::io::{self, Read};
use std::os::fd::OwnedFd;
use std::sync::OnceLock;

use rustix::fs::{Dir, Mode, OFlags, open as open_path, openat, readlinkat};

static ROOT: OnceLock<OwnedFd> = OnceLock::new();

fn root() -> io::Result<&'static OwnedFd> {
    if let Some(root) = ROOT.get() {
        return Ok(root);
    }
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
    let opened = open_path("/proc", flags, Mode::empty())?;
    Ok(ROOT.get_or_init(|| opened))
}

/// Opens a file below it.
pub(super) fn open(path: &str) -> io::Result<File> {
    let flags = OFlags::RDONLY | OFlags::CLOEXEC;
    Ok(openat(root()?, path, flags, Mode::empty())?.into())
}

/// Reads a file below it.
pub(super) fn read(path: &str) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    open(path)?.read_to_end(&mut bytes)?;
    Ok(bytes)
}

/// The target of a link below it.
pub(super) fn read_link(path: &str) -> io::Result<Vec<u8>> {
    Ok(readlinkat(root()?, path, Vec::new())?.into_bytes())
}

/// The numbers among the names in a folder below it, which are processes or threads.
pub(super) fn numbers(path: &str) -> io::Result<Vec<i32>> {
    let mut numbers = Vec::new();
    for entry in Dir::new(OwnedFd::from(open(path)?))? {
        let entry = entry?;
        let name = entry.file_name().to_str().ok();
        numbers.extend(name.and_then(|name| name.parse::<i32>().ok()));
    }
    Ok(numbers)
}

/// Writes a file below it, in one call.
pub(super) fn write(path: &str, bytes: &[u8]) -> io::Result<()> {
    let flags = OFlags::WRONLY | OFlags::CLOEXEC;
    let file = openat(root()?, path, flags, Mode::empty())?;
    rustix::io::write(file, bytes)?;
    Ok(())
}

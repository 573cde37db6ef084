//! Locations of the configuration file and the embedded store.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{self, Read};
use std::os::unix::fs::{FileTypeExt, MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use incumbent::election::clock;
use incumbent::protocol::{ElectionName, Timestamp};
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::fs::OFlags;

use super::environment;
use crate::exit::Failure;

/// The size limit of a configuration or password file.
const MAX_BYTES: u64 = 1 << 20;
/// How long the writer of a pipe may take.
const PIPE_PATIENCE: Duration = Duration::from_secs(5);

/// What was read from pipes, by device and inode. A pipe can be read only once, and the configuration is read
/// again while a candidate runs.
static PIPES: Mutex<BTreeMap<(u64, u64), String>> = Mutex::new(BTreeMap::new());

/// The configuration file: the one that is given, or the first of [`usual_files`] that is not known to be missing.
/// Without its file a host would fall back to its embedded store and lead, so one that cannot be examined counts:
/// reading it then fails.
pub(crate) fn configuration_file(
    given: Option<PathBuf>,
    election: Option<&ElectionName>,
) -> Option<PathBuf> {
    let given = given.or_else(|| variable("INCUMBENT_CONFIG"));
    given.or_else(|| {
        usual_files(election)
            .into_iter()
            .find(|path| may_exist(path))
    })
}

fn may_exist(path: &Path) -> bool {
    // A link that leads nowhere exists.
    match path.symlink_metadata().map_err(|error| error.kind()) {
        Err(io::ErrorKind::NotFound | io::ErrorKind::NotADirectory) => false,
        Err(io::ErrorKind::PermissionDenied) => !is_in_home_of_another(path),
        Ok(_) | Err(_) => true,
    }
}

/// Whether a path is in a `HOME` of another user, as after `runuser`, or in a hidden one, as under `ProtectHome=`.
/// Nothing that cannot be examined there is meant for this user.
fn is_in_home_of_another(path: &Path) -> bool {
    let me = rustix::process::geteuid().as_raw();
    let is_mine = |home: &Path| home.metadata().is_ok_and(|home| home.uid() == me);
    std::env::var_os("HOME")
        .is_some_and(|home| path.starts_with(&home) && !is_mine(Path::new(&home)))
}

/// The default configuration files: the election's in `/etc/incumbent`, and the user's.
pub(crate) fn usual_files(election: Option<&ElectionName>) -> Vec<PathBuf> {
    let system = election.and_then(system_file);
    let user = directory("XDG_CONFIG_HOME", ".config");
    let user = user.map(|directory| directory.join("incumbent/config.toml"));
    [system, user].into_iter().flatten().collect()
}

/// A name with a slash is the name of no file.
fn system_file(election: &ElectionName) -> Option<PathBuf> {
    let name = election.without_seat();
    (!name.contains('/')).then(|| Path::new("/etc/incumbent").join(format!("{name}.toml")))
}

/// The SQLite file of this user.
///
/// # Errors
///
/// When the environment does not name a state directory for this user.
pub(crate) fn embedded_store() -> Result<PathBuf, Failure> {
    let home = directory("XDG_STATE_HOME", ".local/state").map(|state| state.join("incumbent"));
    let root = || {
        rustix::process::geteuid()
            .is_root()
            .then(|| "/var/lib/incumbent".into())
    };
    match home.or_else(root) {
        Some(directory) => Ok(directory.join("elections.db")),
        None => Err(Failure::configuration(
            "there is no store: neither XDG_STATE_HOME nor HOME is set, so there is no place for the \
             embedded one; give --store"
                .to_owned(),
        )),
    }
}

/// Reads a whole file up to the size limit. A pipe, such as that of `<(command)`
/// in a shell, is read once: the next call returns the same.
///
/// # Errors
///
/// When it cannot be read, is larger, or is not UTF-8, and when a pipe is not written to and closed in time.
pub(crate) fn read_bounded(path: &Path) -> io::Result<String> {
    // Opening a pipe without a writer would block.
    let flags = i32::try_from(OFlags::NONBLOCK.bits()).map_err(io::Error::other)?;
    let mut options = File::options();
    let file = options.read(true).custom_flags(flags).open(path)?;
    let found = file.metadata()?;
    if !found.file_type().is_fifo() {
        return bounded(file);
    }
    let mut pipes = PIPES.lock().unwrap_or_else(PoisonError::into_inner);
    let pipe = (found.dev(), found.ino());
    if let Some(text) = pipes.get(&pipe) {
        return Ok(text.clone());
    }
    let text = bounded(Pipe::new(file))?;
    pipes.insert(pipe, text.clone());
    Ok(text)
}

fn bounded(file: impl Read) -> io::Result<String> {
    let mut text = String::new();
    let read = file.take(MAX_BYTES + 1).read_to_string(&mut text)?;
    if u64::try_from(read).unwrap_or(u64::MAX) > MAX_BYTES {
        return Err(io::Error::other("it is larger than 1 MiB"));
    }
    Ok(text)
}

/// The reading end of a pipe, which is waited for.
struct Pipe {
    file: File,
    opened: Timestamp,
    has_begun: bool,
}

impl Pipe {
    fn new(file: File) -> Self {
        Self {
            file,
            opened: clock::now(),
            has_begun: false,
        }
    }

    fn wait(&self) -> io::Result<()> {
        let left = PIPE_PATIENCE.saturating_sub(clock::now().since(self.opened));
        let left = Timespec::try_from(left).map_err(io::Error::other)?;
        let mut readable = [PollFd::new(&self.file, PollFlags::IN)];
        if poll(&mut readable, Some(&left))? > 0 {
            return Ok(());
        }
        Err(io::Error::other(format!(
            "it is a pipe that was not written to and closed within {PIPE_PATIENCE:?}"
        )))
    }
}

impl Read for Pipe {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        // Without a writer yet, it reads as end of file.
        if !self.has_begun {
            self.wait()?;
            self.has_begun = true;
        }
        loop {
            match self.file.read(buffer) {
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => self.wait()?,
                read => return read,
            }
        }
    }
}

/// A directory of the XDG base directory specification, which ignores relative paths.
fn directory(variable_name: &str, below_home: &str) -> Option<PathBuf> {
    variable(variable_name)
        .filter(|path| path.is_absolute())
        .or_else(|| {
            variable("HOME")
                .filter(|home| home.is_absolute())
                .map(|home| home.join(below_home))
        })
}

fn variable(name: &str) -> Option<PathBuf> {
    environment::variable(name)
        .filter(|value| !value.is_empty())
        .map(PathBuf::from)
}

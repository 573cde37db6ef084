//! Where files are: the configuration, and the embedded store.

use std::fs::File;
use std::io::{self, Read};
use std::path::{Path, PathBuf};

use incumbent::protocol::ElectionName;

use super::environment;
use crate::exit::Failure;

/// The most that is read of a configuration or password file.
const MAX_BYTES: u64 = 1 << 20;

/// The configuration file: the one that is given, or the first that exists of [`usual_files`].
pub(crate) fn configuration_file(
    given: Option<PathBuf>,
    election: Option<&ElectionName>,
) -> Option<PathBuf> {
    let given = given.or_else(|| variable("INCUMBENT_CONFIG"));
    given.or_else(|| usual_files(election).into_iter().find(|path| path.exists()))
}

/// Where a configuration file is looked for when none is given: the election's own in `/etc/incumbent`,
/// and the user's.
pub(crate) fn usual_files(election: Option<&ElectionName>) -> Vec<PathBuf> {
    let system = election.and_then(system_file);
    let user = directory("XDG_CONFIG_HOME", ".config");
    let user = user.map(|directory| directory.join("incumbent/config.toml"));
    [system, user].into_iter().flatten().collect()
}

/// A name with a slash is the name of no file.
fn system_file(election: &ElectionName) -> Option<PathBuf> {
    let name = election.as_str();
    (!name.contains('/')).then(|| Path::new("/etc/incumbent").join(format!("{name}.toml")))
}

/// The SQLite file of this user.
///
/// # Errors
///
/// When the environment does not tell where this user keeps state.
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

/// Reads a whole file, if it is no larger than a file for people would be.
///
/// # Errors
///
/// When it cannot be read, is larger, or is not UTF-8.
pub(crate) fn read_bounded(path: &Path) -> io::Result<String> {
    let mut text = String::new();
    let read = File::open(path)?
        .take(MAX_BYTES + 1)
        .read_to_string(&mut text)?;
    if u64::try_from(read).unwrap_or(u64::MAX) > MAX_BYTES {
        return Err(io::Error::other("it is larger than 1 MiB"));
    }
    Ok(text)
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

//! The program of a unit, with its full path: systemd's PATH is not that of a shell.

use std::ffi::OsStr;
use std::path::{Path, PathBuf};

use rustix::fs::{Access, access};

use crate::cli::exit::{Exit, Failure};

/// The program as a shell finds it.
///
/// # Errors
///
/// When it is not there, and when it cannot be executed.
pub(super) fn found(word: &OsStr) -> Result<PathBuf, Failure> {
    if word.as_encoded_bytes().contains(&b'/') {
        let path = super::absolute(Path::new(word))?;
        return match (path.exists(), executable(&path)) {
            (_, true) => Ok(path),
            (true, false) => Err(Failure::new(
                Exit::NotExecutable,
                format_args!("{word:?} is no file that can be executed"),
            )),
            (false, false) => Err(Failure::new(
                Exit::NotFound,
                format_args!("{word:?} was not found: there is no {}", path.display()),
            )),
        };
    }
    let folders = std::env::var_os("PATH").unwrap_or_default();
    let mut places = std::env::split_paths(&folders).map(|folder| folder.join(word));
    let Some(path) = places.find(|path| executable(path)) else {
        return Err(Failure::new(
            Exit::NotFound,
            format_args!(
                "{word:?} was not found in any folder of PATH ({}): install it first, or name it with its path",
                folders.display()
            ),
        ));
    };
    super::absolute(&path)
}

fn executable(path: &Path) -> bool {
    path.is_file() && access(path, Access::EXEC_OK).is_ok()
}

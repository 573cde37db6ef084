//! Where a program is, found as the keeper finds it when it is started.

use std::ffi::OsStr;
use std::path::{Path, PathBuf};

use rustix::fs::{Access, access};

use crate::exit::{Exit, Failure};

/// The full path of a program: as given if it has a slash, otherwise the first match in `PATH`.
///
/// # Errors
///
/// When it does not exist, and when it cannot be executed.
pub(crate) fn found(word: &OsStr) -> Result<PathBuf, Failure> {
    if word.as_encoded_bytes().contains(&b'/') {
        let path = absolute(Path::new(word))?;
        return match (path.exists(), executable(&path)) {
            (_, true) => Ok(path),
            (true, false) => Err(Failure::new(
                Exit::NotExecutable,
                format_args!("{word:?} is not an executable file"),
            )),
            (false, false) => Err(Failure::new(
                Exit::NotFound,
                format_args!("{word:?} was not found: there is no {}", path.display()),
            )),
        };
    }
    let folders = std::env::var_os("PATH").unwrap_or_else(|| "/bin:/usr/bin".into());
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
    absolute(&path)
}

fn executable(path: &Path) -> bool {
    path.is_file() && access(path, Access::EXEC_OK).is_ok()
}

/// A path that means the same in every folder.
///
/// # Errors
///
/// When the folder of this process is gone.
pub(crate) fn absolute(path: &Path) -> Result<PathBuf, Failure> {
    std::path::absolute(path).map_err(|error| {
        Failure::internal(format_args!(
            "the full path of {} cannot be determined: {error}",
            path.display()
        ))
    })
}

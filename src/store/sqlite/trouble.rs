//! The errors of a database file: each names the path, the cause, and what to do.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use rusqlite::ErrorCode;
use rustix::fs::{Access, access};
use rustix::io::Errno;

use crate::store::{StoreError, target};

/// Where the database is.
#[derive(Debug)]
pub(super) struct Place {
    pub(super) path: PathBuf,
    pub(super) label: Arc<str>,
}

/// Why a job failed, inside the store.
#[derive(Debug)]
pub(super) enum Trouble {
    /// SQLite refuses. Nothing was written.
    Sqlite(rusqlite::Error),
    /// SQLite failed while it committed.
    Commit(rusqlite::Error),
    /// A row holds what no one here wrote.
    Garbled {
        key: String,
        field: String,
        value: String,
        expected: String,
    },
    /// The file, or its directory, cannot be used by us.
    Denied(String),
    /// The file, or its directory, is unusable.
    Unusable(String),
    /// The file could be used, and two could be elected in it.
    Unsuitable(String),
    /// Someone uses the database with another log than ours.
    InUse,
}

impl From<rusqlite::Error> for Trouble {
    fn from(error: rusqlite::Error) -> Self {
        Self::Sqlite(error)
    }
}

impl Trouble {
    /// What the operating system says of a file or directory.
    pub(super) fn file(place: &Place, error: &io::Error) -> Self {
        Self::about(&place.path, error)
    }

    pub(super) fn about(path: &Path, error: &io::Error) -> Self {
        let message = format!("{}: {error}", path.display());
        match error.raw_os_error().map(Errno::from_raw_os_error) {
            Some(Errno::ACCESS | Errno::PERM) => Self::Denied(format!(
                "{message}; grant access to it, or choose another path"
            )),
            // The path itself is wrong. Where a folder is missing or read-only, another may be mounted later.
            Some(Errno::NOTDIR | Errno::NAMETOOLONG | Errno::LOOP) => {
                Self::Unsuitable(format!("{message}; choose another path"))
            }
            _ => Self::Unusable(format!("{message}; choose a path that can be written")),
        }
    }

    /// Whether a new connection may fare better.
    pub(super) fn spoils_connection(&self) -> bool {
        match self {
            Self::Sqlite(error) | Self::Commit(error) => !matches!(
                error.sqlite_error_code(),
                Some(ErrorCode::DatabaseBusy | ErrorCode::DatabaseLocked | ErrorCode::DiskFull)
            ),
            Self::Garbled { .. }
            | Self::Denied(_)
            | Self::Unusable(_)
            | Self::Unsuitable(_)
            | Self::InUse => false,
        }
    }

    /// Whether waiting for other processes may help.
    pub(super) fn is_busy(&self) -> bool {
        matches!(
            self,
            Self::Sqlite(error) if matches!(
                error.sqlite_error_code(),
                Some(ErrorCode::DatabaseBusy | ErrorCode::DatabaseLocked)
            )
        )
    }

    pub(super) fn tell(self, place: &Place) -> StoreError {
        let store = Arc::clone(&place.label);
        match self {
            Self::Sqlite(error) => place.refused(error),
            Self::Commit(error) => place.not_committed(error),
            Self::Garbled {
                key,
                field,
                value,
                expected,
            } => StoreError::Garbled {
                store,
                key,
                field,
                value: value.chars().take(60).collect(),
                expected,
            },
            Self::Denied(message) => StoreError::Denied { store, message },
            Self::Unusable(message) => StoreError::Unwritable { store, message },
            Self::Unsuitable(message) => StoreError::Misconfigured { store, message },
            Self::InUse => StoreError::Unwritable {
                store,
                message: format!(
                    "another process uses {} with another -wal, -shm or -wake file than the one beside it: \
                     these were deleted under it, or it reaches the file under another name; find it with \
                     `fuser` and end it",
                    place.path.display()
                ),
            },
        }
    }
}

impl Place {
    pub(super) fn new(path: &Path) -> Self {
        let path = std::path::absolute(path).unwrap_or_else(|_| path.to_owned());
        // By the path that all of its names have in common, one file is recognized as one store.
        let leads_to = target(&path).unwrap_or_else(|_| path.clone());
        Self {
            label: format!("sqlite:{}", leads_to.display()).into(),
            path,
        }
    }

    pub(super) fn unreachable(
        &self,
        error: impl std::error::Error + Send + Sync + 'static,
    ) -> StoreError {
        StoreError::Unreachable {
            store: Arc::clone(&self.label),
            source: Arc::new(error),
        }
    }

    pub(super) fn unknown(
        &self,
        error: impl std::error::Error + Send + Sync + 'static,
    ) -> StoreError {
        StoreError::Unknown {
            store: Arc::clone(&self.label),
            source: Arc::new(error),
        }
    }

    pub(super) fn timed_out(&self, after: Duration) -> StoreError {
        self.unknown(io::Error::new(
            io::ErrorKind::TimedOut,
            format!("no answer within {after:?}; the disk may be slow"),
        ))
    }

    fn refused(&self, error: rusqlite::Error) -> StoreError {
        let store = Arc::clone(&self.label);
        let Some(code) = error.sqlite_error_code() else {
            return self.unreadable("a row", &error);
        };
        match code {
            ErrorCode::DatabaseBusy | ErrorCode::DatabaseLocked => self.unreachable(Busy),
            ErrorCode::PermissionDenied
            | ErrorCode::ReadOnly
            | ErrorCode::CannotOpen
            | ErrorCode::SystemIoFailure
            | ErrorCode::NoLargeFileSupport => match self.diagnose() {
                Some(trouble) => trouble.tell(self),
                None => StoreError::Unwritable {
                    store,
                    message: format!(
                        "{error} ({}); check the disk, the mount and the permissions",
                        self.path.display()
                    ),
                },
            },
            ErrorCode::DiskFull => StoreError::Unwritable {
                store,
                message: format!(
                    "{error}; free space on the file system of {}",
                    self.path.display()
                ),
            },
            ErrorCode::OutOfMemory => StoreError::Unwritable {
                store,
                message: error.to_string(),
            },
            ErrorCode::DatabaseCorrupt | ErrorCode::NotADatabase | ErrorCode::Unknown => {
                self.unreadable("the content", &error)
            }
            _ => StoreError::Unexpected {
                store,
                message: error.to_string(),
            },
        }
    }

    /// A commit that failed because the disk was full was undone; the outcome of any other is unknown.
    fn not_committed(&self, error: rusqlite::Error) -> StoreError {
        match error.sqlite_error_code() {
            Some(ErrorCode::DiskFull | ErrorCode::ReadOnly | ErrorCode::DatabaseBusy) => {
                self.refused(error)
            }
            Some(_) | None => self.unknown(error),
        }
    }

    fn unreadable(&self, field: &str, error: &rusqlite::Error) -> StoreError {
        StoreError::Garbled {
            store: Arc::clone(&self.label),
            key: self.path.display().to_string(),
            field: field.to_owned(),
            value: error.to_string(),
            expected: "not a database as incumbent writes it".to_owned(),
        }
    }

    /// What the operating system has against our using the file, if it has.
    pub(super) fn diagnose(&self) -> Option<Trouble> {
        let usable = Access::READ_OK | Access::WRITE_OK;
        let file = target(&self.path).unwrap_or_else(|_| self.path.clone());
        let directory = file.parent().unwrap_or(Path::new("/"));
        let checks = [(directory, usable | Access::EXEC_OK), (&file, usable)];
        checks.into_iter().find_map(|(path, needed)| {
            let error = access(path, needed).err()?;
            Some(Trouble::about(path, &error.into()))
        })
    }
}

/// No one else ends.
#[derive(Debug, thiserror::Error)]
#[error("another process keeps the database locked; find it with `fuser`")]
struct Busy;

//! Why a resource did not take a write.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use crate::protocol::FencingToken;

/// Why a fenced write was not carried out, or may not have been.
#[derive(Clone, Debug, thiserror::Error)]
#[non_exhaustive]
pub enum FenceError {
    /// The token is too old, and nothing was written. Stop: its holder no longer leads.
    #[error(
        "refused: the fencing token {token} is older than {highest}, which {resource} has seen: a newer \
         leader is at work"
    )]
    Stale {
        /// The token of the write.
        token: FencingToken,
        /// The highest token that the resource has seen.
        highest: FencingToken,
        /// The resource.
        resource: Arc<str>,
    },
    /// What should be the highest token is none, and nothing was written.
    #[error(
        "the fence of {resource} holds {value:?}, which is no fencing token: repair it, or remove it once \
         no old leader can be at work"
    )]
    Garbled {
        /// The resource.
        resource: Arc<str>,
        /// The first characters of what stands there.
        value: String,
    },
    /// Another process has kept the file locked for long, and nothing was written. It may be frozen.
    #[error("{} was locked by another process for {waited:?}: end that process, it may be frozen", path.display())]
    Busy {
        /// The guard file.
        path: PathBuf,
        /// How long it was waited for.
        waited: Duration,
    },
    /// The log is shorter than what was appended to it: somebody else cut or replaced it. Nothing was
    /// written.
    #[error(
        "{} has {found} bytes where {expected} were appended: put it back, or remove it together with its \
         .fence file once no old leader can be at work", path.display()
    )]
    Cut {
        /// The log.
        path: PathBuf,
        /// How long it was.
        expected: u64,
        /// How long it is.
        found: u64,
    },
    /// The command cannot be sent through a fence, and nothing was written.
    #[error("the command cannot be fenced: {reason}")]
    Command {
        /// Why.
        reason: &'static str,
    },
    /// The server failed, or refused the command itself. When no answer came the command may have been
    /// carried out: read before writing again.
    #[error("the fenced command on {resource} failed: {source}")]
    Redis {
        /// The resource.
        resource: Arc<str>,
        /// What failed.
        r#source: Arc<redis::RedisError>,
    },
    /// The database failed, and the transaction was rolled back.
    #[cfg(feature = "sqlite")]
    #[error("the fenced transaction on {resource} failed: {source}")]
    Sqlite {
        /// The resource.
        resource: Arc<str>,
        /// What failed.
        r#source: Arc<rusqlite::Error>,
    },
    /// A file operation failed. What was to be written may be there.
    #[error("{action} {} failed: {source}", path.display())]
    Io {
        /// What was done, such as `locking`.
        action: &'static str,
        /// To which file.
        path: PathBuf,
        /// What failed.
        r#source: Arc<std::io::Error>,
    },
}

impl FenceError {
    /// Whether the resource has seen a newer leader: the writer must stop.
    #[must_use]
    pub const fn is_stale(&self) -> bool {
        matches!(self, Self::Stale { .. })
    }

    /// The first characters of a value that was not understood.
    pub(super) fn garbled(resource: &Arc<str>, value: &[u8]) -> Self {
        let text = String::from_utf8_lossy(value);
        Self::Garbled {
            resource: Arc::clone(resource),
            value: text.chars().take(80).collect(),
        }
    }
}

//! What can go wrong with a store, and what it means for the request.

use std::sync::Arc;

use crate::protocol::Failure;

/// Why a store did not answer a request. The source is kept; secrets are not.
#[derive(Clone, Debug, thiserror::Error)]
#[non_exhaustive]
pub enum StoreError {
    /// The store was not reached, so the request was not executed.
    #[error("{store} is not reachable: {source}")]
    Unreachable {
        /// The store's label.
        store: Arc<str>,
        /// What failed.
        source: Arc<dyn std::error::Error + Send + Sync>,
    },
    /// The request was sent, and no usable answer came: it may have been executed.
    #[error(
        "{store} did not answer in time, or the connection broke: {source}; the request may have been executed"
    )]
    Unknown {
        /// The store's label.
        store: Arc<str>,
        /// What failed.
        source: Arc<dyn std::error::Error + Send + Sync>,
    },
    /// The store refuses us: wrong credentials, or a permission that is missing.
    #[error("{store} refuses access: {message}")]
    Denied {
        /// The store's label.
        store: Arc<str>,
        /// What the store said.
        message: String,
    },
    /// The store cannot write now: read-only, out of memory, disk full, still loading.
    #[error("{store} cannot take the request: {message}")]
    Unwritable {
        /// The store's label.
        store: Arc<str>,
        /// What the store said.
        message: String,
    },
    /// The store could be used, but two could be elected in it, or it was written by another version. Trying
    /// again without a change of configuration is in vain.
    #[error("{store} cannot be used: {message}")]
    Unsuitable {
        /// The store's label.
        store: Arc<str>,
        /// Why, and what to do.
        message: String,
    },
    /// The record holds something that `incumbent` did not write and cannot read.
    #[error(
        "{store} holds a record that cannot be read: {field} of {key} is {value:?}, {expected}; \
         nobody can be elected on this store until it is repaired or deleted"
    )]
    Garbled {
        /// The store's label.
        store: Arc<str>,
        /// The key, or the table.
        key: String,
        /// The field of it.
        field: String,
        /// The first characters of what stands there.
        value: String,
        /// What should stand there.
        expected: String,
    },
    /// The store answered something that is not an answer to the request.
    #[error("{store} answered something unexpected: {message}; the request may have been executed")]
    Unexpected {
        /// The store's label.
        store: Arc<str>,
        /// What was wrong with the answer.
        message: String,
    },
}

impl StoreError {
    /// Whether the request may have been executed all the same.
    #[must_use]
    pub const fn failure(&self) -> Failure {
        match self {
            Self::Unreachable { .. }
            | Self::Denied { .. }
            | Self::Unwritable { .. }
            | Self::Unsuitable { .. } => Failure::NotExecuted,
            Self::Unknown { .. } | Self::Garbled { .. } | Self::Unexpected { .. } => {
                Failure::Unknown
            }
        }
    }

    /// Whether the store refuses us, so that trying again without a change of configuration is in vain.
    #[must_use]
    pub const fn is_denied(&self) -> bool {
        matches!(self, Self::Denied { .. } | Self::Unsuitable { .. })
    }

    /// Whether the store must not be used as it is.
    #[must_use]
    pub const fn is_unsuitable(&self) -> bool {
        matches!(self, Self::Unsuitable { .. })
    }

    /// Whether the record itself is unreadable.
    #[must_use]
    pub const fn is_garbled(&self) -> bool {
        matches!(self, Self::Garbled { .. })
    }

    /// The label of the store.
    #[must_use]
    pub fn store(&self) -> &str {
        match self {
            Self::Unreachable { store, .. }
            | Self::Unknown { store, .. }
            | Self::Denied { store, .. }
            | Self::Unwritable { store, .. }
            | Self::Unsuitable { store, .. }
            | Self::Garbled { store, .. }
            | Self::Unexpected { store, .. } => store,
        }
    }
}

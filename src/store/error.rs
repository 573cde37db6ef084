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
        r#source: Arc<dyn std::error::Error + Send + Sync>,
    },
    /// The request was sent, and no usable answer came: it may have been executed.
    #[error(
        "{store} did not answer in time, or the connection broke: {source}; the request may have been executed"
    )]
    Unknown {
        /// The store's label.
        store: Arc<str>,
        /// What failed.
        r#source: Arc<dyn std::error::Error + Send + Sync>,
    },
    /// The store refuses us: wrong credentials, or a permission that is missing.
    #[error("{store} refuses access: {message}")]
    Denied {
        /// The store's label.
        store: Arc<str>,
        /// What the store said.
        message: String,
    },
    /// The store cannot be used with this configuration: a certificate that cannot be trusted, a name that leads to
    /// several servers, a file on a shared file system or of another version.
    #[error("{store} cannot be used as it is configured: {message}")]
    Misconfigured {
        /// The store's label.
        store: Arc<str>,
        /// What is wrong, and what to do about it.
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
    /// Whether the request may still have been executed.
    #[must_use]
    pub const fn failure(&self) -> Failure {
        match self {
            Self::Unreachable { .. }
            | Self::Denied { .. }
            | Self::Misconfigured { .. }
            | Self::Unwritable { .. } => Failure::NotExecuted,
            Self::Unknown { .. } | Self::Garbled { .. } | Self::Unexpected { .. } => {
                Failure::Unknown
            }
        }
    }

    /// Whether the store refuses us.
    #[must_use]
    pub const fn is_denied(&self) -> bool {
        matches!(self, Self::Denied { .. })
    }

    /// Whether the store cannot be used with this configuration.
    #[must_use]
    pub const fn is_misconfigured(&self) -> bool {
        matches!(self, Self::Misconfigured { .. })
    }

    /// Whether trying again fails until the password, a permission or the configuration is changed.
    #[must_use]
    pub const fn is_hopeless(&self) -> bool {
        self.is_denied() || self.is_misconfigured()
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
            | Self::Misconfigured { store, .. }
            | Self::Unwritable { store, .. }
            | Self::Garbled { store, .. }
            | Self::Unexpected { store, .. } => store,
        }
    }
}

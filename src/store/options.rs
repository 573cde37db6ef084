//! How a store is used, apart from where it is.

use std::time::Duration;

use super::Password;

/// The options of a store, in addition to its address.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct StoreOptions {
    /// What the keys of a Redis begin with. Default `incumbent:`.
    pub key_prefix: String,
    /// How long one operation may take, connecting included. Default 1 s.
    pub op_timeout: Duration,
    /// The user name, when the address has none.
    pub username: Option<String>,
    /// Where the password comes from, when the address has none.
    pub password: Option<Password>,
}

impl StoreOptions {
    /// The default of [`StoreOptions::key_prefix`].
    pub const KEY_PREFIX: &'static str = "incumbent:";

    /// Sets what the keys of a Redis begin with.
    #[must_use]
    pub fn key_prefix(mut self, prefix: impl Into<String>) -> Self {
        self.key_prefix = prefix.into();
        self
    }

    /// Sets how long one operation may take.
    #[must_use]
    pub const fn op_timeout(mut self, timeout: Duration) -> Self {
        self.op_timeout = timeout;
        self
    }

    /// Sets the user name for an address that has none.
    #[must_use]
    pub fn username(mut self, name: impl Into<String>) -> Self {
        self.username = Some(name.into());
        self
    }

    /// Sets the password for an address that has none.
    #[must_use]
    pub fn password(mut self, password: impl Into<Password>) -> Self {
        self.password = Some(password.into());
        self
    }
}

impl Default for StoreOptions {
    fn default() -> Self {
        Self {
            key_prefix: Self::KEY_PREFIX.to_owned(),
            op_timeout: Duration::from_secs(1),
            username: None,
            password: None,
        }
    }
}

//! Where a store is: parsed once, and never shown with its secrets.

use std::fmt;
use std::path::PathBuf;
use std::str::FromStr;
use std::sync::Arc;

/// The address of a store.
#[derive(Clone, PartialEq, Eq)]
pub struct StoreAddress {
    label: Arc<str>,
    pub(super) place: Place,
}

#[derive(Clone, PartialEq, Eq)]
pub(super) enum Place {
    Sqlite(PathBuf),
}

impl FromStr for StoreAddress {
    type Err = InvalidAddress;

    fn from_str(text: &str) -> Result<Self, InvalidAddress> {
        match text.split_once(':') {
            Some(("sqlite", path)) => Ok(Self {
                label: text.into(),
                place: Place::Sqlite(path.into()),
            }),
            Some(_) | None => Err(InvalidAddress::Scheme),
        }
    }
}

impl fmt::Display for StoreAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.label.fmt(f)
    }
}

impl fmt::Debug for StoreAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "StoreAddress({})", self.label)
    }
}

/// Why a text is not the address of a store.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum InvalidAddress {
    /// The scheme is not known.
    #[error("unknown scheme")]
    Scheme,
}

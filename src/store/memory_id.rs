//! The text of a memory's id: `milliseconds.number`.

use std::fmt;

use super::decimal::canonical;
use crate::protocol::{MemoryId, WallMillis};

impl fmt::Display for MemoryId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}", self.made, self.nonce)
    }
}

/// The id with this text.
pub(super) fn memory_id(text: &str) -> Option<MemoryId> {
    let (made, nonce) = text.split_once('.')?;
    Some(MemoryId {
        made: canonical(made).and_then(WallMillis::new)?,
        nonce: canonical(nonce)?,
    })
}

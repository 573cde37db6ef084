//! Why an operator gave an order.

use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

use super::text::{InvalidText, check};

/// Why an operator gave an order: one line for people, at most 200 bytes.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Reason(Arc<str>);

impl Reason {
    /// The longest reason, in bytes.
    pub const MAX_BYTES: usize = 200;

    /// Checks and wraps a reason.
    ///
    /// # Errors
    ///
    /// [`InvalidText`] when it is empty, too long, or holds a control character.
    pub fn new(text: &str) -> Result<Self, InvalidText> {
        let allowed = "give one line without control characters";
        let fits = |c: char| !c.is_control();
        check("reason", text, Self::MAX_BYTES, (fits, allowed))?;
        Ok(Self(text.into()))
    }

    /// The reason as given.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl FromStr for Reason {
    type Err = InvalidText;

    fn from_str(text: &str) -> Result<Self, InvalidText> {
        Self::new(text)
    }
}

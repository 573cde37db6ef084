//! The id of a candidacy, and the name of the host it runs on.

use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

use super::text::{InvalidText, check_word};

/// The id of one candidacy: new for every campaign, even of the same process under the same label.
///
/// At most 200 bytes of printable ASCII without `|`, `{`, `}`, `"` and `\`, so that every store can carry
/// it and it can be shown anywhere without quoting.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct CandidateId(Arc<str>);

impl CandidateId {
    /// The longest id, in bytes.
    pub const MAX_BYTES: usize = 200;

    /// Checks and wraps an id.
    ///
    /// # Errors
    ///
    /// [`InvalidText`] names the rule it breaks.
    pub fn new(id: &str) -> Result<Self, InvalidText> {
        check_word("candidate id", id, Self::MAX_BYTES)?;
        Ok(Self(id.into()))
    }

    /// A label and the random part that keeps candidacies under it apart.
    pub(crate) fn numbered(label: &str, random: u64) -> Result<Self, InvalidText> {
        Self::new(&format!("{label}:{random:016x}"))
    }

    /// The id as text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The label of the candidate: the id without its random part (`:` and 16 hexadecimal digits), which keeps
    /// candidacies under one label apart. The whole id if it has no such part.
    #[must_use]
    pub fn label(&self) -> &str {
        let is_random = |part: &str| {
            part.len() == 16 && part.bytes().all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f'))
        };
        match self.0.rsplit_once(':') {
            Some((label, random)) if is_random(random) => label,
            _ => &self.0,
        }
    }
}

impl FromStr for CandidateId {
    type Err = InvalidText;

    fn from_str(id: &str) -> Result<Self, InvalidText> {
        Self::new(id)
    }
}

impl fmt::Display for CandidateId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// The name of a host that candidates run on: at most 253 bytes, with the same characters as a
/// [`CandidateId`].
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct HostName(Arc<str>);

impl HostName {
    /// The longest name, in bytes.
    pub const MAX_BYTES: usize = 253;

    /// Checks and wraps a name.
    ///
    /// # Errors
    ///
    /// [`InvalidText`] names the rule it breaks.
    pub fn new(name: &str) -> Result<Self, InvalidText> {
        check_word("host name", name, Self::MAX_BYTES)?;
        Ok(Self(name.into()))
    }

    /// The name as text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for HostName {
    type Err = InvalidText;

    fn from_str(name: &str) -> Result<Self, InvalidText> {
        Self::new(name)
    }
}

impl fmt::Display for HostName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

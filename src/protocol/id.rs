//! The id of a candidacy, and the name of the host it runs on.

use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

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
    /// [`InvalidId`] names the rule it breaks.
    pub fn new(id: &str) -> Result<Self, InvalidId> {
        check("candidate id", id, Self::MAX_BYTES)?;
        Ok(Self(id.into()))
    }

    /// A label and the random part that keeps candidacies under it apart.
    pub(crate) fn numbered(label: &str, random: u64) -> Result<Self, InvalidId> {
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
    type Err = InvalidId;

    fn from_str(id: &str) -> Result<Self, InvalidId> {
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
    /// [`InvalidId`] names the rule it breaks.
    pub fn new(name: &str) -> Result<Self, InvalidId> {
        check("host name", name, Self::MAX_BYTES)?;
        Ok(Self(name.into()))
    }

    /// The name as text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for HostName {
    type Err = InvalidId;

    fn from_str(name: &str) -> Result<Self, InvalidId> {
        Self::new(name)
    }
}

impl fmt::Display for HostName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// Checks a text that every store carries and that is shown anywhere without quoting.
pub(crate) fn check(what: &'static str, text: &str, max: usize) -> Result<(), InvalidId> {
    if text.is_empty() {
        return Err(InvalidId::Empty { what });
    }
    if text.len() > max {
        return Err(InvalidId::TooLong {
            what,
            bytes: text.len(),
            max,
        });
    }
    match text
        .chars()
        .find(|c| !c.is_ascii_graphic() || matches!(c, '|' | '{' | '}' | '"' | '\\'))
    {
        Some(character) => Err(InvalidId::Character { what, character }),
        None => Ok(()),
    }
}

/// Why a text is not a valid id or host name.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum InvalidId {
    /// A part of it is empty.
    #[error("the {what} is empty")]
    Empty {
        /// Which part.
        what: &'static str,
    },
    /// A part of it is too long.
    #[error("the {what} has {bytes} bytes: at most {max} are allowed")]
    TooLong {
        /// Which part.
        what: &'static str,
        /// Its length.
        bytes: usize,
        /// The most allowed.
        max: usize,
    },
    /// A part of it holds a character that is not allowed.
    #[error(
        "the {what} holds {character:?}: only printable ASCII without blanks, |, {{, }}, \" and \\ is allowed"
    )]
    Character {
        /// Which part.
        what: &'static str,
        /// The first such character.
        character: char,
    },
}

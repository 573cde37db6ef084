//! The name of an election, checked once.

use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

use super::text::{InvalidText, check};

/// The name of an election: 1 to 200 bytes, no control characters, no braces.
///
/// Braces are refused because the companion keys on Redis wrap the key in them, so that all keys of one
/// election share a cluster slot.
///
/// # Examples
///
/// ```
/// use incumbent::protocol::ElectionName;
///
/// let name: ElectionName = "billing".parse()?;
/// assert_eq!(name.as_str(), "billing");
/// assert!("{billing}".parse::<ElectionName>().is_err());
/// # Ok::<(), incumbent::protocol::InvalidText>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ElectionName(Arc<str>);

impl ElectionName {
    /// The longest name, in bytes.
    pub const MAX_BYTES: usize = 200;

    /// Checks and wraps a name.
    ///
    /// # Errors
    ///
    /// [`InvalidText`] names the rule that the name breaks.
    pub fn new(name: &str) -> Result<Self, InvalidText> {
        Self::checked("name", name)
    }

    fn checked(what: &'static str, name: &str) -> Result<Self, InvalidText> {
        let allowed = "control characters and braces are not allowed";
        let fits = |c: char| !c.is_control() && !matches!(c, '{' | '}');
        check(what, name, Self::MAX_BYTES, (fits, allowed))?;
        Ok(Self(name.into()))
    }

    /// The election of one of several seats, numbered from 0: `NAME#SEAT`. At most one leads in each, so at most as
    /// many lead as there are seats.
    ///
    /// # Errors
    ///
    /// [`InvalidText::TooLong`] when there is no room for the number.
    ///
    /// # Examples
    ///
    /// ```
    /// use incumbent::protocol::ElectionName;
    ///
    /// let name = ElectionName::new("billing")?;
    /// let seat = name.seat(2)?;
    /// assert_eq!(seat.as_str(), "billing#2");
    /// assert_eq!((seat.without_seat(), name.without_seat()), ("billing", "billing"));
    /// # Ok::<(), incumbent::protocol::InvalidText>(())
    /// ```
    pub fn seat(&self, seat: u32) -> Result<Self, InvalidText> {
        Self::checked("name with its seat", &format!("{self}#{seat}"))
    }

    /// The name without the number of a seat.
    #[must_use]
    pub fn without_seat(&self) -> &str {
        let is_number = |text: &str| !text.is_empty() && text.bytes().all(|c| c.is_ascii_digit());
        match self.0.rsplit_once('#') {
            Some((name, seat)) if !name.is_empty() && is_number(seat) => name,
            Some(_) | None => &self.0,
        }
    }

    /// The name as given.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for ElectionName {
    type Err = InvalidText;

    fn from_str(name: &str) -> Result<Self, InvalidText> {
        Self::new(name)
    }
}

impl fmt::Display for ElectionName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

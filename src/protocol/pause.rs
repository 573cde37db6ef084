//! The pause of an election: until when nobody is elected, by whose order, and why.

use std::fmt::{self, Write};
use std::str::FromStr;
use std::sync::Arc;

use super::{CandidateId, InvalidOrder, WallMillis};

/// An order that nobody is elected. Whoever leads goes on, and is fenced as ever.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Pause {
    /// Until when, by the store's own clock; `None` until it is lifted. The clock of a store can make a
    /// pause longer or shorter, which delays a leadership or allows one; it never makes one.
    pub until: Option<WallMillis>,
    /// Who gave the order, by the name it gave itself.
    pub by: CandidateId,
    /// Why, for people.
    pub reason: Option<Reason>,
}

impl Pause {
    /// Whether it still holds when the store's clock shows `clock`.
    #[must_use]
    pub fn holds_at(&self, clock: WallMillis) -> bool {
        self.until.is_none_or(|until| clock < until)
    }
}

/// Writes `until|by|reason`: until is in milliseconds since the epoch or `-`, and of the reason each
/// byte that is not printable ASCII, and each blank, is written as `%` and two digits.
impl fmt::Display for Pause {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.until {
            Some(until) => write!(f, "{until}")?,
            None => f.write_char('-')?,
        }
        write!(f, "|{}|", self.by)?;
        let reason = self.reason.as_ref().map_or("", Reason::as_str);
        for byte in reason.bytes() {
            if byte.is_ascii_graphic() && byte != b'%' {
                f.write_char(char::from(byte))?;
            } else {
                write!(f, "%{byte:02x}")?;
            }
        }
        Ok(())
    }
}

/// Reads `until|by|reason`. A reason that nobody here has written is shown as well as it can be: it
/// decides nothing.
impl FromStr for Pause {
    type Err = InvalidOrder;

    fn from_str(text: &str) -> Result<Self, InvalidOrder> {
        let mut parts = text.splitn(3, '|');
        let mut next = || parts.next().ok_or(InvalidOrder::Form);
        let (until, by, reason) = (next()?, next()?, next()?);
        let until = match until {
            "-" => None,
            millis => Some(
                super::decimal::canonical(millis)
                    .and_then(WallMillis::new)
                    .ok_or(InvalidOrder::Form)?,
            ),
        };
        let graphic = reason.bytes().all(|byte| byte.is_ascii_graphic());
        if !graphic || reason.len() > 3 * Reason::MAX_BYTES {
            return Err(InvalidOrder::Form);
        }
        Ok(Self {
            until,
            by: CandidateId::new(by)?,
            reason: Reason::decode(reason),
        })
    }
}

/// Why somebody gave an order: one line for people, at most 200 bytes.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Reason(Arc<str>);

impl Reason {
    /// The longest reason, in bytes.
    pub const MAX_BYTES: usize = 200;

    /// Checks and wraps a reason.
    ///
    /// # Errors
    ///
    /// [`InvalidOrder`] when it is empty, too long, or holds a control character.
    pub fn new(text: &str) -> Result<Self, InvalidOrder> {
        if text.is_empty() || text.len() > Self::MAX_BYTES {
            return Err(InvalidOrder::ReasonLength { bytes: text.len() });
        }
        match text.chars().find(|c| c.is_control()) {
            Some(character) => Err(InvalidOrder::ReasonCharacter { character }),
            None => Ok(Self(text.into())),
        }
    }

    /// The reason as it was given.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The reason that a percent-encoded text spells, shown as well as it can be; `None` of none.
    fn decode(text: &str) -> Option<Self> {
        let bytes = percent_decoded(text);
        let shown = String::from_utf8_lossy(&bytes);
        let mut clean = String::new();
        for c in shown.chars() {
            let c = if c.is_control() { '\u{fffd}' } else { c };
            if clean.len() + c.len_utf8() > Self::MAX_BYTES {
                break;
            }
            clean.push(c);
        }
        (!clean.is_empty()).then(|| Self(clean.into()))
    }
}

fn percent_decoded(text: &str) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let [first, tail @ ..] = rest {
        let coded = tail.get(..2).filter(|_| *first == b'%').and_then(byte_of);
        bytes.push(coded.unwrap_or(*first));
        rest = if coded.is_some() { &tail[2..] } else { tail };
    }
    bytes
}

fn byte_of(digits: &[u8]) -> Option<u8> {
    let digit = |at: usize| char::from(digits[at]).to_digit(16);
    u8::try_from(16 * digit(0)? + digit(1)?).ok()
}

impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl FromStr for Reason {
    type Err = InvalidOrder;

    fn from_str(text: &str) -> Result<Self, InvalidOrder> {
        Self::new(text)
    }
}

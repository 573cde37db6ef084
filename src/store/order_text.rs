//! The orders that stand beside a record, as the stores write them.

use std::fmt::{self, Write};
use std::str::FromStr;

use super::decimal::canonical;
use crate::protocol::{
    CandidateId, FencingToken, Handover, HostName, InvalidId, Pause, Reason, Successor, WallMillis,
};

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

/// Reads `until|by|reason`. A reason written by a foreign program is shown as well as it can be: it
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
                canonical(millis)
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
            reason: decoded(reason),
        })
    }
}

/// The reason that a percent-encoded text spells, shown as well as it can be; `None` of none.
fn decoded(text: &str) -> Option<Reason> {
    let bytes = percent_decoded(text);
    let shown = String::from_utf8_lossy(&bytes);
    let mut clean = String::new();
    for c in shown.chars() {
        let c = if c.is_control() { '\u{fffd}' } else { c };
        if clean.len() + c.len_utf8() > Reason::MAX_BYTES {
            break;
        }
        clean.push(c);
    }
    Reason::new(&clean).ok()
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

/// Writes `term|candidate|ID`, `term|host|NAME` or `term|anyone|`.
impl fmt::Display for Handover {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.to {
            Some(Successor::Candidate(id)) => write!(f, "{}|candidate|{id}", self.term),
            Some(Successor::Host(host)) => write!(f, "{}|host|{host}", self.term),
            None => write!(f, "{}|anyone|", self.term),
        }
    }
}

impl FromStr for Handover {
    type Err = InvalidOrder;

    fn from_str(text: &str) -> Result<Self, InvalidOrder> {
        let mut parts = text.splitn(3, '|');
        let mut next = || parts.next().ok_or(InvalidOrder::Form);
        let (term, kind, name) = (next()?, next()?, next()?);
        let term = canonical(term)
            .and_then(FencingToken::new)
            .filter(|term| *term != FencingToken::ZERO)
            .ok_or(InvalidOrder::Form)?;
        let to = match (kind, name) {
            ("candidate", id) => Some(Successor::Candidate(CandidateId::new(id)?)),
            ("host", host) => Some(Successor::Host(HostName::new(host)?)),
            ("anyone", "") => None,
            _ => return Err(InvalidOrder::Form),
        };
        Ok(Self { term, to })
    }
}

/// Why a text is no order.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum InvalidOrder {
    /// Its parts are not those of an order.
    #[error("an order is written until|by|reason or term|kind|successor")]
    Form,
    /// A candidate or a host in it.
    #[error(transparent)]
    Id(#[from] InvalidId),
}

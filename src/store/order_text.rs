//! The orders that stand beside a record, as the stores write them.

use std::fmt::{self, Write};
use std::str::FromStr;

use percent_encoding::{AsciiSet, CONTROLS, percent_decode_str, utf8_percent_encode};

use super::decimal::canonical;
use crate::protocol::{
    CandidateId, FencingToken, Handover, HostName, InvalidText, Pause, Reason, Successor,
    WallMillis,
};

/// What a reason does not contain as it is, apart from all that is not ASCII.
const ENCODED: &AsciiSet = &CONTROLS.add(b' ').add(b'%');

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
        utf8_percent_encode(reason, ENCODED).fmt(f)
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
    let shown = percent_decode_str(text).decode_utf8_lossy();
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
    Id(#[from] InvalidText),
}

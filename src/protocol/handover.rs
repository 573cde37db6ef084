//! The handover of an election: its leader is asked to resign, and somebody may be preferred after it.

use std::fmt;
use std::str::FromStr;

use super::{CandidateId, HostName, InvalidOrder, Term};

/// An order that the leader of one term resigns. Once that term is released, its successor is preferred
/// for as long as anybody else has to watch the record unchanged for a window.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Handover {
    /// The term whose leader is asked, and no other's.
    pub term: Term,
    /// Who is to lead next; `None` for whoever comes first.
    pub to: Option<Successor>,
}

/// Who is to lead next.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Successor {
    /// One candidate, by its id.
    Candidate(CandidateId),
    /// Whoever campaigns on one host.
    Host(HostName),
}

impl Successor {
    /// Whether that is the candidate `id` on `host`.
    #[must_use]
    pub fn is(&self, id: &CandidateId, host: Option<&str>) -> bool {
        match self {
            Self::Candidate(candidate) => candidate == id,
            Self::Host(name) => host == Some(name.as_str()),
        }
    }
}

/// Names the candidate, or the host.
impl fmt::Display for Successor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Candidate(id) => id.fmt(f),
            Self::Host(host) => host.fmt(f),
        }
    }
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
        let term = super::decimal::canonical(term)
            .and_then(Term::new)
            .filter(|term| *term != Term::ZERO)
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

//! The judge. It reads a history, and knows nothing of any protocol.

use std::fmt;

use super::history::{History, Span};
use super::{MILLI, Nanos};

/// What a history shows that must not be.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Violation {
    /// Two parties acted at the same time (`S1`).
    Overlap { first: Span, second: Span },
    /// A party acted with a token that is not above that of everybody who acted before it (`S2`).
    TokenOutOfOrder { first: Span, second: Span },
}

/// Everything in `history` that must not be.
pub(crate) fn check(history: &History) -> Vec<Violation> {
    let mut spans: Vec<&Span> = history.spans.iter().filter(|s| s.from < s.to).collect();
    spans.sort_by_key(|span| (span.from, span.to));
    let mut violations = Vec::new();
    // The span that reaches furthest among those that have begun: any other party that overlaps one of them
    // is caught either against it or against the one with the next highest token.
    let mut furthest: Option<&Span> = None;
    let mut highest: Option<&Span> = None;
    for span in spans {
        if let Some(before) = furthest
            && before.who != span.who
            && span.from < before.to
        {
            violations.push(Violation::Overlap {
                first: before.clone(),
                second: span.clone(),
            });
        }
        if let Some(before) = highest {
            let same = before.who == span.who && before.token == span.token;
            // Of two that act at once, which is bad enough, a resource can still refuse one, as long as
            // their tokens differ; neither came after the other.
            let after = span.from >= before.to || span.token == before.token;
            if !same && after && span.token.is_some() && span.token <= before.token {
                violations.push(Violation::TokenOutOfOrder {
                    first: before.clone(),
                    second: span.clone(),
                });
            }
        }
        if furthest.is_none_or(|before| span.to > before.to) {
            furthest = Some(span);
        }
        if highest.is_none_or(|before| span.token > before.token) {
            highest = Some(span);
        }
    }
    violations
}

/// A moment as people read it: seconds with milliseconds.
pub(crate) fn seconds(at: Nanos) -> String {
    format!("{}.{:03}", at / (1000 * MILLI), at / MILLI % 1000)
}

impl fmt::Display for Span {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{} from {} to {}",
            self.who,
            seconds(self.from),
            seconds(self.to)
        )?;
        match self.token {
            Some(token) => write!(f, " with token {token}"),
            None => Ok(()),
        }
    }
}

impl fmt::Display for Violation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Overlap { first, second } => {
                write!(f, "S1: two acted at once: {first}; {second}")
            }
            Self::TokenOutOfOrder { first, second } => {
                write!(f, "S2: a token does not rise: {first}; {second}")
            }
        }
    }
}

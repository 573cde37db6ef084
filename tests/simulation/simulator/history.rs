//! What an observer outside of all machines sees: each party that acted, from when to when, with which token.

use super::Nanos;

/// A stretch of time in which one party acted without a break.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Span {
    pub(crate) who: String,
    /// The fencing token it acted with, for parties that have one.
    pub(crate) token: Option<u64>,
    pub(crate) from: Nanos,
    /// The first moment at which it acted no more.
    pub(crate) to: Nanos,
}

/// Everything that acted, in the order of the ends of the spans.
#[derive(Clone, Debug, Default)]
pub(crate) struct History {
    pub(crate) spans: Vec<Span>,
}

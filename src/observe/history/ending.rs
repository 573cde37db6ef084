//! Why a term ended, in the eyes of the stores.

/// Why a term ended, as the stores tell it. What its leader said of it, if it lived to say something, is
/// [`PastTerm::reason`](super::PastTerm::reason).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Ending {
    /// Its holder released it, after its work had ended.
    Released,
    /// Its counter stood still for a window, and another candidate took over.
    Stalled,
    /// A program that speaks only the bare protocol took it.
    Displaced,
    /// The stores lost their data.
    Forgotten,
    /// An operator asked its holder to resign, and it released it after its work had ended.
    Requested,
    /// An operator took its holder for gone.
    Deposed,
}

impl Ending {
    /// The ending in one word, as `-o json` calls it.
    #[must_use]
    pub const fn word(self) -> &'static str {
        match self {
            Self::Released => "released",
            Self::Stalled => "stalled",
            Self::Displaced => "displaced",
            Self::Forgotten => "forgotten",
            Self::Requested => "requested",
            Self::Deposed => "deposed",
        }
    }

    /// Why, in a few words for people.
    #[must_use]
    pub const fn reason(self) -> &'static str {
        match self {
            Self::Released => "released by its leader",
            Self::Stalled => "its heartbeat stood still for a window",
            Self::Displaced => "a program of the bare protocol took it",
            Self::Forgotten => "the stores lost their data",
            Self::Requested => "an operator asked the leader to resign",
            Self::Deposed => "an operator deposed its leader",
        }
    }
}

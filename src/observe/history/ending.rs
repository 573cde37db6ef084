//! Why a term ended, according to the stores.

/// Why a term ended, according to the stores. The reason that its leader gave, if it could give one, is
/// [`PastTerm::reason`](super::PastTerm::reason).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Ending {
    /// Its holder released it, after its work had ended.
    Released,
    /// Its counter stalled for a window, and another candidate took over.
    Stalled,
    /// A program that speaks only the bare protocol took it.
    Displaced,
    /// The stores lost their data.
    Forgotten,
    /// An operator asked its holder to resign, and the holder released it after its work had ended.
    Requested,
    /// An operator deposed its holder.
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
            Self::Stalled => "its heartbeat stalled for a window",
            Self::Displaced => "a program of the bare protocol took it",
            Self::Forgotten => "the stores lost their data",
            Self::Requested => "an operator asked the leader to resign",
            Self::Deposed => "an operator deposed its leader",
        }
    }
}

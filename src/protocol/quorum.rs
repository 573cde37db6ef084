//! The electorate: the number of independent stores, and their majority.

use std::fmt;

/// The position of a store in its electorate, counted from zero in configuration order.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct StoreIndex(pub u8);

impl StoreIndex {
    /// The index as a position in a slice.
    #[must_use]
    pub const fn get(self) -> usize {
        self.0 as usize
    }
}

impl fmt::Display for StoreIndex {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// The 1, 3 or 5 independent stores of an election. One store is a quorum of one, with no code path of
/// its own.
///
/// # Examples
///
/// ```
/// use incumbent::protocol::Electorate;
///
/// assert_eq!(Electorate::new(1)?.majority(), 1);
/// assert_eq!(Electorate::new(5)?.majority(), 3);
/// assert!(Electorate::new(2).is_err(), "two stores tolerate no more failures than one");
/// # Ok::<(), incumbent::protocol::InvalidElectorate>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Electorate(u8);

impl Electorate {
    /// An electorate of `stores` stores.
    ///
    /// # Errors
    ///
    /// [`InvalidElectorate`] for any number but 1, 3 and 5.
    pub const fn new(stores: usize) -> Result<Self, InvalidElectorate> {
        match stores {
            1 => Ok(Self(1)),
            3 => Ok(Self(3)),
            5 => Ok(Self(5)),
            _ => Err(InvalidElectorate { stores }),
        }
    }

    /// How many stores there are.
    #[must_use]
    pub const fn size(self) -> usize {
        self.0 as usize
    }

    /// How many of them a decision needs: any two majorities share a store, and the rest may be down
    /// (`L4`).
    #[must_use]
    pub const fn majority(self) -> usize {
        self.size() / 2 + 1
    }

    /// Every store, in order.
    pub fn stores(self) -> impl Iterator<Item = StoreIndex> {
        (0..self.0).map(StoreIndex)
    }
}

/// A number of stores that cannot form a useful electorate.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "{stores} stores cannot form an electorate: give 1, 3 or 5 independent stores \
     (an even number tolerates no more failures than one store fewer)"
)]
pub struct InvalidElectorate {
    /// How many were given.
    pub stores: usize,
}

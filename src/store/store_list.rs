//! Which stores a candidate uses, short enough to be published: majorities of two lists need not meet.

use std::fmt;
use std::str::FromStr;

use super::fnv1a;
use super::identity::InvalidIdentity;

/// The stores of a candidate, as digests of their addresses: for each of them, whether another candidate
/// writes the same address.
///
/// The user name and the order do not count. Two addresses of one server have two digests, so what differs
/// here may still be the same servers.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct StoreList(Vec<u32>);

impl StoreList {
    /// The most stores that an election can have.
    pub const MAX: usize = 5;

    /// The list of these addresses, which hold no password.
    pub fn new<'a>(addresses: impl IntoIterator<Item = &'a str>) -> Self {
        let mut digests: Vec<u32> = addresses.into_iter().map(Self::digest).collect();
        digests.sort_unstable();
        Self(digests)
    }

    /// How many stores there are.
    #[must_use]
    pub fn count(&self) -> usize {
        self.0.len()
    }

    /// Whether this very address is in the list.
    #[must_use]
    pub fn names(&self, address: &str) -> bool {
        self.0.contains(&Self::digest(address))
    }

    /// Whether an address is in both lists.
    #[must_use]
    pub fn overlaps(&self, other: &Self) -> bool {
        self.0.iter().any(|digest| other.0.contains(digest))
    }

    /// A digest of an address without its user name.
    fn digest(address: &str) -> u32 {
        let (scheme, rest) = address.split_once("://").unwrap_or(("", address));
        let host = rest.split_once('@').map_or(rest, |(_user, host)| host);
        let hash = fnv1a(scheme.bytes().chain(host.bytes()));
        // Folding keeps more of its quality than cutting it off (Fowler, Noll and Vo).
        u32::try_from((hash >> 32) ^ (hash & 0xffff_ffff)).expect("half of its bits")
    }
}

/// Writes 8 hexadecimal digits for each store, with dots between.
impl fmt::Display for StoreList {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (at, digest) in self.0.iter().enumerate() {
            let dot = if at > 0 { "." } else { "" };
            write!(f, "{dot}{digest:08x}")?;
        }
        Ok(())
    }
}

impl FromStr for StoreList {
    type Err = InvalidIdentity;

    fn from_str(text: &str) -> Result<Self, InvalidIdentity> {
        let digest = |part: &str| match part.len() {
            8 if part.bytes().all(|byte| byte.is_ascii_hexdigit()) => {
                u32::from_str_radix(part, 16).ok()
            }
            _ => None,
        };
        let digests: Option<Vec<u32>> = text.split('.').map(digest).collect();
        digests
            .filter(|digests| digests.len() <= Self::MAX)
            .map(Self)
            .ok_or_else(|| InvalidIdentity::Stores {
                text: text.chars().take(60).collect(),
            })
    }
}

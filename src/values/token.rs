//! The number that a resource compares.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

/// The number of one leadership, its term: it strictly rises from each leader to the next (`S2`).
///
/// Send it along with each write, and let the resource refuse a token below the highest it has seen, as
/// [`fence`](crate::fence) does. It is a hybrid timestamp: at least the store's clock at the election, in
/// microseconds, so it keeps rising even when every store has lost its data. See Kleppmann, "How to do distributed
/// locking" (2016), for what a resource does with it, and Kulkarni et al., "Logical Physical Clocks" (2014), for
/// the numbering.
///
/// # Examples
///
/// ```
/// use incumbent::FencingToken;
///
/// // What `incumbent run` passes to its program as INCUMBENT_FENCING_TOKEN.
/// let token: FencingToken = "1795167000000000".parse()?;
/// assert!(token > FencingToken::try_from(7)?);
/// assert_eq!((u64::from(token), i64::from(token)), (1795167000000000, 1795167000000000));
/// # Ok::<(), incumbent::fence::InvalidToken>(())
/// ```
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize,
)]
#[serde(into = "u64", try_from = "u64")]
pub struct FencingToken(u64);

impl FencingToken {
    /// Before any leadership.
    pub const ZERO: Self = Self(0);
    /// The largest token: 2^53 − 1, exact in every language that reads numbers as doubles, Lua and
    /// JavaScript among them.
    pub const MAX: Self = Self((1 << 53) - 1);

    /// The given number as a token, or `None` above [`FencingToken::MAX`].
    #[must_use]
    pub const fn new(number: u64) -> Option<Self> {
        if number <= Self::MAX.0 {
            Some(Self(number))
        } else {
            None
        }
    }

    /// The number itself.
    #[must_use]
    pub const fn get(self) -> u64 {
        self.0
    }
}

impl fmt::Display for FencingToken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl From<FencingToken> for u64 {
    fn from(token: FencingToken) -> Self {
        token.0
    }
}

/// For databases, which have no unsigned integers.
impl From<FencingToken> for i64 {
    fn from(token: FencingToken) -> Self {
        token.0.cast_signed()
    }
}

impl TryFrom<u64> for FencingToken {
    type Error = InvalidToken;

    fn try_from(number: u64) -> Result<Self, InvalidToken> {
        Self::new(number).ok_or_else(|| InvalidToken(number.to_string()))
    }
}

/// Reads plain decimal digits.
impl FromStr for FencingToken {
    type Err = InvalidToken;

    fn from_str(text: &str) -> Result<Self, InvalidToken> {
        let digits = text.bytes().all(|byte| byte.is_ascii_digit());
        let number = text.parse().ok().filter(|_| digits);
        let invalid = || InvalidToken(text.chars().take(80).collect());
        number.and_then(Self::new).ok_or_else(invalid)
    }
}

/// Why something is no [`FencingToken`].
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0:?} is no fencing token: a token is a decimal number from 0 to {max}", max = FencingToken::MAX)]
pub struct InvalidToken(String);

//! The resource's side of the fencing token: refuse what a leader of the past still sends.
//!
//! A leader that was frozen as a whole does not know that it lost: it goes on where it stopped, and for
//! a moment two programs act. No lock can prevent that. The resource can, when each write carries the
//! fencing token and the resource refuses one that is lower than the highest it has seen, in the same
//! atomic step as the write.
//!
//! ```text
//!   FencingToken ──▶ RedisFence   one script: compare, raise, carry out any command
//!                ──▶ SqlFence     one statement in the transaction of the write
//!                ──▶ FencedFile   a file that is replaced as a whole     ┐ compared and raised in a
//!                ──▶ FencedLog    a file that is appended to             ┘ guard file beside it, under flock
//!                         │
//!                         └──▶ FenceError::Stale { token, highest }      stop: a newer leader is at work
//! ```
//!
//! What a new leader does first is to *raise* the token, and only then to read what its predecessor
//! left: after the raise nothing of the predecessor's can arrive any more, so what is read stays true.
//!
//! [`Lease::fencing_token`](crate::Lease::fencing_token) returns the token. A program under `incumbent run` parses
//! it from `INCUMBENT_FENCING_TOKEN`.

mod error;
mod file;
mod guard;
mod log;
mod redis;
mod sql;

pub use crate::protocol::{FencingToken, InvalidToken};
pub use error::FenceError;
pub use file::FencedFile;
pub use log::FencedLog;
pub use redis::RedisFence;
pub use sql::SqlFence;

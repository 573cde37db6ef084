//! A simulator of elections in virtual time.
//!
//! ```text
//!   seed ──▶ Plan ──▶ World ────────────────────────────────▶ History ──▶ check() ──▶ Violation
//!                      │ clocks that drift, pauses, crashes      who acted from when to when,
//!                      │ messages lost, late, doubled            and with which token
//!                      │ stores that are down, hang, forget
//!                      ▼
//!                    Party: what is simulated: the real `Candidate` with the real `apply`,
//!                           or one of the two controls, which must be seen to fail
//! ```
//!
//! The world knows nothing of what a party does inside, and the checker knows nothing but the history.

pub(crate) mod bare;
pub(crate) mod checker;
pub(crate) mod clock;
pub(crate) mod fault;
pub(crate) mod history;
pub(crate) mod incumbent;
pub(crate) mod network;
pub(crate) mod operator;
pub(crate) mod party;
pub(crate) mod plan;
pub(crate) mod random;
pub(crate) mod recorder;
pub(crate) mod run;
pub(crate) mod ttl;
pub(crate) mod world;

/// Virtual time in nanoseconds, as an observer outside of all machines would measure it.
pub(crate) type Nanos = u64;

pub(crate) const MILLI: Nanos = 1_000_000;
pub(crate) const SECOND: Nanos = 1_000 * MILLI;

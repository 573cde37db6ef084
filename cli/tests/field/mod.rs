//! The field on which real processes meet real servers, and the witness that watches them.
//!
//! ```text
//!   Fleet ──starts──▶ candidates (library, `incumbent run`, bare.py) ──▶ redis-server, SQLite files
//!     │                    │ each elected program appends: token, who, what, boot time
//!     │                    ▼
//!     └──reads──▶ Witness: one file ──▶ History ──▶ check()      knows nothing of the protocol
//! ```
#![allow(
    dead_code,
    unused_imports,
    reason = "each test binary uses its part of the field"
)]

pub(crate) mod bed;
pub(crate) mod candidate;
#[path = "../../../tests/simulation/simulator/checker.rs"]
pub(crate) mod checker;
pub(crate) mod fleet;
#[path = "../../../tests/support/held.rs"]
#[allow(unreachable_pub, reason = "it is shared with other test programs")]
pub(crate) mod held;
#[path = "../../../tests/simulation/simulator/history.rs"]
pub(crate) mod history;
pub(crate) mod processor;
pub(crate) mod program;
pub(crate) mod proxy;
pub(crate) mod slewed_clock;
pub(crate) mod wall_clock;
pub(crate) mod witness;

pub(crate) use candidate::Settings;
pub(crate) use fleet::Fleet;

/// Nanoseconds of boot time; the checker, which is that of the simulator, asks for these words.
pub(crate) type Nanos = u64;

pub(crate) const MILLI: Nanos = 1_000_000;

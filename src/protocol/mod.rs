//! The election itself: pure functions and one pure state machine.
//!
//! Nothing in this layer reads a clock, does I/O, awaits, logs or draws unseeded randomness, so a model
//! checker and a simulator in virtual time can drive the same types that ship.
//!
//! ```text
//!             now, Input                     Step { sends, events, wake_at }
//!   driver ───────────────▶ Candidate::handle ───────────────▶ driver
//!                              │        ▲
//!                    Watch (one per store): what has stalled, since when
//!                              │        │
//!                      Request ▼        │ Reply
//!                        apply(State, Request) -> (State, Reply)       what every store does
//! ```
//!
//! The safety rules are marked `R1` to `R8` where the code keeps them, and explained in
//! `ARCHITECTURE.md`.

mod candidate;
mod memory;
mod operation;
mod order;
mod quorum;
mod record;
mod term;
mod time;
mod timing;
mod watch;

pub use crate::values::{
    CandidateId, ElectionName, FencingToken, HostName, InvalidText, InvalidTiming, InvalidToken,
    LossReason, Reason, TimingConfig,
};
pub use candidate::{
    Candidate, CandidateConfig, Event, Failure, Input, Opening, Outgoing, Prospect, RequestId,
    Role, Sightings, Step,
};
pub use memory::{Attestation, Knowledge, Memory, MemoryId, State};
pub use operation::{Claim, ClaimKind, Reply, Request, Verdict, apply};
pub use order::{Handover, Order, Orders, Pause, Successor};
pub use quorum::{Electorate, InvalidElectorate, StoreIndex};
pub use record::{Mark, Occupancy, Record, Shape};
pub use term::{Beat, Term};
pub use time::{Timestamp, WallMillis};
pub use timing::Timing;
pub use watch::Watch;

/// Candidates in any state, for the proof. No part of the API.
#[cfg(feature = "_fuzzing")]
pub mod planted {
    pub use super::candidate::planted::*;
}

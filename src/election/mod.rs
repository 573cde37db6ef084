//! The election as a program uses it: on tokio, with real clocks and real stores.
//!
//! ```text
//!   run_as_leader ─▶ campaign ─▶ Leadership ──▶ Lease        what the work asks: check, lost, remaining
//!                        │            │ resign
//!                        ▼            ▼
//!          Driver, on the election thread ──────────▶ protocol::Candidate
//!                        │                                    guard: ends the process on overrun
//!                        ▼
//!                  store::Store × 1, 3 or 5
//! ```

mod agreement;
mod alarm;
mod blocking;
mod builder;
mod campaign;
pub mod clock;
mod custody;
mod direct;
mod driver;
mod end;
mod error;
mod failover;
mod gap;
mod guard;
mod handle;
mod late;
mod leadership;
mod lease;
#[cfg(test)]
mod lease_tests;
mod link;
mod links;
mod memories;
mod moments;
mod observer;
mod operator;
mod order_error;
mod run;
mod run_once;
mod runtime;
mod seats;
mod setup;
mod shared;
mod slot;
mod stall_watch;
mod standing;
mod sync;
mod tracker;

use alarm::Alarm;
pub use blocking::{BlockingElection, BlockingLeadership};
pub use builder::{Builder, ElectionBuilder, Overrun};
pub(crate) use direct::{Client, Held, Wait};
pub use error::{CampaignError, ConfigError, Lost, RunError};
pub use failover::TimingChoices;
pub use handle::Election;
pub use leadership::Leadership;
pub use lease::Lease;
pub use observer::{Listing, Observer};
pub use operator::{CompletedOrder, Operator, ResignRequest};
pub use order_error::{Obstacle, OrderError};
pub use run::run_as_leader;
pub(crate) use runtime::block_on_here;
pub use runtime::start;
pub(crate) use seats::pass_over;
pub use seats::{Seat, Seats};
pub use stall_watch::StallWatch;

use shared::Shared;

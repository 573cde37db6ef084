//! What the world sees of an election: one stream of events, from which everything else derives.
//!
//! ```text
//!   driver ──▶ Event ──┬──▶ log        tracing lines, for a person at three in the morning
//!                      └──▶ broadcast  whoever subscribed to Election::events
//! ```
//!
//! This layer reads events. It decides nothing.

mod event;
mod log;

pub use event::{ElectionEvent, Happening};
pub(crate) use log::log;

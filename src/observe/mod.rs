//! What the outside sees of an election: one stream of events, from which everything else derives.
//!
//! ```text
//!   driver ──▶ Event ──┬──▶ log        tracing lines, for a person at three in the morning
//!      │               ├──▶ broadcast  subscribers of Election::events
//!      └─ heartbeats ──┴──▶ Counters ──▶ Metrics
//!
//!   stores ──▶ inspect, history ──▶ ElectionView, HistoryView    what a majority of them says
//! ```
//!
//! This layer reads events and records. It decides nothing.

mod calendar;
pub mod document;
mod event;
mod history;
mod lists;
mod log;
mod majority;
mod metrics;
mod pause;
mod view;

pub use calendar::date_and_time;
pub use event::{ElectionEvent, EventKind};
pub use history::{Answers, Ending, HistoryView, PastOrder, PastTerm, order_word};
pub use lists::Difference;
pub(crate) use log::{log, log_troubles};
pub(crate) use metrics::Counters;
pub use metrics::{HeartbeatResult, Histogram, LOSS_REASONS, Metrics, StoreHealth};
pub use pause::{pause_in_words, until_in_words};
pub use view::{CandidateView, ElectionView, Holding, State, StoreView};

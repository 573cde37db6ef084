//! What people and programs call things: elections, candidates, hosts, reasons, and the number of a leadership.
//!
//! Each text is checked once, when it becomes a value, so that every store can carry it. None of them knows a rule of
//! the election. They are public as parts of [`protocol`](crate::protocol).

mod election;
mod id;
mod loss_reason;
mod reason;
mod text;
mod token;

pub use election::ElectionName;
pub use id::{CandidateId, HostName};
pub use loss_reason::LossReason;
pub use reason::Reason;
pub use text::InvalidText;
pub(crate) use text::check_word;
pub use token::{FencingToken, InvalidToken};

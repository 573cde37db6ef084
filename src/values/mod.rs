//! What people and programs give and read: names, reasons, fencing tokens, and the timing that they choose.
//!
//! Each text is checked once, when it becomes a value, so that every store can carry it. Nothing here decides anything
//! about an election. These types are public as parts of [`protocol`](crate::protocol).

mod election;
mod id;
mod loss_reason;
mod reason;
mod text;
mod timing;
mod token;

pub use election::ElectionName;
pub use id::{CandidateId, HostName};
pub use loss_reason::LossReason;
pub use reason::Reason;
pub use text::InvalidText;
pub(crate) use text::check_word;
pub(crate) use timing::MAX_WINDOW;
pub use timing::{InvalidTiming, TimingConfig};
pub use token::{FencingToken, InvalidToken};

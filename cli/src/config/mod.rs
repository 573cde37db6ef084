//! The configuration: what was typed, what the environment and files say, and what it comes to.
//!
//! ```text
//!   args        what was typed
//!     ▼
//!   settings ◀─ layer ◀─ keys      flag > environment > file > default; each value knows where it came from
//! ```

pub(crate) mod args;
pub(crate) mod environment;
pub mod fuzzing;
pub(crate) mod hint;
pub(crate) mod keys;
pub(crate) mod layer;
pub(crate) mod places;
pub(crate) mod settings;

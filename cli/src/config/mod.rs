//! The configuration: flags, environment and files, merged into settings.
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
pub mod keys;
pub(crate) mod layer;
pub(crate) mod places;
pub(crate) mod settings;

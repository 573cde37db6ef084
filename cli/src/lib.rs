//! The command `incumbent`, as a library of which the program is one call, and its tests the others.
//!
//! ```text
//!   command     what each command does
//!     │ └──────▶ supervise      the program and its keeper: launched, stopped, proved dead
//!     │ └──────▶ http           health, metrics and the page
//!     ▼
//!   output      data on standard output, logs on standard error
//!     ▼
//!   config      flags, environment and files, merged into settings
//!     ▼
//!   exit        what each outcome ends with
//! ```

mod command;
pub mod config;
mod exit;
pub mod http;
mod output;
pub mod supervise;

pub use command::main;

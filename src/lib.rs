//! Exactly one active instance.

pub mod election;
pub mod fence;
#[cfg(feature = "http")]
pub mod http;
pub mod observe;
pub mod protocol;
pub mod store;
#[cfg(feature = "cli")]
pub mod supervise;

pub use election::{
    BlockingElection, BlockingLeadership, CampaignError, ConfigError, Election, ElectionBuilder,
    Leadership, Lease, Lost, Overrun, RunError, run_as_leader,
};
pub use observe::{ElectionEvent, Happening};

/// The example of the README compiles.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;

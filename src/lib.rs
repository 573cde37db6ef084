//! Exactly one active instance.

pub mod protocol;

pub mod store;

//! The texts in which stores keep names, identities and orders.

#[path = "../support/mod.rs"]
mod support;

mod names;
mod orders;

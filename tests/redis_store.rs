//! The store on Redis against real servers, and everything that can be wrong with them.

mod support;

#[path = "redis_store/election.rs"]
mod election;
#[path = "redis_store/operations.rs"]
mod operations;

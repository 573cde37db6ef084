//! The store on Redis against real servers, and everything that can be wrong with them.

mod support;

#[path = "redis_store/deployments.rs"]
mod deployments;
#[path = "redis_store/election.rs"]
mod election;
#[path = "redis_store/faults.rs"]
mod faults;
#[path = "redis_store/garbage.rs"]
mod garbage;
#[path = "redis_store/harness.rs"]
mod harness;
#[path = "redis_store/hints.rs"]
mod hints;
#[path = "redis_store/names.rs"]
mod names;
#[path = "redis_store/operations.rs"]
mod operations;
#[path = "redis_store/passwords.rs"]
mod passwords;
#[path = "redis_store/people.rs"]
mod people;
#[path = "redis_store/refusals.rs"]
mod refusals;
#[path = "redis_store/specification.rs"]
mod specification;
#[path = "redis_store/tls.rs"]
mod tls;
#[path = "redis_store/wake.rs"]
mod wake;

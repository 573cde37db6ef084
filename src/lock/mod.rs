//! A lock for every name: one client, any number of names, one round trip each.
//!
//! ```text
//!   Locks ── lock("order:42") ──▶ Lock ── acquire, try_acquire, acquire_timeout ──▶ Guard ── check, release, drop
//!     │                                                                               │
//!     └── election::Client: claims where the caller runs ─────────────────────────────┘
//! ```
//!
//! A lock is an election: at most one holder acts at any time, its fencing token rises, and its deadline comes
//! before anyone else can be granted it. What differs is the use. Locks are many and short, so nothing is set up for
//! one: no task, no thread, no connection. A lock that is held for longer than an interval is kept by the thread of
//! the elections.
//!
//! # Examples
//!
//! ```
//! use incumbent::lock::Locks;
//! use incumbent::store::MemoryStore;
//!
//! # tokio::runtime::Runtime::new()?.block_on(async {
//! // Use `.store("redis://redis.example")` instead to lock across many hosts.
//! let locks = Locks::builder().store_object(MemoryStore::new("example")).build()?;
//! let guard = locks.lock("order:42")?.acquire().await?;
//! guard.check()?; // Before each side effect.
//! println!("packing the order, token {}", guard.fencing_token());
//! guard.release().await;
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! # })?;
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

mod blocking;
mod guard;
mod locks;
mod seats;

pub use crate::election::Seat;
pub use blocking::{BlockingGuard, BlockingLock};
pub use guard::Guard;
pub use locks::{Lock, Locks, LocksBuilder};
pub use seats::Seats;

//! Exactly one active instance of a program across many hosts.
//!
//! Candidates elect a leader on one Redis, on a quorum of three or five independent stores, or on an SQLite
//! file of one host. The leader increments a heartbeat counter; a standby takes over when the counter has
//! stalled for a window, or at once when the leader releases the election.
//!
//! - At most one candidate acts at any time, as long as its work calls [`Lease::check`] before each side
//!   effect, or ends when [`Lease::lost`] resolves. Work that outlives its deadline ends the process.
//! - The [fencing token](Lease::fencing_token) rises from each leader to the next, even after a store has
//!   lost all its data. With [`fence`], resources refuse the token of a past leader.
//!
//! `docs/guarantees.md` lists what this rests on and what is not promised.
//!
//! It runs on Linux only, and uses tokio. Programs without an async runtime call [`Election::blocking`].
//!
//! # Examples
//!
//! ```
//! use incumbent::Election;
//! use incumbent::store::MemoryStore;
//!
//! # tokio::runtime::Runtime::new()?.block_on(async {
//! // Use `.store("redis://redis.example")` instead to elect across many hosts.
//! let store = MemoryStore::new("example");
//! let election = Election::builder("billing").store_object(store).build()?;
//! let billed = election
//!     .run_as_leader(async |lease| {
//!         lease.check().map(|()| format!("billed under token {}", lease.fencing_token()))
//!     })
//!     .await??;
//! assert!(billed.starts_with("billed"));
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! # })?;
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! | to | call |
//! | --- | --- |
//! | run a service while it leads, until it is shut down | [`Election::run_until`] |
//! | run one task as the leader | [`Election::run_as_leader`] |
//! | run a job once that many hosts start at the same time | [`Election::run_once`] |
//! | hold a lock around a critical section, under any name | [`lock::Locks`] |
//! | lead until some point of the program | [`Election::campaign`], [`try_campaign`](Election::try_campaign) or [`campaign_timeout`](Election::campaign_timeout); dropping the [`Leadership`] resigns |
//! | have several leaders, each with a number | [`Election::seats`], [`lock::Lock::seats`] |
//! | see who leads, or has led | [`Election::status`], [`history`](Election::history), [`watch`](Election::watch) |
//! | follow what this process does | [`Election::events`], [`metrics`](Election::metrics) |
//! | pause an election, or move its leader | [`Election::operator`] |
//! | refuse the writes of a past leader | [`fence`] |
//! | set how soon a dead leader is replaced | [`ElectionBuilder::failover`] |
//!
//! # A service, from start to shutdown
//!
//! [`Election::run_until`] campaigns, runs the work while it leads, campaigns again after losing a
//! leadership, and releases the election before it returns. It is all that a service needs:
//!
//! ```no_run
//! use std::time::Duration;
//! use incumbent::{Election, Lease};
//!
//! type Outcome = Result<(), Box<dyn std::error::Error + Send + Sync>>;
//!
//! #[tokio::main]
//! async fn main() -> Outcome {
//!     let election = Election::builder("billing").store("redis://redis.example").build()?;
//!     // `None` when it was shut down; otherwise what the work returned.
//!     match election.run_until(tokio::signal::ctrl_c(), bill).await? {
//!         Some(outcome) => outcome,
//!         None => Ok(()),
//!     }
//! }
//!
//! async fn bill(lease: Lease) -> Outcome {
//!     // `loss` is set first, when the work should stop; `check` fails later, when it must have stopped.
//!     while lease.loss().is_none() {
//!         lease.check()?; // Before each side effect.
//!         println!("billed under token {}", lease.fencing_token());
//!         tokio::time::sleep(Duration::from_secs(1)).await;
//!     }
//!     Ok(())
//! }
//! ```
//!
//! A closure whose body uses `?` must name its error type, because nothing else does:
//! `async |lease| -> Outcome { … }`.
//!
//! # Testing
//!
//! [`store::MemoryStore`] elects within one process, and [`store::MemoryStore::set_fault`] breaks it. Use a
//! short [`interval`](ElectionBuilder::interval) and [`stop_grace`](ElectionBuilder::stop_grace). Paused tokio
//! time (`#[tokio::test(start_paused = true)]`, `tokio::time::pause`) does not apply: heartbeats, polls and
//! deadlines run on a separate thread, on the machine's boot-time clock. A paused test clock jumps ahead
//! while it waits for an election, so the test's own timeouts expire early.
//!
//! # Features
//!
//! | feature | adds |
//! | --- | --- |
//! | none (default) | memory stores and Redis, including Sentinel and Cluster |
//! | `sqlite` | SQLite files, with the system's SQLite |
//! | `bundled` | SQLite files, with a SQLite that is compiled in |
//! | `tls` | Redis over TLS: `rediss://` |
//!
//! Only one package of a program may link SQLite. `sqlite` accepts rusqlite 0.39 to 0.41, so it resolves and
//! builds beside sqlx 0.9 and diesel 2.3; beside sqlx 0.8 it does not.

#[cfg(not(target_os = "linux"))]
compile_error!(
    "incumbent runs on Linux only: it needs the clocks, the timers and the file locks of Linux"
);

pub mod election;
pub mod fence;
pub mod lock;
pub mod observe;
mod once;
pub mod protocol;
pub mod store;
mod values;

pub use election::{
    BlockingElection, BlockingLeadership, CampaignError, ConfigError, Election, ElectionBuilder,
    Leadership, Lease, Lost, Overrun, RunError, run_as_leader,
};
pub use observe::{ElectionEvent, EventKind};
pub use protocol::FencingToken;

#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;

//! The keeper: a process that owns the program, and makes sure that it is dead by a deadline, whatever happens
//! to us.
//!
//! ```text
//!   incumbent run          the elector: campaigns, heartbeats
//!     │  ▲
//!     │  │ one socket pair: Hold, Start, Deadline, Signal, Stop, Kill ─▶   ◀─ Started, Exited, Dead
//!     │  │
//!     └─ keeper            this binary again: one thread, own session, subreaper, no runtime
//!          │               Plan: orders + events + now → what to do
//!          └─ PROGRAM      own process group, own cgroup where there may be one, dies with the keeper
//!
//!   what dies            who acts                                        released by
//!   program              keeper reports it                               elector
//!   elector              keeper: end of the pipe, kills, proves          keeper
//!   keeper               kernel: death signal; elector kills the rest    elector
//!   elector stopped      keeper: SIGTERM before the deadline, SIGKILL of the tree at it
//!   keeper stopped       elector: kills the keeper just after the deadline
//! ```
//!
//! Deadlines are absolute times, counted from the send time of a heartbeat, so a delay anywhere can only make
//! the kill earlier, never later. And because the keeper verifies that the program is dead, the release need
//! not wait for a window (`L2`).
//!
//! Where permitted the kernel acts without any of us: it drops what the program sends after its deadline (`fence`),
//! and in a PID namespace it kills the program with either half (`contain`).
//!
//! Not covered: work that the program passes to a service manager or a container daemon, because those
//! processes are not below it; and a program with privileges that `incumbent` lacks.

mod cgroup;
mod child_lists;
mod children;
mod contain;
mod fence;
mod fork;
pub mod fuzzing;
mod handle;
mod health;
mod hidepid;
mod keeper;
mod launch;
mod lost;
mod message;
mod pipe;
mod plan;
mod proc;
mod process;
mod program;
mod quota;
mod release;
mod restarts;
mod signals;
mod spawn;
mod timer;
mod tree;
mod unit;
mod wire;

pub use children::reap_orphans;
pub use contain::{Contain, Containment, covers};
pub use handle::{Keeper, KeeperLost};
pub use health::{Condition, Health};
pub use keeper::{Orphan, keep};
pub use launch::{Entry, Launch, Launched};
pub use message::{Cause, Event};
pub use process::{descends, started_with};
pub use program::{Program, ProgramExit, StartFailure};
pub use quota::Quota;
pub use release::{ReleaseContext, release};
pub use restarts::Restarts;
pub use signals::{unblock_signals, was_ignored};
pub use unit::Unit;

//! Why a leadership ends, for the history: it decides nothing.

/// Why a leadership ends, or a claim of one is given up.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum LossReason {
    /// The record is held by somebody else.
    Deposed,
    /// No majority of the stores acknowledged a heartbeat in time.
    TenureEnded,
    /// The process, or the machine, stood still past its tenure.
    Suspended,
    /// The work is not healthy.
    Unhealthy,
    /// The leader left on its own account, or was told to stop by a signal.
    Resigned,
    /// An operator asked the leader to resign.
    Requested,
    /// The store lost its data, and another candidate came first.
    StoreForgot,
    /// The work has ended by itself.
    WorkEnded {
        /// With which exit status, where the work is a program: its own, 128 + n after signal n, or that
        /// of `incumbent run` when it could not be started.
        status: Option<u8>,
    },
    /// The work panicked.
    Panicked,
    /// The keeper of the program died, and the program with it.
    KeeperDied,
    /// The process that held it died, and its keeper released it when nothing of the program was left. A
    /// release only: nobody is left to lose it.
    ElectorDied,
    /// The process that held it died with its keeper, and the service manager had it released when nothing
    /// of its unit was left. A release only.
    UnitDied,
    /// A claim was given up before anybody acted under it: during its probation, or for want of a majority.
    /// A release only.
    Withdrawn,
}

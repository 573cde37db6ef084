//! Why a leadership ends, for the history. Only one reason decides anything: after [`LossReason::OtherStores`] no
//! heartbeat extends the deadline.

/// Why a leadership ends, or a claim to one is abandoned.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum LossReason {
    /// Another candidate holds the record.
    Deposed,
    /// No majority of the stores acknowledged a heartbeat in time.
    TenureEnded,
    /// The process, or the machine, was frozen past its tenure.
    Suspended,
    /// The work is unhealthy.
    Unhealthy,
    /// The leader left on its own, or a signal asked it to stop.
    Resigned,
    /// An operator asked the leader to resign.
    Requested,
    /// The store lost its data, and another candidate claimed first.
    StoreForgot,
    /// Another candidate uses other stores, so two could lead.
    OtherStores,
    /// The work ended by itself.
    WorkEnded {
        /// Its exit status, where the work is a program: its own, 128 + n after signal n, or that of
        /// `incumbent run` when the program could not be started.
        status: Option<u8>,
    },
    /// The work panicked.
    Panicked,
    /// The keeper of the program died, and the program with it.
    KeeperDied,
    /// The process that held it died, and its keeper released it once nothing of the program was left.
    /// A release only: there is no leader left to lose it.
    ElectorDied,
    /// The process that held it died with its keeper, and the service manager released it once nothing
    /// of its unit was left. A release only.
    UnitDied,
    /// A claim was abandoned before acting under it: during its probation, or for lack of a majority.
    /// A release only.
    Withdrawn,
}

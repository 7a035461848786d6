//! Bugs that the simulator switches on inside the shipped machines: a checker that does not find them is worth nothing.
//!
//! The shards use [`Shipped`], a type without fields that has no deviation: the compiler removes every branch that asks.

/// Which deviations a machine has.
pub trait Deviations {
    /// Whether the machine deviates like this.
    fn has(&self, deviation: Deviation) -> bool;
}

/// No deviation.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Shipped;

impl Deviations for Shipped {
    #[inline(always)]
    fn has(&self, _: Deviation) -> bool {
        false
    }
}

/// One way in which a machine can be wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Deviation {
    /// The spool of a node that owns nothing counts as a copy.
    SpoolCounts,
    /// Fewer copies are enough while nodes are away.
    ClampByLiveness,
    /// A copy under an unknown layout counts at once.
    UnknownLayoutCounts,
    /// Any copies are enough, without an owner among them.
    NoOwnerNeeded,
    /// "No such file" counts from a store that is in sync with nothing.
    UnsyncedNoCounts,
    /// A node that does not answer is taken to have said no.
    SilenceIsNo,
    /// A former owner deletes its copy without receipts.
    DeleteByRank,
    /// A repair takes in what another node gave without a comparison with the id.
    RepairUnverified,
    /// A copy counts, and is given, without being read and compared with its id.
    VerificationSkipped,
    /// An upload is answered without the record that an owner lacks its copy.
    RecordLost,
    /// A wait has no deadline.
    DeadlineNotReported,
    /// A node that takes its time is waited for to the end.
    PatienceIgnored,
    /// A node reports that it is in sync without a comparison.
    SyncedTooEarly,
    /// A difference counts as mended as soon as its repair is asked for.
    MoveCountedEarly,
    /// The end of a ban is written without a higher counter.
    LiftNotRaised,
    /// A fresh node founds a cluster although one node of its list has not answered.
    FoundedWithoutAll,
    /// A fresh node forgets at once whom it has promised to found with.
    PromiseForgotten,
    /// An upload above the deletion brings a banned image back.
    BanOverturned,
}

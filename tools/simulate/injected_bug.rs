//! Bugs that are injected on purpose: a checker that does not find them proves nothing.

use reticulum::cluster::protocol::deviation::{Deviation, Deviations};

use crate::faults::Kind;

/// One deviation of the model, or of the facts that it gives to the protocol machines.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum InjectedBug {
    /// A copy is answered before its directory is synced.
    NoDirectorySync,
    /// A copy is answered before its data are synced.
    AnswerBeforeSync,
    /// The spool of an ingress that owns nothing counts as a copy.
    IngressCounts,
    /// Fewer copies are enough while nodes are away.
    ClampByLiveness,
    /// "No such file" counts from a store that is not in sync.
    UnsyncedNoCounts,
    /// A fallback takes its copy without a record.
    NoStrayRecord,
    /// A node that does not answer counts as "absent".
    SilenceIsNo,
    /// Answers are matched without their number: a replayed one counts again.
    ReplayAccepted,
    /// Stored bytes are served and copied without verification of their hash.
    NoVerify,
    /// A former owner deletes its copy without receipts.
    DeleteByRank,
    /// A repair takes in a copy without verification of its hash.
    RepairUnverified,
    /// A node is marked out automatically although too little of the cluster is in sight.
    MarkOutUnbraked,
    /// A layout is reported as durable before it is.
    SaidBeforeDurable,
    /// A node reports "in sync" without a comparison.
    SyncedTooEarly,
    /// Images that a comparison has found count as moved before they are.
    MoveCountedEarly,
    /// After a power cut the manifest is believed without a look at the files.
    ManifestBelieved,
    /// A copy under an unknown layout counts at once.
    UnknownLayoutCounts,
    /// Any copies are enough, without an owner among them.
    NoOwnerNeeded,
    /// Names are not compared: two ids with one name are both members.
    NamesHeldTwice,
    /// A machine reports no deadline: it waits without bound.
    DeadlineNotReported,
    /// An upload is answered without the record that an owner lacks its copy.
    RecordLost,
    /// A slow node is waited for to the end.
    PatienceIgnored,
    /// The bytes and replies of another node are accepted without a comparison with the id.
    VerificationSkipped,
    /// Of two erasure records the one that arrives last counts, whatever their counters.
    NewestWins,
    /// An upload above the deletion brings a banned image back.
    UploadOverturnsBan,
    /// An erasure record is collected as soon as all live members have it.
    TombstoneForgotten,
    /// The end of a ban is written without a higher counter.
    UndeleteLost,
    /// A fresh node founds a cluster although one node of its list has not answered.
    FoundedWithoutAll,
    /// A fresh node forgets whom it has promised to found with.
    PromiseForgotten,
}

impl InjectedBug {
    /// All injected bugs, by their names on the command line.
    pub(crate) const ALL: [(&'static str, Self); 29] = [
        ("no-directory-sync", Self::NoDirectorySync),
        ("answer-before-sync", Self::AnswerBeforeSync),
        ("ingress-counts", Self::IngressCounts),
        ("clamp-by-liveness", Self::ClampByLiveness),
        ("unsynced-no-counts", Self::UnsyncedNoCounts),
        ("no-stray-record", Self::NoStrayRecord),
        ("silence-is-no", Self::SilenceIsNo),
        ("replay-accepted", Self::ReplayAccepted),
        ("no-verify", Self::NoVerify),
        ("delete-by-rank", Self::DeleteByRank),
        ("repair-unverified", Self::RepairUnverified),
        ("mark-out-unbraked", Self::MarkOutUnbraked),
        ("said-before-durable", Self::SaidBeforeDurable),
        ("synced-too-early", Self::SyncedTooEarly),
        ("move-counted-early", Self::MoveCountedEarly),
        ("manifest-believed", Self::ManifestBelieved),
        ("unknown-layout-counts", Self::UnknownLayoutCounts),
        ("no-owner-needed", Self::NoOwnerNeeded),
        ("names-held-twice", Self::NamesHeldTwice),
        ("deadline-not-reported", Self::DeadlineNotReported),
        ("record-lost", Self::RecordLost),
        ("patience-ignored", Self::PatienceIgnored),
        ("verification-skipped", Self::VerificationSkipped),
        ("newest-wins", Self::NewestWins),
        ("upload-overturns-ban", Self::UploadOverturnsBan),
        ("tombstone-forgotten", Self::TombstoneForgotten),
        ("undelete-lost", Self::UndeleteLost),
        ("founded-without-all", Self::FoundedWithoutAll),
        ("promise-forgotten", Self::PromiseForgotten),
    ];
}

impl InjectedBug {
    /// The only kind of fault under which the bug shows; `None` if it shows under all faults together.
    pub(crate) const fn shows_under(self) -> Option<Kind> {
        match self {
            Self::UnknownLayoutCounts => Some(Kind::Out),
            Self::NamesHeldTwice => Some(Kind::Namesakes),
            Self::MarkOutUnbraked => Some(Kind::Away),
            Self::FoundedWithoutAll | Self::PromiseForgotten => Some(Kind::Founding),
            _ => None,
        }
    }

    /// The deviation of the shipped machines that it stands for; `None` for a bug of the model alone.
    pub(crate) const fn deviation(self) -> Option<Deviation> {
        match self {
            Self::IngressCounts => Some(Deviation::SpoolCounts),
            Self::ClampByLiveness => Some(Deviation::ClampByLiveness),
            Self::UnknownLayoutCounts => Some(Deviation::UnknownLayoutCounts),
            Self::NoOwnerNeeded => Some(Deviation::NoOwnerNeeded),
            Self::UnsyncedNoCounts => Some(Deviation::UnsyncedNoCounts),
            Self::SilenceIsNo => Some(Deviation::SilenceIsNo),
            Self::RepairUnverified => Some(Deviation::RepairUnverified),
            Self::DeleteByRank => Some(Deviation::DeleteByRank),
            Self::DeadlineNotReported => Some(Deviation::DeadlineNotReported),
            Self::RecordLost => Some(Deviation::RecordLost),
            Self::PatienceIgnored => Some(Deviation::PatienceIgnored),
            Self::VerificationSkipped => Some(Deviation::VerificationSkipped),
            Self::SyncedTooEarly => Some(Deviation::SyncedTooEarly),
            Self::MoveCountedEarly => Some(Deviation::MoveCountedEarly),
            Self::UploadOverturnsBan => Some(Deviation::BanOverturned),
            Self::UndeleteLost => Some(Deviation::LiftNotRaised),
            Self::FoundedWithoutAll => Some(Deviation::FoundedWithoutAll),
            Self::PromiseForgotten => Some(Deviation::PromiseForgotten),
            _ => None,
        }
    }
}

/// The injected bug, inside the protocol machines.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Injected(pub(crate) Option<InjectedBug>);

impl Deviations for Injected {
    fn has(&self, deviation: Deviation) -> bool {
        self.0.and_then(InjectedBug::deviation) == Some(deviation)
    }
}

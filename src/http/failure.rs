//! Errors of the use cases as answers: each is a [`Problem`].

use super::reply::{LayoutProblem, Problem};
use crate::executor::Panicked;
use crate::shard::errors::AskError;
use crate::shard::errors::{DescribeError, EraseError, NotFound, OperateError, ReadError, WriteError};
use crate::shard::variant::VariantError;
use crate::store::StoreError;
use crate::store::health::DiskTrouble;
use crate::store::spool::SpoolError;
use crate::telemetry::log::Limited;

/// The sentence to one who uploads a file of a SHA-1 collision.
const COLLISION: &str = "The file was made to have the same id (SHA-1) as another one; encode the image again, which changes its bytes.";

/// Limits the warning that requests fail for want of descriptors.
static NO_DESCRIPTOR: Limited = Limited::new();

impl Problem {
    /// A request found no descriptor left.
    pub(super) fn no_descriptor() -> Self {
        if let Some(suppressed) = NO_DESCRIPTOR.pass() {
            log::warn!(suppressed; "no file descriptor is left, so requests are answered 503: raise their limit (ulimit -n, LimitNOFILE=)");
        }
        Self::Busy("open files")
    }
}

impl From<AskError> for Problem {
    fn from(error: AskError) -> Self {
        match error {
            AskError::Full => Self::Busy("requests"),
            AskError::Failed => Self::Internal,
        }
    }
}

impl From<StoreError> for Problem {
    fn from(error: StoreError) -> Self {
        Self::of_store(&error)
    }
}

impl From<ReadError> for Problem {
    fn from(error: ReadError) -> Self {
        match error {
            ReadError::NotFound(not_found) => not_found.into(),
            // Of these bytes there is none in the format of the URL.
            ReadError::OtherFormat => Self::Absent,
            ReadError::Damaged => Self::Damaged,
            ReadError::Store(error) => error.into(),
            ReadError::Ask(error) => error.into(),
        }
    }
}

impl From<DescribeError> for Problem {
    fn from(error: DescribeError) -> Self {
        match error {
            DescribeError::Read(error) => error.into(),
            DescribeError::Refused(sentence) => Self::CannotMake(sentence),
        }
    }
}

impl From<NotFound> for Problem {
    fn from(not_found: NotFound) -> Self {
        match not_found {
            NotFound::Absent => Self::Absent,
            NotFound::Unproven => Self::Unproven,
            NotFound::NotJoined(membership_status) => Self::NotMember(membership_status),
            NotFound::Gone => Self::Gone,
            NotFound::StoreMissing => Self::Unusable(DiskTrouble::StoreMissing),
        }
    }
}

impl From<VariantError> for Problem {
    fn from(error: VariantError) -> Self {
        match error {
            VariantError::NotFound(not_found) => not_found.into(),
            VariantError::Ask(error) => error.into(),
            VariantError::Damaged => Self::Damaged,
            VariantError::Busy | VariantError::GaveWay => Self::Busy("variants being made"),
            VariantError::TooFast(too_fast) => Self::TooFast(too_fast),
            VariantError::Deadline => Self::Deadline,
            VariantError::TooSlow(left) => Self::TooSlow(left.as_secs() + 1),
            VariantError::Fault(fault) => Self::CannotMake(fault.to_string()),
            VariantError::Elsewhere(sentence) => Self::CannotMake(sentence),
            VariantError::Panicked => Self::CannotMake(
                "The image cannot be decoded; upload it again from an intact file.".to_owned(),
            ),
            VariantError::NoDescriptor => Self::no_descriptor(),
            // The shard that met it has logged it.
            VariantError::Disk(_) => Self::Disk,
        }
    }
}

impl From<SpoolError> for Problem {
    fn from(error: SpoolError) -> Self {
        match error {
            SpoolError::Refused(error) if error.is_unsupported_type() => {
                Self::UnsupportedImage(error.to_string())
            }
            SpoolError::Refused(error) => Self::BadImage(error.to_string()),
            SpoolError::Collision => Self::BadImage(COLLISION.to_owned()),
            SpoolError::Store(error) => error.into(),
        }
    }
}

impl From<WriteError> for Problem {
    fn from(error: WriteError) -> Self {
        match error {
            WriteError::Ask(error) => error.into(),
            WriteError::Store(error) => error.into(),
            WriteError::TooFew(nodes) => Self::TooFewCopies(nodes),
            WriteError::Banned => Self::Banned,
            WriteError::Deleted => Self::DeletedMeanwhile,
        }
    }
}

impl From<EraseError> for Problem {
    fn from(error: EraseError) -> Self {
        match error {
            EraseError::Ask(error) => error.into(),
            EraseError::NotJoined(membership_status) => Self::NotMember(membership_status),
            EraseError::TooFew => Self::TooFewRecords,
            EraseError::NotDeleted => Self::NotDeleted,
        }
    }
}

impl From<OperateError> for Problem {
    fn from(error: OperateError) -> Self {
        match error {
            OperateError::Refused(refusal) => Self::Layout(LayoutProblem::Refused(refusal)),
            OperateError::Busy => Self::Busy("changes of the layout"),
            OperateError::Late => Self::Layout(LayoutProblem::Late),
        }
    }
}

impl From<Panicked> for Problem {
    fn from(_: Panicked) -> Self {
        Self::Internal
    }
}

impl From<DiskTrouble> for Problem {
    fn from(trouble: DiskTrouble) -> Self {
        Self::Unusable(trouble)
    }
}

impl Problem {
    /// The answer to a client when the disk fails.
    pub(super) fn of_store(error: &StoreError) -> Self {
        static LINES: Limited = Limited::new();
        match error {
            StoreError::Full => Self::DiskFull,
            StoreError::NoDescriptor => Self::no_descriptor(),
            StoreError::ReadOnly => Self::Unusable(DiskTrouble::ReadOnly),
            StoreError::Missing => Self::Unusable(DiskTrouble::StoreMissing),
            StoreError::Late(_) => Self::Unusable(DiskTrouble::Hung),
            StoreError::Unsynced(..) | StoreError::Io(..) => {
                // Anybody may ask for it again and again.
                if let Some(suppressed) = LINES.pass() {
                    log::error!(error:% = error, suppressed; "the disk failed a request, which is answered 503; check the disk and the kernel's log");
                }
                Self::Disk
            }
        }
    }
}

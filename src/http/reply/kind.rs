//! The table of status codes: which status, type and title each refusal has.

use http::StatusCode;

use super::Problem;
use crate::http::access::AccessError;
use crate::http::access::sign::UrlRefusal;
use crate::shard::control_link::MembershipStatus;

impl Problem {
    /// Status, type, title.
    pub(super) fn kind(&self) -> (StatusCode, &'static str, &'static str) {
        use StatusCode as S;
        match self {
            Self::Unsigned => (S::UNAUTHORIZED, "unsigned", "Not authenticated"),
            Self::UnknownRoute => (S::NOT_FOUND, "unknown-route", "No such route"),
            Self::Method(_) => (S::METHOD_NOT_ALLOWED, "method", "Method not allowed"),
            Self::BadId => (S::BAD_REQUEST, "bad-id", "Not an id"),
            Self::BadUrl(_) => (S::BAD_REQUEST, "bad-url", "Bad URL"),
            Self::BadSpec(_) => (S::BAD_REQUEST, "bad-spec", "Bad spec"),
            Self::OnlyPresets => (S::FORBIDDEN, "only-presets", "Presets only"),
            Self::Originals => (S::FORBIDDEN, "originals", "Not as uploaded"),
            Self::Call(AccessError::NoKey | AccessError::WrongKey) => (S::UNAUTHORIZED, "key", "Key needed"),
            Self::Upload(AccessError::NoKey | AccessError::WrongKey | AccessError::LateKey)
            | Self::Call(AccessError::LateKey) => (S::FORBIDDEN, "key", "Key needed"),
            Self::Upload(AccessError::ForeignPage) | Self::Call(AccessError::ForeignPage) => {
                (S::FORBIDDEN, "foreign-page", "Asked by another site's page")
            }
            Self::Url(UrlRefusal::Unsigned | UrlRefusal::Bad) => (S::FORBIDDEN, "signature", "Bad signature"),
            Self::Url(UrlRefusal::Expired) => (S::GONE, "expired", "URL expired"),
            Self::Unreadable => (S::BAD_REQUEST, "unreadable", "Not a request"),
            Self::HeadTooLong => (S::REQUEST_HEADER_FIELDS_TOO_LARGE, "head-too-long", "Head too long"),
            Self::Framing(_) => (S::BAD_REQUEST, "framing", "Ambiguous message length"),
            Self::Coding => (S::NOT_IMPLEMENTED, "transfer-coding", "Transfer coding not supported"),
            Self::Host => (S::BAD_REQUEST, "host", "Bad Host header"),
            Self::BadForm(_) => (S::BAD_REQUEST, "bad-form", "Bad form"),
            Self::Aborted => (S::BAD_REQUEST, "aborted", "Incomplete body"),
            Self::Stalled => (S::REQUEST_TIMEOUT, "stalled", "Body stalled"),
            Self::TooLong(_) => (S::PAYLOAD_TOO_LARGE, "too-long", "Upload too long"),
            Self::UnsupportedImage(_) => {
                (S::UNSUPPORTED_MEDIA_TYPE, "unsupported-image", "Not a supported image")
            }
            Self::BadImage(_) => (S::UNPROCESSABLE_ENTITY, "bad-image", "Image refused"),
            Self::WrongId => (S::UNPROCESSABLE_ENTITY, "wrong-id", "Id mismatch"),
            Self::Absent => (S::NOT_FOUND, "absent", "No such image"),
            Self::Gone => (S::GONE, "deleted", "Image deleted"),
            Self::DeletedMeanwhile => (S::GONE, "deleted", "Deleted while it was uploaded"),
            Self::Banned => (S::GONE, "banned", "Image banned"),
            Self::NotDeleted => (S::NOT_FOUND, "not-deleted", "Not deleted"),
            Self::Unproven => (S::SERVICE_UNAVAILABLE, "absence-unproven", "Not found so far"),
            Self::Damaged => (S::SERVICE_UNAVAILABLE, "damaged", "Image damaged"),
            Self::CannotMake(_) => (S::UNPROCESSABLE_ENTITY, "cannot-make", "Variant cannot be made"),
            Self::Precondition => (S::PRECONDITION_FAILED, "precondition", "Precondition failed"),
            Self::OutsideRange(_) => (S::RANGE_NOT_SATISFIABLE, "outside-range", "Range not satisfiable"),
            Self::Busy(_) => (S::SERVICE_UNAVAILABLE, "busy", "Overloaded"),
            Self::TooFast(_) => (S::TOO_MANY_REQUESTS, "too-fast", "Too many requests"),
            Self::Deadline | Self::TooSlow(_) => (S::SERVICE_UNAVAILABLE, "deadline", "Took too long"),
            Self::Stopping => (S::SERVICE_UNAVAILABLE, "stopping", "Stopping"),
            Self::ReadOnly => (S::SERVICE_UNAVAILABLE, "read-only", "Takes no uploads"),
            Self::NotMember(MembershipStatus::DuplicateId)
            | Self::NotReady(MembershipStatus::DuplicateId, _) => {
                (S::SERVICE_UNAVAILABLE, "not-a-member", "Not the only node with its id")
            }
            Self::NotMember(_) | Self::NotReady(..) => {
                (S::SERVICE_UNAVAILABLE, "not-joined", "Not joined to its cluster")
            }
            Self::TooFewCopies(_) => (S::SERVICE_UNAVAILABLE, "too-few-copies", "Too few copies"),
            Self::TooFewRecords => (S::SERVICE_UNAVAILABLE, "too-few-records", "Too few records"),
            Self::NotPurged(_) => (S::SERVICE_UNAVAILABLE, "not-purged", "Not purged everywhere"),
            Self::DiskFull => (S::INSUFFICIENT_STORAGE, "disk-full", "Disk full"),
            Self::Disk => (S::SERVICE_UNAVAILABLE, "disk", "Disk failure"),
            Self::Unusable(trouble) => (S::SERVICE_UNAVAILABLE, trouble.word(), "Disk not usable"),
            Self::Layout(problem) => problem.kind(),
            Self::Internal => (S::INTERNAL_SERVER_ERROR, "internal", "Internal error"),
        }
    }
}

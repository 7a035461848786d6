//! The sentence of each refusal.

use super::Problem;

impl Problem {
    /// The number of its status.
    pub(in crate::http) fn status(&self) -> u16 {
        self.kind().0.as_u16()
    }

    /// One sentence that tells the caller what to do.
    pub(super) fn detail(&self) -> String {
        let text = match self {
            Self::Unsigned => "Only nodes of this cluster may ask this; sign the request.",
            Self::UnknownRoute => {
                "Use /image/<id>/<spec>/<name>.<ext> with jpg, png, gif, webp, avif or auto."
            }
            Self::Method(allow) => return format!("Use one of: {allow}."),
            Self::BadId => "Use the 40 hex digits that the upload answered as \"hash\".",
            Self::BadUrl(detail) | Self::Framing(detail) => detail,
            Self::BadSpec(detail) | Self::BadForm(detail) => return detail.clone(),
            Self::Upload(refusal) | Self::Call(refusal) => return refusal.to_string(),
            Self::Url(refusal) => return refusal.to_string(),
            Self::Layout(problem) => return problem.detail(),
            Self::OutsideRange(length) => return format!("Ask for bytes below {length}."),
            Self::Unreadable => "Send a well-formed HTTP/1.1 request.",
            Self::HeadTooLong => "Send at most 100 headers, and with the request line at most 64 KiB.",
            Self::Coding => "Send the body with a Content-Length, or with Transfer-Encoding: chunked alone.",
            Self::Host => "Send one Host header with the name or address that the URL has.",
            Self::Aborted => "The body ended before its announced length; send it again.",
            Self::Stalled => "The body stopped arriving or came too slowly; send it again faster.",
            Self::TooLong(bytes_max) => return format!("Send at most {bytes_max} bytes."),
            Self::UnsupportedImage(detail) | Self::BadImage(detail) | Self::CannotMake(detail) => {
                return detail.clone();
            }
            Self::WrongId => {
                "The SHA-1 of the body is not the id in the URL; send the right bytes or the right id."
            }
            Self::Absent => "No image has this id; upload it first.",
            Self::Gone
            | Self::DeletedMeanwhile
            | Self::Banned
            | Self::NotDeleted
            | Self::TooFewRecords
            | Self::NotPurged(_) => self.detail_of_erasure(),
            Self::Unproven => {
                "No node that answers has this image, but one that does not answer may; try again after Retry-After."
            }
            Self::Damaged => "The stored copy failed its check and was set aside; upload the image again.",
            Self::Precondition => {
                "The image has another tag or a later date than the request wants; ask without If-Match and If-Unmodified-Since."
            }
            Self::Busy(what) => return format!("Too many {what} at once; try again after Retry-After."),
            Self::TooFast(_) => {
                "This client asks for more new work than it may; try again after Retry-After."
            }
            Self::OnlyPresets | Self::Originals | Self::Deadline | Self::TooSlow(_) => {
                self.detail_of_variant()
            }
            Self::Stopping => "This node is about to stop; ask another one.",
            Self::ReadOnly => {
                "This node takes no new images; upload to another one, or have node.writable set."
            }
            Self::NotMember(membership_status) => membership_status.sentence(),
            Self::NotReady(_, detail) => detail.as_str(),
            Self::TooFewCopies(_) => {
                "Fewer nodes than are needed could store the image durably; send it again after Retry-After."
            }
            Self::DiskFull => "There is no space left; make room or upload to another node.",
            Self::Unusable(trouble) => trouble.sentence(),
            Self::Disk => {
                "This node's disk could not read or write it; ask another node, and have this one's log looked at."
            }
            Self::Internal => "The server failed on this request; have its log looked at.",
        };
        text.to_owned()
    }

    /// The sentence of a refusal to make a variant.
    fn detail_of_variant(&self) -> &'static str {
        match self {
            Self::OnlyPresets => {
                "Only presets are made here; write p- and the name of one without other options, or ask for full as stored."
            }
            Self::Originals => {
                "This image and its metadata are not given as they were uploaded; ask for another size or format, without meta."
            }
            Self::TooSlow(_) => {
                "This variant took too long the last time; ask for a smaller size or another format, or try again after Retry-After."
            }
            _ => "Making this variant took too long; try again after Retry-After.",
        }
    }

    /// The sentence of a refusal that has to do with deletions.
    fn detail_of_erasure(&self) -> &'static str {
        match self {
            Self::Gone => "This image was deleted; upload it again, if it is yours to upload.",
            Self::DeletedMeanwhile => {
                "Somebody deleted this image while it was uploaded; upload it again if it should be there."
            }
            Self::Banned => {
                "The operator has banned this image, so it cannot be uploaded; ask the operator to lift the ban."
            }
            Self::NotDeleted => "This image is not deleted; delete it first.",
            Self::TooFewRecords => {
                "Fewer nodes than are needed could record it durably, and it may happen all the same; send it again after Retry-After."
            }
            Self::NotPurged(_) => {
                "Some nodes did not answer and may still have variants; send it again after Retry-After."
            }
            _ => "This image cannot be deleted; have the log looked at.",
        }
    }
}

//! What the decode of one size leaves for the next: the decoded samples, as they are.
//!
//! A JPEG is decoded at a few scales only, so that most sizes of a photo begin with the same samples. They are kept without
//! loss, and everything after the decode is the same with decoded samples and with kept ones: so are a variant's bytes.
//! Where and how long they are kept is not decided here.

use sha1::{Digest, Sha1};

use super::container::jpeg::{EOI, SOS, Segments, from_start_of_image};
use super::recipe::ENCODER_VERSION;
use crate::object::ObjectId;

/// More bytes are not worth keeping: of a photo of 48 megapixels at a quarter of its sides there are 4.5 million samples,
/// and to read that many takes a tenth of the time of the decode.
pub const BYTES_MAX: u64 = 5 << 20;

/// What a job does about its decoded samples.
#[derive(Debug, Default, PartialEq, Eq)]
pub enum Intermediate {
    /// Nothing.
    #[default]
    Unwanted,
    /// It shall leave them.
    Wanted,
    /// It is given those that an earlier job left, and need not decode.
    Given(Vec<u8>),
    /// It has left these.
    Left(Vec<u8>),
}

/// Names samples of an image among its variants: those with this text, which is [`super::variant::Prepared::samples`]'s.
pub fn key(id: &ObjectId, scales: &str) -> [u8; 16] {
    let text = format!("v{ENCODER_VERSION},samples,{scales}");
    let digest: [u8; 20] = Sha1::new().chain_update(id.digest()).chain_update(text).finalize().into();
    let [key @ .., _, _, _, _] = digest;
    key
}

/// A JPEG's headers alone, as a file that says the same of itself: up to its first scan, and then its end. `None` if
/// `start`, the first bytes of a file, does not reach that far or is of another format.
pub fn head(start: &[u8]) -> Option<Vec<u8>> {
    let source = from_start_of_image(start).filter(|source| source.len() == start.len())?;
    let scan = Segments::of(source).find(|segment| matches!(segment.marker, SOS | EOI))?;
    let mut head = source.get(..scan.end()).filter(|_| scan.marker == SOS)?.to_vec();
    head.extend([0xFF, EOI]);
    Some(head)
}

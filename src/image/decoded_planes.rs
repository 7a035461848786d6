//! The decoded planes that a job for one size leaves for the next size.
//!
//! A JPEG or HEIC is decoded at a few scales only, so most sizes of a photo begin with the same samples. They are kept without
//! loss. The steps after the decode are the same for fresh and for kept planes, and so are a variant's bytes. The
//! caller decides where and for how long planes are kept.

use sha1::{Digest, Sha1};

use super::container::jpeg::{EOI, SOS, Segments, from_start_of_image};
use super::recipe::ENCODER_VERSION;
use crate::object::ObjectId;

/// More bytes are not worth keeping: a photo of 48 megapixels at a quarter of its sides has 4.5 million samples, and to
/// read that many takes a tenth of the time of the decode.
pub const BYTES_MAX: u64 = 5 << 20;

/// The planes that a job collects or reuses.
#[derive(Debug, Default, PartialEq, Eq)]
pub enum DecodedPlanes {
    /// None.
    #[default]
    Ignore,
    /// The job returns its planes.
    Collect,
    /// The planes of an earlier job: the job uses them and does not decode.
    Reuse(Vec<u8>),
    /// The planes that the job returned.
    Collected(Vec<u8>),
}

/// The cache key of an image's planes at these scales, which come from [`super::variant::Prepared::planes`].
pub fn key(id: &ObjectId, scales: &str) -> [u8; 16] {
    let text = format!("v{ENCODER_VERSION},samples,{scales}");
    let digest: [u8; 20] = Sha1::new().chain_update(id.digest()).chain_update(text).finalize().into();
    let [key @ .., _, _, _, _] = digest;
    key
}

/// The headers of a JPEG up to its first scan, followed by an end-of-image marker: a file with the same header fields.
/// `None` if `start`, the first bytes of a file, does not reach that far or is of another format.
pub fn head(start: &[u8]) -> Option<Vec<u8>> {
    let source = from_start_of_image(start).filter(|source| source.len() == start.len())?;
    let scan = Segments::of(source).find(|segment| matches!(segment.marker, SOS | EOI))?;
    let mut head = source.get(..scan.end()).filter(|_| scan.marker == SOS)?.to_vec();
    head.extend([0xFF, EOI]);
    Some(head)
}

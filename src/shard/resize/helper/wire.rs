//! Messages between a worker and its helper process: a head in JSON, and behind it the bytes that it announces.

use std::io::{self, Read, Write};

use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

/// Bytes of a head. The longest text in one is a sentence or a recipe.
const HEAD_BYTES_MAX: u32 = 64 << 10;

/// A job. Behind it: the source, then the samples if there are any.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct HelperRequest {
    /// Whether the placeholder is wanted, and no variant.
    pub(super) is_placeholder: bool,
    /// The recipe's canonical text, and the two bounds that are no part of it.
    pub(super) recipe: String,
    pub(super) dimension_max: u32,
    pub(super) output_pixels_max: u64,
    /// Of every image.
    pub(super) pixels_max: u64,
    pub(super) frames_max: u32,
    /// Bytes that the job was charged for.
    pub(super) memory_bytes: u64,
    pub(super) source_bytes: u64,
    pub(super) samples: Samples,
}

/// Whether decoded samples are sent, wanted or neither; see [`crate::image::decoded_planes::DecodedPlanes`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) enum Samples {
    Unwanted,
    Wanted,
    /// So many bytes of them follow the source.
    Given(u64),
}

/// The result of a job.
#[derive(Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) enum Reply {
    /// No job yet: the process is ready for one.
    Ready,
    /// Behind it: so many bytes of the result, then as many of the samples that it left.
    Made { bytes: u64, samples_bytes: u64, spent_ns: [Option<u64>; 3] },
    /// The image's or the request's fault, in a sentence.
    Refused(String),
    /// The program's fault, in its own words. The process ends with this.
    Panicked(String),
}

/// Writes a head and what stands behind it.
pub(super) fn write(output: &mut impl Write, head: &impl Serialize, bodies: &[&[u8]]) -> io::Result<()> {
    let head = serde_json::to_vec(head)?;
    let length = u32::try_from(head.len()).ok().filter(|length| *length <= HEAD_BYTES_MAX);
    let length = length.ok_or(io::ErrorKind::InvalidInput)?;
    output.write_all(&[&length.to_le_bytes()[..], &head].concat())?;
    bodies.iter().try_for_each(|body| output.write_all(body))?;
    output.flush()
}

/// Reads a head; `None` if the other side has ended before one.
pub(super) fn read<T: DeserializeOwned>(input: &mut impl Read) -> io::Result<Option<T>> {
    let mut length = Vec::new();
    input.by_ref().take(4).read_to_end(&mut length)?;
    if length.is_empty() {
        return Ok(None);
    }
    let length = u32::from_le_bytes(length.try_into().map_err(|_| io::ErrorKind::UnexpectedEof)?);
    if length > HEAD_BYTES_MAX {
        return Err(io::ErrorKind::InvalidData.into());
    }
    let head = body(input, length.into(), HEAD_BYTES_MAX.into())?;
    Ok(Some(serde_json::from_slice(&head)?))
}

/// Reads what a head has announced, unless it is more than `most`: neither side trusts the other with its memory.
pub(super) fn body(input: &mut impl Read, bytes: u64, most: u64) -> io::Result<Vec<u8>> {
    let length = usize::try_from(bytes).ok().filter(|_| bytes <= most).ok_or(io::ErrorKind::InvalidData)?;
    let mut body = vec![0; length];
    input.read_exact(&mut body)?;
    Ok(body)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_is_read() {
        let mut pipe = Vec::new();
        let reply = Reply::Made { bytes: 3, samples_bytes: 0, spent_ns: [Some(5), None, Some(0)] };
        write(&mut pipe, &reply, &[b"abc"]).unwrap();
        write(&mut pipe, &Reply::Ready, &[]).unwrap();
        let mut pipe = &pipe[..];
        assert_eq!(read::<Reply>(&mut pipe).unwrap(), Some(reply));
        assert_eq!(body(&mut pipe, 3, 3).unwrap(), b"abc");
        assert_eq!(read::<Reply>(&mut pipe).unwrap(), Some(Reply::Ready));
        assert_eq!(read::<Reply>(&mut pipe).unwrap(), None);
    }

    #[test]
    fn what_is_torn_too_long_or_no_head_is_an_error() {
        let mut whole = Vec::new();
        write(&mut whole, &Reply::Refused("no".to_owned()), &[]).unwrap();
        for length in 1..whole.len() {
            assert!(read::<Reply>(&mut &whole[..length]).is_err(), "{length}");
        }
        assert!(read::<Reply>(&mut &[0xFF; 99][..]).is_err());
        assert!(read::<Reply>(&mut &[2, 0, 0, 0, b'{', b'}'][..]).is_err());
        assert!(body(&mut &[0; 9][..], 9, 8).is_err());
    }
}

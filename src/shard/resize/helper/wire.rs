//! Messages between a worker and its helper process: a head in JSON, and behind it the bytes that it announces.

use std::io::{self, Read, Write};

use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use crate::image::pixels::{PixelKind, Pixels};
use crate::image::placeholder;
use crate::image::shape::Size;

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
    /// Whether the small picture is wanted, if the job decodes enough for it.
    pub(super) wants_small: bool,
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
    /// Behind it: so many bytes of the result, then as many of the samples and of the small picture that it left.
    Made { bytes: u64, samples_bytes: u64, small: Option<SmallShape>, spent_ns: [Option<u64>; 3] },
    /// The image's or the request's fault, in a sentence.
    Refused(String),
    /// The program's fault, in its own words. The process ends with this.
    Panicked(String),
}

/// The shape of a small picture.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct SmallShape {
    width: u32,
    height: u32,
    channels: usize,
}

impl SmallShape {
    pub(super) fn of(pixels: &Pixels) -> Self {
        let Size { width, height } = pixels.size();
        Self { width, height, channels: pixels.kind().channels() }
    }
}

/// Reads the pixels of a small picture, unless it is larger than any.
pub(super) fn small_picture(input: &mut impl Read, shape: SmallShape) -> io::Result<Pixels> {
    let size = Size { width: shape.width, height: shape.height };
    let kind = [PixelKind::Gray, PixelKind::GrayAlpha, PixelKind::Rgb, PixelKind::Rgba]
        .into_iter()
        .find(|kind| kind.channels() == shape.channels)
        .filter(|_| size.width.max(size.height) <= placeholder::SIDE)
        .ok_or(io::ErrorKind::InvalidData)?;
    let bytes = size.area() * kind.channels() as u64;
    let data = body(input, bytes, bytes)?;
    Pixels::new(size, kind, data).ok_or_else(|| io::ErrorKind::InvalidData.into())
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
        let reply =
            Reply::Made { bytes: 3, samples_bytes: 0, small: None, spent_ns: [Some(5), None, Some(0)] };
        write(&mut pipe, &reply, &[b"abc"]).unwrap();
        write(&mut pipe, &Reply::Ready, &[]).unwrap();
        let mut pipe = &pipe[..];
        assert_eq!(read::<Reply>(&mut pipe).unwrap(), Some(reply));
        assert_eq!(body(&mut pipe, 3, 3).unwrap(), b"abc");
        assert_eq!(read::<Reply>(&mut pipe).unwrap(), Some(Reply::Ready));
        assert_eq!(read::<Reply>(&mut pipe).unwrap(), None);
    }

    #[test]
    fn a_small_picture_is_read_and_one_of_another_shape_is_refused() {
        for kind in [PixelKind::Gray, PixelKind::GrayAlpha, PixelKind::Rgb, PixelKind::Rgba] {
            let data = (0..6 * kind.channels() as u8).collect();
            let pixels = Pixels::new(Size { width: 3, height: 2 }, kind, data).unwrap();
            let shape = SmallShape::of(&pixels);
            assert_eq!(small_picture(&mut pixels.data(), shape).unwrap(), pixels);
            assert!(small_picture(&mut &pixels.data()[1..], shape).is_err());
        }
        for (width, height, channels) in [(33, 1, 1), (1, u32::MAX, 1), (1, 1, 5), (1, 1, 0), (0, 1, 1)] {
            let shape = SmallShape { width, height, channels };
            assert!(small_picture(&mut &[0; 999][..], shape).is_err(), "{shape:?}");
        }
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

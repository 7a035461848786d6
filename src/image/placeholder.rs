//! The placeholder of an image: its average colour and a ThumbHash of some twenty bytes.
//!
//! Both come from one small picture of the whole first frame as displayed, whatever a variant shows of it. The job for a
//! first variant leaves that picture, see [`super::small_picture`], or a job of its own makes it by [`recipe`]. The samples
//! that it comes from, and with them a few levels of the placeholder, depend on that job. Since the steps of variants make it, each
//! version of the encoder has its own placeholders.

use sha1::{Digest, Sha1};

use super::color::Gamut;
use super::effect;
use super::light::LightSetting;
use super::pixels::{PixelKind, Pixels};
use super::recipe::{ENCODER_VERSION, Recipe, TargetSize};
use super::transform::Transform;
use crate::object::{Format, ObjectId};

/// Longest side of the small picture, in pixels. A ThumbHash has at most seven waves a side, which it finds in so many
/// pixels as well as in more, and its time grows with their number: 0.1 ms for these.
pub const SIDE: u32 = 32;

/// Longest side that a ThumbHash supports.
const SIDE_MAX: u32 = 100;

/// Length of a ThumbHash, in bytes.
const THUMBHASH_BYTES: std::ops::RangeInclusive<usize> = 5..=25;

/// Most bytes of [`Placeholder::to_bytes`].
pub const BYTES_MAX: u64 = 3 + *THUMBHASH_BYTES.end() as u64;

/// A placeholder that a page shows until the image has loaded.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Placeholder {
    /// Red, green, blue over white: the means of the stored values of the small picture.
    pub average: [u8; 3],
    /// As Evan Wallace's ThumbHash defines it: 5 to 25 bytes.
    pub thumbhash: Vec<u8>,
}

/// The recipe of the small picture for [`Placeholder::of`]. It is not a variant: it is never written as a file.
pub const fn recipe() -> Recipe {
    Recipe {
        target: TargetSize::Contain { width: SIDE, height: SIDE },
        upscale: false,
        dimension_max: SIDE,
        pixels_max: u64::MAX,
        transform: Transform::IDENTITY,
        crop: None,
        trim: false,
        grey: false,
        blur: None,
        sharpen: None,
        background: None,
        gamut: Gamut::Srgb,
        frame: None,
        animation: None,
        meta: false,
        stripped: false,
        light: LightSetting::Auto,
        format: Format::Png,
        quality: None,
    }
}

/// The cache key of this image's placeholder; no recipe has the same key.
pub fn key(id: &ObjectId) -> [u8; 16] {
    let text = format!("v{ENCODER_VERSION},facts");
    let digest: [u8; 20] = Sha1::new().chain_update(id.digest()).chain_update(text).finalize().into();
    let [key @ .., _, _, _, _] = digest;
    key
}

impl Placeholder {
    /// The placeholder of a picture; `None` if it is larger than a ThumbHash supports.
    pub fn of(pixels: Pixels) -> Option<Self> {
        let size = pixels.size();
        if size.width.max(size.height) > SIDE_MAX {
            return None;
        }
        let rgba: Vec<u8> = match pixels.kind() {
            PixelKind::Gray => pixels.data().iter().flat_map(|&luma| [luma, luma, luma, 255]).collect(),
            PixelKind::GrayAlpha => {
                pixels.data().chunks_exact(2).flat_map(|gray| [gray[0], gray[0], gray[0], gray[1]]).collect()
            }
            PixelKind::Rgb => {
                pixels.data().chunks_exact(3).flat_map(|rgb| [rgb[0], rgb[1], rgb[2], 255]).collect()
            }
            PixelKind::Rgba => pixels.data().to_vec(),
        };
        let thumbhash = thumbhash::rgba_to_thumb_hash(size.width as usize, size.height as usize, &rgba);
        Some(Self { average: average(effect::flattened(pixels, [255; 3])), thumbhash })
    }

    /// The bytes to store.
    pub fn to_bytes(&self) -> Vec<u8> {
        [&self.average[..], &self.thumbhash].concat()
    }

    /// Parses stored bytes; `None` for bytes that [`Placeholder::to_bytes`] never returns.
    pub fn from_bytes(bytes: &[u8]) -> Option<Self> {
        let (average, thumbhash) = bytes.split_first_chunk()?;
        THUMBHASH_BYTES
            .contains(&thumbhash.len())
            .then(|| Self { average: *average, thumbhash: thumbhash.to_vec() })
    }
}

/// The mean colour of opaque pixels.
fn average(flat: Pixels) -> [u8; 3] {
    let (channels, count) = (flat.kind().channels(), flat.size().area());
    let mean = |channel: usize| {
        let sum: u64 =
            flat.data().iter().skip(channel).step_by(channels).map(|&value| u64::from(value)).sum();
        ((sum + count / 2) / count) as u8
    };
    if matches!(flat.kind(), PixelKind::Gray | PixelKind::GrayAlpha) {
        [mean(0); 3]
    } else {
        [0, 1, 2].map(mean)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::image::draw;
    use crate::image::shape::Size;

    fn drawn(kind: PixelKind, pixels: &[&[u8]]) -> Pixels {
        let size = Size { width: pixels.len() as u32, height: 1 };
        Pixels::new(size, kind, pixels.concat()).unwrap()
    }

    #[test]
    fn the_average_is_that_over_white() {
        for (pixels, expected) in [
            (drawn(PixelKind::Gray, &[&[10], &[21]]), [16; 3]),
            (drawn(PixelKind::GrayAlpha, &[&[0, 255], &[0, 0]]), [128; 3]),
            (drawn(PixelKind::Rgb, &[&[255, 0, 9], &[0, 100, 9]]), [128, 50, 9]),
            (drawn(PixelKind::Rgba, &[&[200, 0, 0, 0], &[0, 0, 0, 0]]), [255; 3]),
            (drawn(PixelKind::Rgba, &[&[0, 0, 255, 255], &[0, 0, 255, 255]]), [0, 0, 255]),
        ] {
            assert_eq!(Placeholder::of(pixels).unwrap().average, expected);
        }
    }

    #[test]
    fn a_thumbhash_gives_the_picture_back_roughly() {
        let scene = draw::sample(0, Size { width: 100, height: 75 }).unwrap();
        let placeholder = Placeholder::of(scene.clone()).unwrap();
        let (width, height, rgba) = thumbhash::thumb_hash_to_rgba(&placeholder.thumbhash).unwrap();
        let channels = scene.kind().channels();
        let mut error = 0;
        for y in 0..height {
            for x in 0..width {
                let from = (y * 75 / height * 100 + x * 100 / width) * channels;
                let (shown, seen) = (&rgba[(y * width + x) * 4..][..3], &scene.data()[from..from + 3]);
                error += shown.iter().zip(seen).map(|(a, b)| u64::from(a.abs_diff(*b))).sum::<u64>();
            }
        }
        let mean = error / (3 * width * height) as u64;
        assert!(mean < 25, "{mean} of 255 per channel");
    }

    #[test]
    fn a_picture_larger_than_a_thumbhash_supports_is_refused() {
        let pixels = Pixels::new(Size { width: 101, height: 1 }, PixelKind::Gray, vec![0; 101]).unwrap();
        assert_eq!(Placeholder::of(pixels), None);
    }

    #[test]
    fn bytes_that_are_no_placeholder_are_refused() {
        for length in [0, 3, 7, 29, 1000] {
            assert_eq!(Placeholder::from_bytes(&vec![1; length]), None, "{length}");
        }
    }

    #[test]
    fn placeholders_have_a_key_of_their_own_per_image() {
        let ids = [1, 2].map(|byte| ObjectId::from_digest([byte; 20]));
        assert_ne!(key(&ids[0]), key(&ids[1]));
        assert_ne!(key(&ids[0]), recipe().etag_key(&ids[0]));
    }

    proptest! {
        #[test]
        fn placeholders_of_any_picture_survive_being_kept(
            width in 1..=100_u32, height in 1..=100_u32, seed in prop::collection::vec(any::<u8>(), 1..99),
            kind in prop::sample::select(vec![PixelKind::Gray, PixelKind::GrayAlpha, PixelKind::Rgb, PixelKind::Rgba]),
        ) {
            let length = (width * height) as usize * kind.channels();
            let data = seed.iter().copied().cycle().take(length).collect();
            let placeholder = Placeholder::of(Pixels::new(Size { width, height }, kind, data).unwrap()).unwrap();
            prop_assert_eq!(Placeholder::from_bytes(&placeholder.to_bytes()), Some(placeholder));
        }
    }
}

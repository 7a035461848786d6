//! libwebp's decoder, writing directly into our memory. One of the few files of this module with unsafe code.
//!
//! Its simple interface allocates the pixels itself, so that they must be copied, and gives only RGB. The advanced one
//! writes to the final buffer, or returns the planes of a lossy file. One thread, no state.
#![allow(unsafe_code)]

use libwebp_sys::{
    VP8StatusCode, WEBP_CSP_MODE, WebPDecode, WebPDecoderConfig, WebPFreeDecBuffer, WebPGetFeatures,
    WebPRGBABuffer, WebPYUVABuffer,
};

use crate::image::shape::{Rect, Size};

/// The header of a file or of a frame's bitstream.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Features {
    pub(super) size: Size,
    pub(super) has_alpha: bool,
    pub(super) is_animated: bool,
    /// False for lossless files, and for animations, whose frames may be of either kind.
    pub(super) is_lossy: bool,
}

/// Y, Cb and Cr in rows without padding: BT.601 with luma of 16–235. Both chroma planes have half the sides, rounded
/// up.
pub(super) struct Planes {
    pub(super) luma: Vec<u8>,
    pub(super) blue: Vec<u8>,
    pub(super) red: Vec<u8>,
}

/// Longest side of the format; it keeps all lengths here far within an `i32`.
const SIDE_MAX: u32 = 16384;

/// `None` if the source is not a WebP, or ends within its headers.
pub(super) fn features(source: &[u8]) -> Option<Features> {
    let config = config_for(source)?;
    let input = config.input;
    let size = Size { width: u32::try_from(input.width).ok()?, height: u32::try_from(input.height).ok()? };
    Some(Features {
        size,
        has_alpha: input.has_alpha != 0,
        is_animated: input.has_animation != 0,
        is_lossy: input.format == 1,
    })
}

/// All pixels of a still of this size: red, green, blue and, if requested, alpha. `None` for another size.
pub(super) fn colors(source: &[u8], size: Size, with_alpha: bool) -> Option<Vec<u8>> {
    let mut config = config_of_size(source, size)?;
    let channels = if with_alpha { 4 } else { 3 };
    let stride = size.width as usize * channels;
    let mut pixels = vec![0; stride * size.height as usize];
    let target = WebPRGBABuffer { rgba: pixels.as_mut_ptr(), stride: stride as i32, size: pixels.len() };
    config.output.colorspace = if with_alpha { WEBP_CSP_MODE::MODE_RGBA } else { WEBP_CSP_MODE::MODE_RGB };
    config.output.u.RGBA = target;
    // SAFETY: `target` is the whole of `pixels`, which outlives the call.
    unsafe { decode(source, &mut config) }.then_some(pixels)
}

/// The samples in `part` of a lossy still of this size. The part's left and top edges are even; it is not empty and
/// lies inside. `smooth`: whether the edges of blocks are filtered.
pub(super) fn planes(source: &[u8], size: Size, part: Rect<u32>, smooth: bool) -> Option<Planes> {
    let mut config = config_of_size(source, size)?;
    let inside = u64::from(part.x) + u64::from(part.width) <= u64::from(size.width)
        && u64::from(part.y) + u64::from(part.height) <= u64::from(size.height);
    if !inside || part.x % 2 + part.y % 2 != 0 {
        return None;
    }
    let [left, top, width, height] = [part.x, part.y, part.width, part.height].map(|side| side as i32);
    config.options.use_cropping = 1;
    (config.options.crop_left, config.options.crop_top) = (left, top);
    (config.options.crop_width, config.options.crop_height) = (width, height);
    config.options.bypass_filtering = i32::from(!smooth);
    let half = Size { width: part.width.div_ceil(2), height: part.height.div_ceil(2) };
    let plane = |size: Size| vec![0; size.area() as usize];
    let mut planes = Planes { luma: plane(part.size()), blue: plane(half), red: plane(half) };
    config.output.colorspace = WEBP_CSP_MODE::MODE_YUV;
    config.output.u.YUVA = WebPYUVABuffer {
        y: planes.luma.as_mut_ptr(),
        u: planes.blue.as_mut_ptr(),
        v: planes.red.as_mut_ptr(),
        a: std::ptr::null_mut(),
        y_stride: width,
        u_stride: half.width as i32,
        v_stride: half.width as i32,
        a_stride: 0,
        y_size: planes.luma.len(),
        u_size: planes.blue.len(),
        v_size: planes.red.len(),
        a_size: 0,
    };
    // SAFETY: the three targets are the whole of three vectors of `planes`, which outlives the call.
    unsafe { decode(source, &mut config) }.then_some(planes)
}

/// A configuration for a file of this size; `None` if it has another one, or if a side is zero or too long.
fn config_of_size(source: &[u8], size: Size) -> Option<WebPDecoderConfig> {
    let config = config_for(source)?;
    let fits = (1..=SIDE_MAX).contains(&size.width) && (1..=SIDE_MAX).contains(&size.height);
    let same = (config.input.width, config.input.height) == (size.width as i32, size.height as i32);
    (fits && same).then_some(config)
}

/// The library's defaults and the header of the file.
fn config_for(source: &[u8]) -> Option<WebPDecoderConfig> {
    let mut config = WebPDecoderConfig::new().ok()?;
    // SAFETY: the pointer and length are those of a slice, and `config.input` is where the result belongs.
    let status = unsafe { WebPGetFeatures(source.as_ptr(), source.len(), &mut config.input) };
    (status == VP8StatusCode::VP8_STATUS_OK).then_some(config)
}

/// Runs the decoder; returns whether the whole picture was decoded.
///
/// # Safety
///
/// `config.output.u` must name writable memory of as many bytes as it says there, for its colour space. The library
/// checks these sizes before it writes.
unsafe fn decode(source: &[u8], config: &mut WebPDecoderConfig) -> bool {
    config.output.is_external_memory = 1;
    // SAFETY: the source is a slice, the output memory the caller's promise. What the library allocates for
    // itself it frees, with the output buffer's own part in the second call, which leaves external memory alone.
    unsafe {
        let status = WebPDecode(source.as_ptr(), source.len(), config);
        WebPFreeDecBuffer(&mut config.output);
        status == VP8StatusCode::VP8_STATUS_OK
    }
}

#[cfg(test)]
mod tests {
    use libwebp_sys::{WebPDecodeRGB, WebPDecodeRGBA, WebPFree};

    use super::*;
    use crate::image::draw;
    use crate::image::encode::encode;
    use crate::object::Format;

    const SIZE: Size = Size { width: 45, height: 31 };

    fn file(scene: usize) -> Vec<u8> {
        encode(draw::sample(scene, SIZE).unwrap(), Format::Webp, Some(90)).unwrap()
    }

    fn part(x: u32, y: u32, width: u32, height: u32) -> Rect<u32> {
        Rect { x, y, width, height }
    }

    #[test]
    fn a_file_says_what_it_is() {
        let opaque = Features { size: SIZE, has_alpha: false, is_animated: false, is_lossy: true };
        assert_eq!(features(&file(0)), Some(opaque));
        assert_eq!(features(&file(3)), Some(Features { has_alpha: true, ..opaque }));
        assert_eq!(features(b"RIFF"), None);
        assert_eq!(features(b""), None);
    }

    #[test]
    fn colours_are_those_that_the_simple_interface_gives() {
        for (scene, with_alpha) in [(0, false), (3, true)] {
            let source = file(scene);
            let (mut width, mut height) = (0, 0);
            let decode = if with_alpha { WebPDecodeRGBA } else { WebPDecodeRGB };
            // SAFETY: the source is a slice, and what the library allocates has three or four bytes for each pixel of
            // the size that it says.
            let simple = unsafe {
                let pixels = decode(source.as_ptr(), source.len(), &mut width, &mut height);
                assert!(!pixels.is_null());
                let length = (width * height) as usize * if with_alpha { 4 } else { 3 };
                let copy = std::slice::from_raw_parts(pixels, length).to_vec();
                WebPFree(pixels.cast());
                copy
            };
            assert_eq!((width, height), (SIZE.width as i32, SIZE.height as i32));
            assert!(colors(&source, SIZE, with_alpha).unwrap() == simple, "scene {scene}");
        }
    }

    #[test]
    fn a_part_of_the_planes_is_cut_out_of_all_of_them() {
        let source = file(0);
        for smooth in [true, false] {
            let whole = planes(&source, SIZE, part(0, 0, 45, 31), smooth).unwrap();
            assert_eq!([whole.luma.len(), whole.blue.len(), whole.red.len()], [45 * 31, 23 * 16, 23 * 16]);
            let cut = planes(&source, SIZE, part(6, 4, 21, 17), smooth).unwrap();
            let same = |cut: &[u8], width: usize, whole: &[u8], stride: usize, start: usize| {
                cut.chunks(width)
                    .zip(whole[start..].chunks(stride))
                    .all(|(cut, whole)| *cut == whole[..width])
            };
            assert!(same(&cut.luma, 21, &whole.luma, 45, 4 * 45 + 6));
            assert!(same(&cut.blue, 11, &whole.blue, 23, 2 * 23 + 3));
            assert!(same(&cut.red, 11, &whole.red, 23, 2 * 23 + 3));
        }
    }

    #[test]
    fn another_size_a_part_outside_and_a_torn_file_are_refused() {
        let source = file(0);
        let other = Size { width: 45, height: 32 };
        assert!(colors(&source, other, false).is_none());
        assert!(planes(&source, other, part(0, 0, 45, 32), true).is_none());
        for outside in
            [part(0, 0, 46, 31), part(2, 0, 44, 31), part(0, 30, 1, 2), part(1, 0, 4, 4), part(0, 3, 4, 4)]
        {
            assert!(planes(&source, SIZE, outside, true).is_none(), "{outside:?}");
        }
        assert!(planes(&source, SIZE, part(0, 0, 0, 4), true).is_none());
        assert!(planes(&source, SIZE, part(u32::MAX - 1, 0, 4, 4), true).is_none());
        for length in 0..source.len() {
            assert!(colors(&source[..length], SIZE, false).is_none(), "{length} of {} bytes", source.len());
        }
    }
}

//! One frame of an animation as a still, on generated animations and on animations of the corpus.

use proptest::prelude::*;

use super::support::*;
use crate::image::decode;
use crate::image::error::DecodeFault;
use crate::image::pixels::{PixelKind, Pixels};
use crate::image::render::*;
use crate::object::Format;

const RED: [u8; 4] = [255, 0, 0, 255];
const BLUE: [u8; 4] = [0, 0, 255, 255];
const CLEAR: [u8; 4] = [0; 4];

/// Two pixels wide and one high, so that a test can write down a whole frame.
const STRIP: Size = Size { width: 2, height: 1 };

fn animated(format: Format, size: Size, frames: u32) -> Header {
    Header { frames, ..header(format, size, PixelKind::Rgba) }
}

/// Frame `number` as RGBA.
fn frame(source: &[u8], header: &Header, number: u32) -> Result<Vec<u8>, RenderError> {
    let pixels = decode::decode(source, header, Some(number), &LIMITS, &always)?;
    let rgba = |pixel: &[u8]| if pixel.len() == 4 { pixel.to_vec() } else { [pixel, &[255]].concat() };
    Ok(pixels.data().chunks_exact(pixels.kind().channels()).flat_map(rgba).collect())
}

/// Frames of one or two pixels: their left edges, their disposal, and their pixels.
fn gif_strip(frames: &[(u16, gif::DisposalMethod, &[u8])]) -> Vec<u8> {
    let mut bytes = Vec::new();
    // Entry 2 is transparent.
    let palette = [255, 0, 0, 0, 0, 255, 9, 9, 9];
    let mut encoder = gif::Encoder::new(&mut bytes, 2, 1, &palette).unwrap();
    for &(left, dispose, indices) in frames {
        let (width, buffer) = (indices.len() as u16, indices.into());
        let frame = gif::Frame {
            left,
            width,
            height: 1,
            buffer,
            dispose,
            transparent: Some(2),
            ..Default::default()
        };
        encoder.write_frame(&frame).unwrap();
    }
    drop(encoder);
    bytes
}

#[test]
fn gif_frames_are_drawn_onto_what_those_before_left() {
    use gif::DisposalMethod::{Background, Keep, Previous};
    for (dispose, left) in [(Keep, BLUE), (Background, CLEAR), (Previous, RED)] {
        let source =
            gif_strip(&[(0, Keep, &[0, 0]), (1, dispose, &[1]), (0, Keep, &[2, 2]), (0, Keep, &[1, 1])]);
        let header = animated(Format::Gif, STRIP, 4);
        let shown = |number| frame(&source, &header, number).unwrap();
        assert_eq!(shown(0), [RED, RED].concat());
        assert_eq!(shown(1), [RED, BLUE].concat());
        assert_eq!(shown(2), [RED, left].concat(), "{dispose:?}");
        assert_eq!(shown(3), [BLUE, BLUE].concat());
    }
}

#[test]
fn a_gif_frame_that_covers_a_part_leaves_the_rest_transparent() {
    let source = gif_strip(&[(1, gif::DisposalMethod::Keep, &[0])]);
    assert_eq!(frame(&source, &animated(Format::Gif, STRIP, 1), 0).unwrap(), [CLEAR, RED].concat());
}

#[test]
fn a_gif_frame_is_cut_at_the_edge_of_the_canvas() {
    let source = gif_strip(&[(1, gif::DisposalMethod::Keep, &[0, 1, 0])]);
    assert_eq!(frame(&source, &animated(Format::Gif, STRIP, 1), 0).unwrap(), [CLEAR, RED].concat());
    let huge = gif_strip(&[(0, gif::DisposalMethod::Keep, &[0])]);
    let mut claims = huge.clone();
    // The frame's size follows the image separator and its position.
    let separator = memchr::memrchr(b',', &huge).unwrap();
    claims[separator + 5..separator + 9].fill(0xFF);
    assert_eq!(
        frame(&claims, &animated(Format::Gif, STRIP, 1), 0),
        Err(RenderError::Undecodable(DecodeFault::Corrupt))
    );
}

#[test]
fn an_interlaced_gif_gives_its_rows_in_order() {
    let size = Size { width: 3, height: 13 };
    let rows: Vec<u8> = (0..13).collect();
    let stored = [0, 8, 4, 12, 2, 6, 10, 1, 3, 5, 7, 9, 11].map(|row| [rows[row]; 3]).concat();
    let palette: Vec<u8> = (0..16).flat_map(|level| [level * 16; 3]).collect();
    let mut source = Vec::new();
    let mut encoder = gif::Encoder::new(&mut source, 3, 13, &palette).unwrap();
    let frame =
        gif::Frame { width: 3, height: 13, interlaced: true, buffer: stored.into(), ..Default::default() };
    encoder.write_frame(&frame).unwrap();
    drop(encoder);
    let pixels = decoded(&source, Format::Gif, size);
    let levels: Vec<u8> = pixels.data().chunks_exact(9).map(|row| row[0] / 16).collect();
    assert_eq!(levels, rows);
}

/// An APNG strip; `default` is not part of the animation.
fn apng_strip(default: Option<[u8; 8]>, frames: &[(u32, png::DisposeOp, png::BlendOp, &[u8])]) -> Vec<u8> {
    let mut bytes = Vec::new();
    let mut encoder = png::Encoder::new(&mut bytes, 2, 1);
    encoder.set_color(png::ColorType::Rgba);
    encoder.set_animated(frames.len() as u32, 0).unwrap();
    encoder.set_sep_def_img(default.is_some()).unwrap();
    let mut writer = encoder.write_header().unwrap();
    if let Some(pixels) = default {
        writer.write_image_data(&pixels).unwrap();
    }
    for &(left, dispose, blend, pixels) in frames {
        writer.set_frame_dimension(pixels.len() as u32 / 4, 1).unwrap();
        writer.set_frame_position(left, 0).unwrap();
        writer.set_dispose_op(dispose).unwrap();
        writer.set_blend_op(blend).unwrap();
        writer.write_image_data(pixels).unwrap();
    }
    writer.finish().unwrap();
    bytes
}

#[test]
fn apng_frames_are_disposed_of_and_blended_as_they_say() {
    use png::BlendOp::{Over, Source};
    use png::DisposeOp::{Background, None as Keep, Previous};
    for (dispose, left) in [(Keep, BLUE), (Background, CLEAR), (Previous, RED)] {
        let frames: [(u32, _, _, &[u8]); 4] = [
            (0, Keep, Source, &[RED, RED].concat()),
            (1, dispose, Source, &BLUE),
            (0, Keep, Over, &CLEAR),
            (0, Keep, Source, &CLEAR),
        ];
        let source = apng_strip(None, &frames);
        let header = animated(Format::Png, STRIP, 4);
        let shown = |number| frame(&source, &header, number).unwrap();
        assert_eq!(shown(0), [RED, RED].concat());
        assert_eq!(shown(1), [RED, BLUE].concat());
        assert_eq!(shown(2), [RED, left].concat(), "{dispose:?}");
        assert_eq!(shown(3), [CLEAR, left].concat());
    }
}

#[test]
fn an_apngs_default_image_comes_first_when_it_stands_outside_the_animation() {
    use png::BlendOp::Source;
    use png::DisposeOp::None as Keep;
    let default = [9, 9, 9, 255, 8, 8, 8, 255];
    let frames: [(u32, _, _, &[u8]); 2] = [(0, Keep, Source, &[RED, RED].concat()), (1, Keep, Source, &BLUE)];
    let source = apng_strip(Some(default), &frames);
    let header = animated(Format::Png, STRIP, 2);
    assert_eq!(frame(&source, &header, 0).unwrap(), default);
    assert_eq!(frame(&source, &header, 1).unwrap(), [RED, BLUE].concat());
}

/// Uses the library's own animation writer: lossless, with every pixel unchanged.
#[allow(unsafe_code)]
fn webp_animation(size: Size, frames: &[Pixels]) -> Vec<u8> {
    use libwebp_sys::*;
    let mut config = WebPConfig::new().unwrap();
    config.lossless = 1;
    config.exact = 1;
    let version = WEBP_MUX_ABI_VERSION as i32;
    // SAFETY: every structure is set up by the library before it is used, and freed by it at the end; the pixels have
    // the size that is said.
    unsafe {
        let mut options = std::mem::MaybeUninit::uninit();
        assert_ne!(WebPAnimEncoderOptionsInitInternal(options.as_mut_ptr(), version), 0);
        let (width, height) = (size.width as i32, size.height as i32);
        let encoder = WebPAnimEncoderNewInternal(width, height, options.as_ptr(), version);
        for (number, pixels) in (0..).zip(frames) {
            let mut picture = WebPPicture::new().unwrap();
            (picture.use_argb, picture.width, picture.height) = (1, width, height);
            assert_ne!(WebPPictureImportRGBA(&mut picture, pixels.data().as_ptr(), width * 4), 0);
            assert_ne!(WebPAnimEncoderAdd(encoder, &mut picture, number * 100, &config), 0);
            WebPPictureFree(&mut picture);
        }
        let end = frames.len() as i32 * 100;
        assert_ne!(WebPAnimEncoderAdd(encoder, std::ptr::null_mut(), end, std::ptr::null()), 0);
        let mut data = WebPData::default();
        assert_ne!(WebPAnimEncoderAssemble(encoder, &mut data), 0);
        let file = std::slice::from_raw_parts(data.bytes, data.size).to_vec();
        WebPDataClear(&mut data);
        WebPAnimEncoderDelete(encoder);
        file
    }
}

#[test]
fn webp_frames_come_out_as_they_were_put_in() {
    // A spot moves over a picture, so that the encoder stores parts with its own blending and disposal.
    let still = photo(PICTURE, PixelKind::Rgb);
    let opaque: Vec<u8> = still.data().chunks_exact(3).flat_map(|pixel| [pixel, &[255]].concat()).collect();
    let with_spot = |number: usize| {
        let mut data = opaque.clone();
        for row in 0..6 {
            let start = ((row + 3 * number) * PICTURE.width as usize + 5 * number) * 4;
            data[start..start + 24].copy_from_slice(&[RED; 6].concat());
        }
        Pixels::new(PICTURE, PixelKind::Rgba, data).unwrap()
    };
    let frames: Vec<Pixels> = (0..5).map(with_spot).collect();
    let source = webp_animation(PICTURE, &frames);
    for (number, pixels) in (0..).zip(&frames) {
        assert_eq!(
            frame(&source, &animated(Format::Webp, PICTURE, 5), number).unwrap(),
            pixels.data(),
            "{number}"
        );
    }
}

const PICTURE: Size = Size { width: 40, height: 30 };

#[test]
fn a_webp_frame_that_claims_another_size_is_refused_before_it_is_decoded() {
    let frames =
        [photo(PICTURE, PixelKind::Rgba), orient::apply(Transform::FLIP, photo(PICTURE, PixelKind::Rgba))];
    let mut source = webp_animation(PICTURE, &frames);
    let bitstream = memchr::memmem::find(&source, b"VP8L").unwrap();
    // After name, length and signature: width and height less one, 14 bits each.
    source[bitstream + 9..bitstream + 13].copy_from_slice(&(0x0FFF_FFFF_u32).to_le_bytes());
    let result = frame(&source, &animated(Format::Webp, PICTURE, 2), 0);
    assert_eq!(result, Err(RenderError::Undecodable(DecodeFault::SizeDiffers)));
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 200, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn damaged_animations_give_a_frame_or_an_error_and_never_panic(
        format in 0..3_usize,
        number in 0..3_u32,
        edits in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..8),
    ) {
        use gif::DisposalMethod::{Background, Keep, Previous};
        let blend = png::BlendOp::Over;
        let red = [RED, RED].concat();
        let (format, size, mut source) = match format {
            0 => (Format::Gif, STRIP, gif_strip(&[(0, Keep, &[0, 1]), (1, Previous, &[1]), (0, Background, &[2, 0])])),
            1 => {
                let (keep, previous) = (png::DisposeOp::None, png::DisposeOp::Previous);
                (Format::Png, STRIP, apng_strip(None, &[(0, keep, blend, &red), (1, previous, blend, &BLUE), (0, keep, blend, &RED)]))
            }
            _ => {
                let frames = [Transform::IDENTITY, Transform::FLIP, Transform::FLOP];
                let frames = frames.map(|transform| orient::apply(transform, photo(PICTURE, PixelKind::Rgba)));
                (Format::Webp, PICTURE, webp_animation(PICTURE, &frames))
            }
        };
        for (place, value) in edits {
            let at = place.index(source.len());
            source[at] = value;
        }
        if let Ok(pixels) = frame(&source, &animated(format, size, 3), number) {
            prop_assert_eq!(pixels.len() as u64, size.area() * 4);
        }
    }
}

#[test]
fn a_frame_beyond_the_last_is_missing_whatever_the_header_says() {
    let gif = gif_strip(&[(0, gif::DisposalMethod::Keep, &[0, 1]), (0, gif::DisposalMethod::Keep, &[1, 1])]);
    let webp = webp_animation(
        PICTURE,
        &[photo(PICTURE, PixelKind::Rgba), orient::apply(Transform::FLIP, photo(PICTURE, PixelKind::Rgba))],
    );
    for (source, format, size) in [(gif, Format::Gif, STRIP), (webp, Format::Webp, PICTURE)] {
        let missing = Err(RenderError::FrameMissing { frames: 2 });
        assert!(frame(&source, &animated(format, size, 2), 1).is_ok());
        assert_eq!(frame(&source, &animated(format, size, 2), 2), missing, "{format:?}");
        assert_eq!(frame(&source, &animated(format, size, 9), 2), missing, "{format:?}");
    }
}

#[test]
fn an_animation_of_too_many_frames_is_a_still() {
    let source =
        gif_strip(&[(0, gif::DisposalMethod::Keep, &[0, 1]), (0, gif::DisposalMethod::Keep, &[1, 1])]);
    let limits = Limits { frames_max: 1, ..LIMITS };
    let shown = |frame| decode::decode(&source, &animated(Format::Gif, STRIP, 2), frame, &limits, &always);
    assert!(shown(None).is_ok() && shown(Some(0)).is_ok());
    assert_eq!(shown(Some(1)), Err(RenderError::FrameMissing { frames: 1 }));
}

#[test]
fn webp_frames_of_the_corpus_agree_with_another_decoder() {
    let Some(folder) = crate::image::tests::corpus::folder() else { return };
    for name in ["webp-lossy.webp", "webp-photo-42f.webp", "webp-squares.webp"] {
        let source = std::fs::read(folder.join("animated").join(name)).unwrap();
        let mut other = image_webp::WebPDecoder::new(std::io::Cursor::new(&source)).unwrap();
        let (width, height) = other.dimensions();
        let size = Size { width, height };
        let header = animated(Format::Webp, size, other.num_frames());
        let mut buffer = vec![0; other.output_buffer_size().unwrap()];
        for number in 0..other.num_frames().min(12) {
            other.read_frame(&mut buffer).unwrap();
            let kind = if other.has_alpha() { PixelKind::Rgba } else { PixelKind::Rgb };
            let expected = Pixels::new(size, kind, buffer.clone()).unwrap();
            let ours = decode::decode(&source, &header, Some(number), &LIMITS, &always).unwrap();
            let similarity = psnr(&ours, &expected);
            // The two decoders enlarge chroma slightly differently.
            assert!(similarity > 40.0, "{name} frame {number}: {similarity:.1} dB");
        }
    }
}

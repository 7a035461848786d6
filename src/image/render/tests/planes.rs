//! Variants that begin with kept samples, and variants that never become pixels.

use super::support::*;
use crate::image::container::jpeg::{self, Segments};
use crate::image::decoded_planes;
use crate::image::header::Orientation;
use crate::image::inspect::inspect;
use crate::image::light::{Light, LightSetting};
use crate::image::pixels::PixelKind;
use crate::image::render::*;
use crate::image::variant::{self, VariantFault};

const SIZE: Size = Size { width: 400, height: 300 };

/// Two files of a photo: a plain one, and one as a phone writes it.
fn sources() -> Vec<Vec<u8>> {
    let plain = file(&photo(SIZE, PixelKind::Rgb), Format::Jpeg);
    let exif = b"\xFF\xE1\0\x22Exif\0\0II*\0\x08\0\0\0\x01\0\x12\x01\x03\0\x01\0\0\0\x06\0\0\0\0\0\0\0";
    let turned = [&plain[..2], exif, &plain[2..]].concat();
    let gray = file(&photo(SIZE, PixelKind::Gray), Format::Jpeg);
    vec![plain, turned, gray]
}

fn made(source: &[u8], recipe: &Recipe, planes: &mut DecodedPlanes) -> Result<Vec<u8>, VariantFault> {
    variant::prepare(source, recipe, &LIMITS).unwrap().make(planes, &always)
}

#[test]
fn headers_and_kept_samples_give_the_bytes_of_a_first_request() {
    let specs = [
        ("50w", Format::Jpeg),
        ("31w", Format::Jpeg),
        ("110w", Format::Jpeg),
        ("40s,g-smart", Format::Jpeg),
        ("30w50h,fill,g-ne,rot90,flop", Format::Jpeg),
        ("60w,crop-7-9-301-200,grey", Format::Webp),
        ("45w,blur2,sharpen1", Format::Png),
        ("45w90h,pad,bg-102030", Format::Gif),
    ];
    for source in sources() {
        for (spec, format) in specs {
            let recipe = recipe(spec, format);
            let first = made(&source, &recipe, &mut DecodedPlanes::Ignore).unwrap();
            let mut left = DecodedPlanes::Collect;
            assert!(made(&source, &recipe, &mut left).unwrap() == first, "{spec}");
            let DecodedPlanes::Collected(samples) = left else { panic!("{spec}: nothing was left") };
            let head = decoded_planes::head(&source).unwrap();
            let named = |source: &[u8]| variant::prepare(source, &recipe, &LIMITS).unwrap().planes();
            assert_eq!(named(&source).unwrap().1, samples.len() as u64, "{spec}");
            assert_eq!(named(&source), named(&head), "{spec}");
            let later = made(&head, &recipe, &mut DecodedPlanes::Reuse(samples)).unwrap();
            assert!(later == first, "{spec}");
        }
    }
}

#[test]
fn sizes_of_one_scale_share_their_samples_and_others_do_not() {
    let source = &sources()[0];
    let named = |spec, format| {
        variant::prepare(source, &recipe(spec, format), &LIMITS).unwrap().planes().map(|(scales, _)| scales)
    };
    assert_eq!(named("20w", Format::Jpeg), named("35w", Format::Jpeg));
    assert_eq!(named("20w", Format::Jpeg), named("26h,q12,blur3", Format::Webp));
    assert_ne!(named("20w", Format::Jpeg), named("51w", Format::Jpeg));
    assert_ne!(named("35w", Format::Jpeg), named("35w", Format::Png), "colours are at half the sides");
    let encoded = Recipe { light: LightSetting::Always(Light::Encoded), ..recipe("20w", Format::Jpeg) };
    let encoded = variant::prepare(source, &encoded, &LIMITS).unwrap().planes().unwrap();
    assert_ne!(named("20w", Format::Jpeg), Some(encoded.0), "samples of stored values mean something else");
    assert_eq!(named("399w", Format::Jpeg), None, "a whole picture leaves no planes");
    assert_eq!(named("full", Format::Jpeg), None);
    assert_eq!(named("50w,trim", Format::Jpeg), None);
    let png = file(&photo(SIZE, PixelKind::Rgb), Format::Png);
    assert_eq!(variant::prepare(&png, &recipe("50w", Format::Jpeg), &LIMITS).unwrap().planes(), None);
}

#[test]
fn samples_of_another_length_are_an_error_and_no_picture() {
    let source = &sources()[0];
    let head = decoded_planes::head(source).unwrap();
    let result = made(&head, &recipe("50w", Format::Jpeg), &mut DecodedPlanes::Reuse(vec![0; 99]));
    assert!(matches!(result, Err(VariantFault::Render(RenderError::Undecodable(_)))), "{result:?}");
}

#[test]
fn a_file_says_the_same_without_its_data_or_has_no_head() {
    for source in sources() {
        let head = decoded_planes::head(&source).unwrap();
        assert!(head.len() < source.len() / 4);
        assert_eq!(decoded_planes::head(&source[..head.len() + 100]).unwrap(), head, "the start is enough");
        assert_eq!(decoded_planes::head(&source[..head.len() - 20]), None, "the headers are not all there");
        assert_eq!(decoded_planes::head(&[b"junk", &source[..]].concat()), None);
        assert_eq!(inspect(&head, LIMITS), inspect(&source, LIMITS));
    }
    // Segments after the first scan are not part of the head, and do not change the whole file's answer either.
    let mut progressive = Vec::new();
    let mut encoder = jpeg_encoder::Encoder::new(&mut progressive, 90);
    encoder.set_progressive(true);
    let pixels = photo(SIZE, PixelKind::Rgb);
    encoder
        .encode(pixels.data(), SIZE.width as u16, SIZE.height as u16, jpeg_encoder::ColorType::Rgb)
        .unwrap();
    let second =
        Segments::of(&progressive).filter(|segment| segment.marker == jpeg::SOS).nth(1).unwrap().start;
    let late = [&progressive[..second], &sources()[1][2..38], &progressive[second..]].concat();
    assert_eq!(inspect(&decoded_planes::head(&late).unwrap(), LIMITS), inspect(&late, LIMITS));
    assert_eq!(decoded_planes::head(b"\x89PNG\r\n\x1a\n"), None);
    assert_eq!(decoded_planes::head(b""), None);
}

#[test]
fn planes_of_odd_sides_lie_right_however_they_are_turned() {
    // Colours that change from pixel to pixel of the target, so that half a sample is visible.
    let pixel = |x: u32, y: u32| {
        let (x, y) = (f64::from(x) / 28.0, f64::from(y) / 25.0);
        [0.0, 2.1, 4.2].map(|phase| (128.0 + 90.0 * (x + y + phase).sin()) as u8)
    };
    let data = (0..SIZE.height).flat_map(|y| (0..SIZE.width).flat_map(move |x| pixel(x, y))).collect();
    let source = file(&Pixels::new(SIZE, PixelKind::Rgb, data).unwrap(), Format::Jpeg);
    let mut bad = Vec::new();
    for orientation in 1..=8 {
        let header = Header {
            orientation: Orientation::from_exif(orientation),
            ..header(Format::Jpeg, SIZE, PixelKind::Rgb)
        };
        for (width, height) in [(61, 45), (62, 45), (61, 46), (45, 61), (100, 75)] {
            let spec = format!("{width}w{height}h,stretch");
            let made = |format| {
                let recipe = Recipe { quality: Some(100), ..recipe(&spec, format) };
                let bytes =
                    render(&source, &header, &recipe, &LIMITS, &mut DecodedPlanes::Ignore, &always).unwrap();
                decoded(&bytes, format, Size { width, height })
            };
            let similarity = psnr(&made(Format::Jpeg), &made(Format::Png));
            if similarity < 31.0 {
                bad.push(format!("{orientation} {spec}: {similarity:.1} dB"));
            }
        }
    }
    assert!(bad.is_empty(), "{bad:?}");
}

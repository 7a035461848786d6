//! The pipeline on the corpus.

use std::fs;

use super::support::*;
use crate::image::decode;
use crate::image::header::{ColorKind, Orientation, PixelFormat};
use crate::image::light::{Light, LightSetting};
use crate::image::pixels::{PixelKind, Pixels};
use crate::image::render::*;
use crate::image::tests::corpus;
use crate::object::Format;

/// One line of the manifest.
struct CorpusEntry {
    path: String,
    expected: String,
    header: Header,
    bytes: Vec<u8>,
}

/// The entries in supported formats with a known size.
fn entries(folder: &std::path::Path) -> Vec<CorpusEntry> {
    let manifest = fs::read_to_string(folder.join("MANIFEST.tsv")).unwrap();
    let mut lines = manifest.lines();
    let names: Vec<&str> = lines.next().unwrap().split('\t').collect();
    let entry = |line: &str| {
        let fields: Vec<&str> = line.split('\t').collect();
        let field = |name: &str| fields[names.iter().position(|other| *other == name).unwrap()];
        let format = match field("format") {
            "JPEG" => Format::Jpeg,
            "PNG" => Format::Png,
            "GIF" => Format::Gif,
            "WebP" => Format::Webp,
            "AVIF" => Format::Avif,
            _ => return None,
        };
        let has_alpha = field("has_alpha") == "yes";
        let header = Header {
            format,
            width: field("width").parse().ok()?,
            height: field("height").parse().ok()?,
            orientation: Orientation::from_exif(match field("exif_orientation") {
                "irot=3" => 6,
                "imir=1" => 2,
                other => other.parse().unwrap_or(1),
            }),
            frames: field("frames").parse().unwrap_or(1),
            has_alpha,
            color: PixelFormat {
                kind: color(field("colour"), has_alpha),
                bits: if format == Format::Avif { 10 } else { 8 },
            },
        };
        let bytes = fs::read(folder.join(field("path"))).unwrap();
        Some(CorpusEntry { path: field("path").into(), expected: field("expected").into(), header, bytes })
    };
    lines.filter_map(entry).collect()
}

fn color(text: &str, has_alpha: bool) -> ColorKind {
    let text = text.to_lowercase();
    let gray = ["gray", "b-w"].iter().any(|word| text.starts_with(word));
    match (text.starts_with("cmyk"), text.starts_with("palette"), gray, has_alpha) {
        (true, ..) => ColorKind::Cmyk,
        (_, true, ..) => ColorKind::Palette,
        (_, _, true, false) => ColorKind::Gray,
        (_, _, true, true) => ColorKind::GrayAlpha,
        (_, _, false, false) => ColorKind::Rgb,
        (_, _, false, true) => ColorKind::Rgba,
    }
}

fn find<'a>(entries: &'a [CorpusEntry], path: &str) -> &'a CorpusEntry {
    entries.iter().find(|entry| entry.path == path).unwrap_or_else(|| panic!("{path} is not in the manifest"))
}

/// 300 wide or the picture's own width, upright.
fn thumbnail(format: Format) -> Recipe {
    recipe("300w", format)
}

/// The size of an entry's [`thumbnail`].
fn thumbnail_size(header: &Header) -> Size {
    let cut = geometry::cut(header.displayed(), &thumbnail(Format::Png)).unwrap();
    geometry::plan(cut.size(), &thumbnail(Format::Png), LIMITS.pixels_max).unwrap().size
}

fn shown(entry: &CorpusEntry) -> Pixels {
    shown_as(entry, entry.header.orientation)
}

fn shown_as(entry: &CorpusEntry, orientation: Orientation) -> Pixels {
    let header = Header { orientation, ..entry.header };
    // The references were scaled by stored values.
    let recipe = Recipe { light: LightSetting::Always(Light::Encoded), ..thumbnail(Format::Png) };
    let result = render(&entry.bytes, &header, &recipe, &LIMITS, &mut DecodedPlanes::Ignore, &always)
        .unwrap_or_else(|error| panic!("{}: {error}", entry.path));
    decoded(&result, Format::Png, thumbnail_size(&header))
}

fn reference(folder: &std::path::Path, name: &str, size: Size) -> Pixels {
    let bytes = fs::read(folder.join("reference").join(name)).unwrap();
    decoded(&bytes, Format::Png, size)
}

#[test]
fn every_accepted_file_gives_a_thumbnail_of_the_right_size() {
    let Some(folder) = corpus::folder() else { return };
    let entries = entries(&folder);
    let accepted = || entries.iter().filter(|entry| entry.expected.starts_with("ok"));
    assert!(accepted().count() > 80, "the manifest was not understood");
    let mut failures = Vec::new();
    for entry in accepted() {
        match render(
            &entry.bytes,
            &entry.header,
            &thumbnail(Format::Jpeg),
            &LIMITS,
            &mut DecodedPlanes::Ignore,
            &always,
        ) {
            Ok(result) => {
                decoded(&result, Format::Jpeg, thumbnail_size(&entry.header));
            }
            Err(error) => failures.push(format!("{}: {error:?}", entry.path)),
        }
    }
    assert!(failures.is_empty(), "{}", failures.join("\n"));
}

#[test]
fn hostile_files_end_in_an_image_or_an_error() {
    let Some(folder) = corpus::folder() else { return };
    for entry in entries(&folder).iter().filter(|entry| !entry.expected.starts_with("ok")) {
        if u64::from(entry.header.width) * u64::from(entry.header.height) == 0 {
            continue;
        }
        let started = std::time::Instant::now();
        let keep_going = || started.elapsed().as_secs() < 5;
        let result = render(
            &entry.bytes,
            &entry.header,
            &thumbnail(Format::Jpeg),
            &LIMITS,
            &mut DecodedPlanes::Ignore,
            &keep_going,
        );
        if entry.expected == "reject:too-large" {
            assert!(result.is_err(), "{}", entry.path);
        }
        assert!(started.elapsed().as_secs() < 20, "{} took {:?}", entry.path, started.elapsed());
    }
}

#[test]
fn photos_look_like_the_reference_thumbnails() {
    let Some(folder) = corpus::folder() else { return };
    let entries = entries(&folder);
    let photos = [
        "photos/cranes-12mp-420.jpg",
        "photos/treecreeper-24mp-420.jpg",
        "photos/dragonfly-13mp-progressive.jpg",
        "photos/dandelion-16mp-progressive-420.jpg",
        "photos/bird-lamp-6mp-444.jpg",
        "photos/kodim23.png",
        "photos/bowl-4mp-lossy.webp",
        "photos/gallery2-3-alpha-lossless.webp",
        "photos/hato-6mp-8bit-420.avif",
        "exif/portrait-6.jpg",
        "color/adobe-rgb-2mp.jpg",
        "color/cmyk-adobe2-swop-icc.jpg",
    ];
    for path in photos {
        let entry = find(&entries, path);
        let name = path.rsplit_once('.').unwrap().0.replace('/', "-") + ".vips.png";
        let made = shown(entry);
        let similarity = psnr(&made, &reference(&folder, &name, made.size()));
        assert!(similarity >= 34.0, "{path}: {similarity:.1} dB");
    }
}

#[test]
fn each_exif_orientation_is_shown_upright() {
    let Some(folder) = corpus::folder() else { return };
    let entries = entries(&folder);
    for shape in ["landscape", "portrait"] {
        let of = |number: u32| find(&entries, &format!("exif/{shape}-{number}.jpg"));
        let upright = shown(of(1));
        for number in 2..=8 {
            let entry = of(number);
            let similarity = psnr(&shown(entry), &upright);
            assert!(similarity > 25.0, "{}: {similarity:.1} dB", entry.path);
            for wrong in
                (1..=8).map(Orientation::from_exif).filter(|&other| other != entry.header.orientation)
            {
                if wrong.swaps_sides() != entry.header.orientation.swaps_sides() {
                    continue;
                }
                let other = psnr(&shown_as(entry, wrong), &upright);
                assert!(
                    other + 6.0 < similarity,
                    "{} as {wrong:?}: {other:.1} of {similarity:.1} dB",
                    entry.path
                );
            }
        }
    }
}

#[test]
fn cmyk_is_not_shown_as_a_negative() {
    let Some(folder) = corpus::folder() else { return };
    let entries = entries(&folder);
    // Without a profile the picture is paler than the reference, which had one. But no other picture is near it, least
    // of all the negative.
    for path in
        ["color/cmyk-adobe2-swop-icc.jpg", "color/ycck-adobe2-no-icc.jpg", "color/rgb-jpeg-adobe0.jpg"]
    {
        let entry = find(&entries, path);
        let made = shown(entry);
        let expected = reference(&folder, "color-cmyk-adobe2-swop-icc.vips.png", made.size());
        let negative = made.data().iter().map(|value| 255 - value).collect();
        let negative = Pixels::new(made.size(), made.kind(), negative).unwrap();
        let (similarity, wrong) = (psnr(&made, &expected), psnr(&negative, &expected));
        assert!(
            similarity > 14.0 && similarity > wrong + 6.0,
            "{path}: {similarity:.1} dB, negative {wrong:.1} dB"
        );
    }
    let entry = find(&entries, "color/cmyk-adobe0.jpg");
    let made = shown(entry);
    // The sky is at the top.
    let sky =
        made.data()[..300 * 3 * 10].chunks_exact(3).filter(|pixel| pixel[2] > pixel[0] && pixel[2] > 100);
    assert!(sky.count() > 300 * 10 * 3 / 4, "the sky is not blue");
}

#[test]
fn nothing_but_pixels_reaches_a_thumbnail() {
    let Some(folder) = corpus::folder() else { return };
    let entries = entries(&folder);
    let hidden: [(&str, &[u8]); 3] = [
        ("broken/polyglot-jpeg-zip.jpg", b"PK\x03\x04"),
        ("broken/script-in-comment.jpg", b"script"),
        ("exif/gps-position.jpg", b"Exif"),
    ];
    for (path, secret) in hidden {
        let entry = find(&entries, path);
        assert!(memchr::memmem::find(&entry.bytes, secret).is_some(), "{path} hides nothing");
        for format in FORMATS {
            let result = render(
                &entry.bytes,
                &entry.header,
                &thumbnail(format),
                &LIMITS,
                &mut DecodedPlanes::Ignore,
                &always,
            )
            .unwrap();
            assert!(memchr::memmem::find(&result, secret).is_none(), "{path} as {format:?}");
        }
    }
}

#[test]
fn kinds_promised_from_the_header_are_never_exceeded() {
    let Some(folder) = corpus::folder() else { return };
    for entry in entries(&folder).iter().filter(|entry| entry.expected.starts_with("ok")) {
        let pixels = decode::decode(&entry.bytes, &entry.header, None, &LIMITS, &always).unwrap();
        let promised = decode::kind(&entry.header);
        assert!(pixels.kind().channels() <= promised.channels(), "{}: {:?}", entry.path, pixels.kind());
        if entry.header.color.kind == ColorKind::Gray && !entry.header.has_alpha {
            assert_eq!(pixels.kind(), PixelKind::Gray, "{}", entry.path);
        }
    }
}

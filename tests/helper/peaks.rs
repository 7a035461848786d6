//! What a job takes at its peak stays below what it was charged for: measured, for every pair of formats.
//!
//! The kernel counts the pages of a process that does the one job. So the libraries in C are counted, too, which no
//! allocator of a test would see.

use std::fs;

use super::*;

/// Pages that do not belong to the job: code that is called for the first time, and the allocator's own.
const SPARE_BYTES: u64 = 4 << 20;

/// A line of the process's status, in bytes.
fn status(process: u32, name: &str) -> u64 {
    let status = fs::read_to_string(format!("/proc/{process}/status")).expect("the process runs");
    let line = status.lines().find_map(|line| line.strip_prefix(name)).expect("a known line");
    line.trim().trim_end_matches(" kB").parse::<u64>().expect("a number") * 1024
}

/// Bytes at the peak of the job beyond those before it, and what it was charged for.
fn measured(source: &[u8], recipe: &Recipe, warm_up: Option<&[u8]>) -> (u64, u64) {
    let mut helper = helper();
    // The same with a small picture, so that tables and code are there.
    let first = warm_up.unwrap_or(source);
    work(&mut helper, first, recipe, &|| true).0.expect("a small picture");
    let process = helper.process().expect("a process");
    fs::write(format!("/proc/{process}/clear_refs"), "5").expect("a peak that begins again");
    let before = status(process, "VmRSS:");
    let prepared = variant::prepare(source, recipe, &LIMITS).expect("a variant");
    let charge = prepared.peak_bytes() + source.len() as u64;
    let outcome = work(&mut helper, source, recipe, &|| true).0;
    outcome.unwrap_or_else(|error| panic!("{error:?} of a charge of {charge}"));
    (status(process, "VmHWM:").saturating_sub(before), charge)
}

fn expect_below(what: &str, source: &[u8], recipe: &Recipe, warm_up: Option<&[u8]>, complaints: &mut String) {
    use std::fmt::Write;
    let (peak, charge) = measured(source, recipe, warm_up);
    let share = peak as f64 / charge as f64;
    println!("{what}: {:.1} of {:.1} MB, {share:.2}", peak as f64 / 1e6, charge as f64 / 1e6);
    if peak > charge + SPARE_BYTES {
        writeln!(complaints, "{what}: {peak} bytes are over the charge of {charge}").expect("a text");
    }
}

/// Of a photo, a drawing with alpha, and noise that no encoder likes.
fn pictures(size: Size) -> Vec<(&'static str, Pixels)> {
    let mut seed = 1_u32;
    let mut next = || {
        seed = seed.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        (seed >> 24) as u8
    };
    let noise = (0..size.area() * 3).map(|_| next()).collect();
    vec![
        ("photo", draw::sample(0, size).expect("a picture")),
        ("alpha", draw::sample(3, size).expect("a picture")),
        ("noise", Pixels::new(size, PixelKind::Rgb, noise).expect("a picture")),
    ]
}

fn animation(format: Format, size: Size) -> Vec<u8> {
    let mut animation = encode::animation(format, size, 0, Some(80)).expect("a writer");
    for scene in [0, 3, 1, 0, 2] {
        animation.push(draw::sample(scene, size).expect("a picture"), 50, &|| true).expect("a frame");
    }
    animation.finish(&|| true).expect("a file")
}

const SPECS: [&str; 4] = ["full", "640w", "500s,g-smart,sharpen1", "1000w900h,pad,rot90,grey"];

#[test]
fn every_pair_of_formats_stays_below_its_charge() {
    let size = Size { width: 1000, height: 700 };
    let tiny = Size { width: 40, height: 30 };
    let mut complaints = String::new();
    for ((name, picture), (_, small)) in pictures(size).into_iter().zip(pictures(tiny)) {
        for from in Format::WRITTEN {
            let (source, first) = (file(picture.clone(), from), file(small.clone(), from));
            for to in Format::WRITTEN {
                // The encoder of AVIF takes a second for each of these.
                let specs = if to == Format::Avif { &SPECS[..1] } else { &SPECS[..] };
                for spec in specs {
                    let what = format!("{name} {from:?} to {to:?} {spec}");
                    expect_below(&what, &source, &recipe(spec, to), Some(&first), &mut complaints);
                }
            }
        }
    }
    assert!(complaints.is_empty(), "\n{complaints}");
}

#[test]
fn animations_stay_below_their_charge() {
    let (size, tiny) = (Size { width: 700, height: 500 }, Size { width: 40, height: 30 });
    let mut complaints = String::new();
    for from in [Format::Gif, Format::Webp] {
        let (source, first) = (animation(from, size), animation(from, tiny));
        for (to, spec) in [Format::Gif, Format::Webp].into_iter().flat_map(|to| SPECS.map(|spec| (to, spec)))
        {
            let what = format!("animated {from:?} to {to:?} {spec}");
            expect_below(&what, &source, &recipe(spec, to), Some(&first), &mut complaints);
        }
    }
    assert!(complaints.is_empty(), "\n{complaints}");
}

#[cfg(all(feature = "heic", feature = "jxl"))]
#[test]
fn formats_that_are_only_read_stay_below_their_charge() {
    use crate::fixtures::*;
    let small = plain_png(40, 30, png::ColorType::Rgba);
    let mut complaints = String::new();
    for (name, source) in [
        ("HEIC", HEIC_PLAIN),
        ("HEIC with alpha", HEIC_ALPHA),
        ("JPEG XL with loss", JXL_LOSSY),
        ("JPEG XL with alpha", JXL_ALPHA),
        ("JPEG XL in steps", JXL_SQUEEZED),
        ("JPEG XL of 16 bits", JXL_DEEP),
        ("animated JPEG XL", JXL_ANIMATED),
    ] {
        for (spec, to) in [("full", Format::Jpeg), ("300w", Format::Webp), ("500s,g-smart", Format::Png)] {
            let recipe = recipe(spec, to);
            let what = format!("{name} to {to:?} {spec}");
            expect_below(&what, source, &recipe, Some(&small), &mut complaints);
        }
    }
    assert!(complaints.is_empty(), "\n{complaints}");
}

/// A PNG of so many pixels that is quickly made: its rows are all the same.
fn plain_png(width: u32, height: u32, color: png::ColorType) -> Vec<u8> {
    use std::io::Write;
    let mut bytes = Vec::new();
    let mut encoder = png::Encoder::new(&mut bytes, width, height);
    encoder.set_color(color);
    encoder.set_depth(png::BitDepth::Eight);
    encoder.set_compression(png::Compression::Fast);
    let row: Vec<u8> = (0..width as usize * color.samples()).map(|at| (at % 251) as u8).collect();
    let mut writer = encoder.write_header().expect("a header");
    let mut stream = writer.stream_writer().expect("a stream");
    (0..height).for_each(|_| stream.write_all(&row).expect("a row"));
    stream.finish().expect("an end");
    writer.finish().expect("an end");
    bytes
}

#[test]
fn the_largest_pictures_stay_below_their_charge() {
    let mut complaints = String::new();
    let mut check = |what: &str, source: &[u8], spec: &str, to: Format| {
        let small = plain_png(40, 30, png::ColorType::Rgba);
        let what = format!("{what} to {to:?} {spec}");
        expect_below(&what, source, &recipe(spec, to), Some(&small), &mut complaints);
    };
    let rgba = plain_png(10_000, 10_000, png::ColorType::Rgba);
    check("100 MP", &rgba, "300w", Format::Jpeg);
    // All of it is looked at.
    check("100 MP", &rgba, "300s,g-smart", Format::Webp);
    // As large as `images.max_output_pixels` lets results be by default.
    let large = plain_png(7_000, 7_000, png::ColorType::Rgb);
    for to in [Format::Jpeg, Format::Png, Format::Webp] {
        check("49 MP", &large, "full,flip", to);
    }
    check("8 MP", &plain_png(2_800, 2_800, png::ColorType::Rgba), "full", Format::Avif);
    assert!(complaints.is_empty(), "\n{complaints}");
}

#[test]
fn pictures_of_the_corpus_stay_below_their_charge() {
    let Some(corpus) = corpus::folder() else { return };
    let mut complaints = String::new();
    let mut folders = vec![corpus];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(folder).expect("a folder") {
            let path = entry.expect("an entry").path();
            if path.is_dir() {
                folders.push(path);
                continue;
            }
            let source = fs::read(&path).expect("a file");
            for (spec, to) in [("300w", Format::Webp), ("full,flip", Format::Jpeg), ("200s", Format::Gif)] {
                let recipe = recipe(spec, to);
                // Those that are hostile are refused, by whomever.
                let Ok(prepared) = variant::prepare(&source, &recipe, &LIMITS) else { continue };
                let memory = prepared.peak_bytes() + source.len() as u64;
                let what = format!("{} to {to:?} {spec}", path.display());
                match work(&mut helper(), &source, &recipe, &|| true).0 {
                    _ if memory > 1 << 30 => continue,
                    Err(HelperError::Refused(_)) => continue,
                    Err(error) => panic!("{what}: {error:?}"),
                    Ok(_) => {}
                }
                expect_below(&what, &source, &recipe, None, &mut complaints);
            }
        }
    }
    assert!(complaints.is_empty(), "\n{complaints}");
}

//! Every picture of the corpus that the program accepts, compared by its pixels with another program's.
//!
//! `full`, `300w` and `rot90` go through the library's own path, as PNG. The second decoder gives the source in full
//! size; the tests turn and scale that by themselves: in stored values, and in linear light. The bound depends on what may differ: nothing in a picture
//! without loss, rounding where colours are converted, and the freedom that the formats leave to lossy decoders. Each
//! bound is for the whole picture and for its worst block, so that a single wrong tile fails.

mod compare;
#[path = "../../src/image/tests/corpus.rs"]
mod corpus;
mod decoders;
mod expected;
mod manifest;
mod picture;
mod wrong;

use std::fmt::Write;
use std::fs;
use std::path::Path;
use std::sync::Mutex;
use std::time::Instant;

use compare::Difference;
use expected::{Comparison, Expectation};
use manifest::Entry;
use picture::Picture;
use reticulum::image::decoded_planes::DecodedPlanes;
use reticulum::image::header::Limits;
use reticulum::image::inspect::Inspector;
use reticulum::image::jpeg::Jpeg;
use reticulum::image::light::{Light, LightSetting};
use reticulum::image::recipe::{AnimationMax, Originals, OutputMax, Quality, Recipe, RecipeSettings};
use reticulum::image::variant::{self, VariantFault};
use reticulum::object::{Format, Spec};
use tempfile::TempDir;

/// As the configuration has them by default.
const LIMITS: Limits = Limits { pixels_max: 100_000_000, frames_max: 1000 };

/// The specs, and the values whose means a smaller picture is.
const SPECS: [(&str, Light); 4] = [
    ("full", Light::Encoded),
    ("300w", Light::Encoded),
    ("300w", Light::Linear),
    ("full,rot90", Light::Encoded),
];

/// Checks a file as an upload is checked.
///
/// # Errors
/// The reason for which the upload is refused.
fn check(source: &[u8]) -> Result<(), String> {
    let mut inspector = Inspector::new(LIMITS);
    inspector.push(source).map_err(|error| error.to_string())?;
    let inspected = inspector.finish().map_err(|error| error.to_string())?;
    let Some(doubt) = inspected.doubt else { return Ok(()) };
    let is_whole = Jpeg::read(source).is_some_and(|jpeg| jpeg.is_whole(&LIMITS, &|| true) == Ok(true));
    if is_whole { Ok(()) } else { Err(doubt.to_string()) }
}

/// Makes a variant as PNG and reads its pixels.
fn made(source: &[u8], (spec, light): (&str, Light)) -> Result<Picture, VariantFault> {
    let settings = RecipeSettings {
        quality: Quality { jpeg: 82, webp: 80, avif: 60 },
        upscale: false,
        dimension_max: 16_384,
        animation: AnimationMax { frames: 1000, pixels: 500_000_000 },
        output_max: OutputMax::NONE,
        originals: Originals::AsIs,
        light: LightSetting::Always(light),
    };
    let spec = Spec::parse(spec).expect("a spec");
    let recipe = Recipe::resolve(&spec, Format::Png, &settings).expect("a recipe");
    let prepared = variant::prepare(source, &recipe, &LIMITS)?;
    let png = prepared.make(&mut DecodedPlanes::Ignore, &|| true)?;
    Ok(Picture::from_png(&png).expect("a PNG"))
}

/// The outcome for a file.
enum Outcome {
    Refused(String),
    /// Lines to print, and complaints.
    Compared(String, String),
}

fn compared(folder: &Path, entry: &Entry, scratch: &Path) -> Outcome {
    let path = folder.join(&entry.path);
    let source = fs::read(&path).expect("a file of the manifest");
    let full = match check(&source).and_then(|()| made(&source, SPECS[0]).map_err(|fault| fault.to_string()))
    {
        Ok(full) => full,
        Err(fault) => return Outcome::Refused(fault),
    };
    let expectation = Expectation::of(entry);
    let theirs = match expectation.decoder.decode(entry, &path, scratch) {
        Ok(picture) => expectation.corrected(picture),
        Err(error) => return Outcome::Compared(String::new(), format!("{}: {error}\n", entry.path)),
    };
    let (mut lines, mut complaints) = (String::new(), String::new());
    let rest = SPECS[1..].iter().map(|spec| (*spec, made(&source, *spec)));
    for ((spec, light), ours) in std::iter::once((SPECS[0], Ok(full))).chain(rest) {
        let ours = ours.unwrap_or_else(|fault| panic!("{} has no {spec}: {fault}", entry.path));
        // Inks, and what keeps its height, are scaled by stored values.
        let is_lit = !entry.is_of_inks() && ours.height < theirs.height;
        let meant = if is_lit { light } else { Light::Encoded };
        match verdict(&expectation.comparison, (spec, meant), &ours, &theirs) {
            Ok(line) => writeln!(lines, "{} {spec} {light:?}: {line}", entry.path),
            Err(complaint) => writeln!(complaints, "{} {spec} {light:?}: {complaint}", entry.path),
        }
        .expect("a text");
    }
    Outcome::Compared(lines, complaints)
}

/// The difference in words, as an error if it is too large.
fn verdict(
    comparison: &Comparison,
    (spec, light): (&str, Light),
    ours: &Picture,
    theirs: &Picture,
) -> Result<String, String> {
    let turned = (spec == "full,rot90").then(|| theirs.turned());
    let theirs = turned.as_ref().unwrap_or(theirs);
    let is_scaled = spec == "300w" && theirs.width > 300;
    let (width, height) = if is_scaled {
        let height = (theirs.height as f64 * 300.0 / theirs.width as f64).round();
        (300, height.max(1.0) as usize)
    } else {
        (theirs.width, theirs.height)
    };
    if (ours.width, ours.height) != (width, height) {
        return Err(format!("{}x{} instead of {width}x{height}", ours.width, ours.height));
    }
    match comparison {
        // The tests mix alpha in stored values before they scale.
        _ if light == Light::Linear && !theirs.is_opaque() => Ok("its size, for it has alpha".to_owned()),
        Comparison::Size => Ok("its size".to_owned()),
        Comparison::Brightness(least) => {
            let correlation = compare::correlation(ours, theirs);
            let line = format!("its brightness correlates by {correlation:.3}");
            if correlation >= *least { Ok(line) } else { Err(line) }
        }
        Comparison::Mean(most) => {
            let difference = Difference::between(ours, theirs, light);
            if difference.mean <= *most { Ok(difference.to_string()) } else { Err(difference.to_string()) }
        }
        Comparison::Pixels { full, scaled } => {
            let bound = match light {
                _ if !is_scaled => *full,
                Light::Encoded => *scaled,
                Light::Linear => scaled.in_linear_light(),
            };
            let difference = Difference::between(ours, theirs, light);
            if bound.holds(&difference) {
                Ok(difference.to_string())
            } else {
                Err(format!("{difference}; {bound:?}"))
            }
        }
    }
}

/// Two threads, because a large picture takes half a gigabyte.
fn each_entry(entries: &[Entry], work: impl Fn(&Entry, &Path) + Sync) {
    let next = Mutex::new(entries.iter());
    std::thread::scope(|scope| {
        for _ in 0..2 {
            scope.spawn(|| {
                let scratch = TempDir::with_prefix("reticulum-pixels-").expect("a temporary directory");
                loop {
                    let Some(entry) = next.lock().expect("no panic").next() else { break };
                    work(entry, scratch.path());
                }
            });
        }
    });
}

#[test]
fn pictures_are_those_of_a_second_decoder() {
    let Some(folder) = corpus::folder() else { return };
    if !decoders::are_installed() {
        return;
    }
    let entries = manifest::entries(&folder);
    let report = Mutex::new((0, String::new()));
    each_entry(&entries, |entry, scratch| {
        let begin = Instant::now();
        let outcome = compared(&folder, entry, scratch);
        let mut report = report.lock().expect("no panic");
        let (count, complaints) = &mut *report;
        match outcome {
            Outcome::Refused(fault) => {
                println!("{}: refused: {fault}", entry.path);
                if entry.must_be_accepted() {
                    writeln!(complaints, "{}: refused: {fault}", entry.path).expect("a text");
                }
            }
            Outcome::Compared(lines, faults) => {
                *count += 1;
                print!("{lines}");
                println!("{} took {:?}", entry.path, begin.elapsed());
                complaints.push_str(&faults);
            }
        }
    });
    let (count, mut complaints) = report.into_inner().expect("no panic");
    for (path, reason) in expected::exceptions() {
        println!("{path}: compared otherwise: {reason}");
        if !entries.iter().any(|entry| entry.path == path) {
            writeln!(complaints, "{path}: an exception, but the corpus has no such file").expect("a text");
        }
    }
    println!("{count} of {} files were compared", entries.len());
    assert!(complaints.is_empty(), "\n{complaints}");
}
